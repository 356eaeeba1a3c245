"""CSV that is packed is read as if it were not; what is damaged is an error that names it."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from kalla_core.errors import SourceUnreadable
from tests.support.sources import format_rows

TEXT = "id;name\n" + "".join(f"{n};Łódź {n}\n" for n in range(500))
ROWS = [(n, f"Łódź {n}") for n in range(500)]


def zstd(data: bytes) -> bytes:
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as packed:
        packed.write(data)
    return bytes(out.getvalue())


def zipped(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


PACKED = {
    "in.csv.gz": gzip.compress,
    "in.csv.zst": zstd,
    "in.CSV.ZIP": lambda data: zipped(("__MACOSX/x", b"x"), ("a/", b""), ("a/in.csv", data)),
}


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("parts", [1, 3])
def test_what_is_packed_is_read_as_if_it_were_not(
    tmp_path: Path, name: str, encoding: str, parts: int
) -> None:
    (tmp_path / name).write_bytes(PACKED[name](TEXT.encode(encoding)))
    found = {"delimiter": ";", "encoding": encoding, "skip_last": 1, "row_number": "row"}

    rows = format_rows(tmp_path / name, found, parts)

    assert [row[1:] for row in rows] == ROWS[:-1]
    assert [row[0] for row in rows] == list(range(1, 500))


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("damage", ["cut", "emptied", "garbled"])
def test_what_is_damaged_is_named(tmp_path: Path, name: str, damage: str) -> None:
    data = bytearray(PACKED[name](TEXT.encode()))
    if damage == "garbled":
        data[len(data) // 2 : len(data) // 2 + 40] = b"x" * 40
    kept = {"cut": data[: len(data) // 2], "emptied": data[:0], "garbled": data}[damage]
    (tmp_path / name).write_bytes(kept)

    with pytest.raises(SourceUnreadable, match=name):
        format_rows(tmp_path / name, {"delimiter": ";"})


def encrypted(data: bytes) -> bytes:
    """Mark the only member of an archive as encrypted."""
    directory = data.index(b"PK\x01\x02")
    return data[: directory + 8] + b"\x01" + data[directory + 9 :]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (encrypted(zipped(("a.csv", b"a\n1\n"))), "is encrypted: `a.csv` cannot be read"),
        (zipped(("a.csv", b"a\n1\n"), ("b.csv", b"a\n1\n")), "2 files, `a.csv`, `b.csv`"),
        (zipped((".DS_Store", b"x")), "holds no file"),
    ],
)
def test_an_archive_holds_one_file(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "in.csv.zip").write_bytes(data)

    with pytest.raises(SourceUnreadable, match=says):
        format_rows(tmp_path / "in.csv.zip", {})
