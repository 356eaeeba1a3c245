"""What cannot be read is told by file, line, column and what would help."""

from __future__ import annotations

import gzip
import json
import os
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_core.errors import (
    InvalidType,
    SourceChanged,
    SourceNotFound,
    SourceUnreadable,
    UnknownColumn,
)
from kalla_core.recipe.column_types import parse_type
from kalla_core.sources.csv import format, records
from kalla_core.sources.csv.block import BlockParser
from kalla_core.sources.csv.dialect import Dialect
from kalla_core.sources.csv.locate import accepting_word
from kalla_core.sources.registry import connector_for
from tests.support.sources import file_spec, read_rows, read_table, types_of

LONG = "".join(f"{number},10.00,2024-01-31\n" for number in range(1, 400_000))
"""Longer than the sample, so that the last lines are met only when rows are read."""


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def failure(path: Path, **spec: Any) -> SourceUnreadable:
    with pytest.raises(SourceUnreadable) as caught:
        read_table(file_spec(path, **spec), 3)
    return caught.value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b\n1,2\n3\n", "line 3 of in.csv: 1 column, but the header has 2: `3`"),
        ("a,b\n1,2\n3,4,5\n", "line 3 of in.csv: 3 columns, but the header has 2: `3,4,5`"),
        ("a,b\r\n1,2\r\n\r\n3,4,5\r\n", "line 4 of in.csv: 3 columns"),
        ('a,b\n"1\n2",3\n4\n', "line 4 of in.csv: 1 column"),
        ("a,b\r1,2\r3,4,5\r", "line 3 of in.csv: 3 columns"),
        ("a,b\n1,x\ry\n", "line 2 of in.csv: 1 column"),
    ],
)
def test_a_row_with_another_number_of_columns(tmp_path: Path, text: str, says: str) -> None:
    error = failure(write(tmp_path / "in.csv", text))

    assert says in str(error)
    assert str(error).startswith("Source `ledger` (")


def test_a_byte_that_is_not_utf8(tmp_path: Path) -> None:
    error = failure(write(tmp_path / "in.csv", b'a,b\n1,2\n"x\n\xe4",4\n'))

    assert "line 4 of in.csv: the byte 0xe4 is not UTF-8" in str(error)


@pytest.mark.parametrize("parts", [1, 3])
def test_a_quote_that_is_never_closed(tmp_path: Path, parts: int) -> None:
    path = write(tmp_path / "in.csv", 'a,b\n1,"x\ny"\n2,"z\n3,4\n')

    with pytest.raises(SourceUnreadable, match=r"line 4 of in.csv.*quote that is never closed"):
        read_rows(path, parts)


@pytest.mark.parametrize("name", ["in.csv", "in.csv.gz"])
@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_rows_swallowed_by_stray_quotes_are_an_error_that_names_their_lines(
    tmp_path: Path, name: str, parts: int, end: str
) -> None:
    text = end.join(["id,n", '1,"12 inch', "2,x", '3,"14 inch', "4,y", ""]).encode()
    path = write(tmp_path / name, gzip.compress(text) if name.endswith("gz") else text)

    with pytest.raises(SourceUnreadable) as caught:
        read_rows(path, parts)

    assert "line 2 of in.csv" in str(caught.value)
    assert "text behind a closing quote in line 4: `14 inch`" in str(caught.value)


def test_a_stray_quote_far_behind_the_sample_is_found_when_the_source_is_cut(
    tmp_path: Path,
) -> None:
    rows = "".join(f'{n},"text {n}"\n' for n in range(500_000))
    path = write(tmp_path / "in.csv", f'id,t\n{rows}x,"a" b\n1,"c"\n')

    error = failure(path)

    assert "line 500002 of in.csv" in str(error)
    assert "`b`" in str(error)


@pytest.mark.parametrize("row", [b"3\xe4\n", b"3,\xe4,4\n"])
@pytest.mark.parametrize("parts", [1, 3])
def test_a_byte_that_is_not_utf8_beside_a_wrong_number_of_columns(
    tmp_path: Path, row: bytes, parts: int
) -> None:
    path = write(tmp_path / "in.csv", b"a,b\n1,2\n" + row)

    with pytest.raises(SourceUnreadable, match=r"line 3 of in.csv: the byte 0xe4 is not UTF-8"):
        read_rows(path, parts)


def test_a_quote_that_is_never_closed_in_a_compressed_file(tmp_path: Path) -> None:
    path = write(tmp_path / "in.csv.gz", gzip.compress(b'a,b\n1,"x\ny"\n2,"z\n3,4\n'))

    assert "line 4 of in.csv.gz" in str(failure(path))


@pytest.mark.parametrize(
    ("last", "column", "remedy"),
    [
        ("00123,1.00,2024-01-31", "id", "text"),
        ("0x10,1.00,2024-01-31", "id", "text"),
        ("12.5,1.00,2024-01-31", "id", "decimal(19,1)"),
        ("12345678901234567890,1.00,2024-01-31", "id", "decimal(20,0)"),
        ("7,1.125,2024-01-31", "amount", "decimal(19,3)"),
        ("7,12345678901234567.00,2024-01-31", "amount", "decimal(19,2)"),
        ("7,n/a,2024-01-31", "amount", "text"),
        ('7,"",2024-01-31', "amount", "text"),
        ("7,1.00,2024-01-31 10:00", "day", "timestamp"),
        ("7,1.00,31.01.2024", "day", "text"),
    ],
)
def test_a_late_value_that_does_not_fit_and_the_type_that_would_take_it(
    tmp_path: Path, last: str, column: str, remedy: str
) -> None:
    path = write(tmp_path / "in.csv", f"id,amount,day\n{LONG}{last}\n{LONG}")

    error = failure(path)

    assert f"line 400001 of in.csv: column `{column}`" in str(error)
    assert f'"types": {{"{column}": "{remedy}"}}' in str(error)
    assert error.details["line"] == 400_001
    assert error.details["column"] == column
    repaired = read_table(file_spec(path, types=json.loads(json.dumps(error.details["types"]))), 2)
    assert repaired.num_rows == 2 * 399_999 + 1


numbers = st.from_regex(r"\A-?[0-9]{0,25}(\.[0-9]{1,25})?\Z")
moments = st.datetimes().map(lambda moment: moment.isoformat(" "))
texts = st.text(st.characters(exclude_characters='",\n\r', codec="utf-8"), min_size=1, max_size=8)


@given(
    st.sampled_from(["integer", "decimal(18,2)", "decimal(38,10)", "date", "timestamp", "boolean"]),
    numbers | moments | texts,
)
def test_the_type_that_is_proposed_takes_the_value(word: str, value: str) -> None:
    proposed = accepting_word(parse_type(word), value)

    parser = BlockParser(pa.schema([("v", parse_type(proposed))]), Dialect(",", ("",), False))
    assert parser.parse(pa.py_buffer(f"{value}\n".encode())).num_rows == (1 if value else 0)


def test_lines_and_columns_are_told_rightly_when_only_some_columns_are_read(tmp_path: Path) -> None:
    misfit = write(tmp_path / "a.csv", "id,amount,day\n1,2.50,x\n2,abc,y\n")
    unlike = write(tmp_path / "b.csv", "id,amount,day\n1,2.50,x\n2,3.50\n")
    says = ["line 3 of a.csv: column `amount`: `abc`", "line 3 of b.csv: 2 columns, but .* has 3"]

    for path, pattern in zip((misfit, unlike), says, strict=True):
        spec = file_spec(path, types={"amount": "decimal(12,2)"})
        connector = connector_for(spec)
        with connector.pin(spec) as pinned:
            (part,) = connector.plan(pinned, 1)

            with pytest.raises(SourceUnreadable, match=pattern):
                list(connector.read(pinned, part, columns=["amount"]))


def test_a_value_that_does_not_fit_the_recipes_own_type(tmp_path: Path) -> None:
    path = write(tmp_path / "in.csv", "id,amount\n1,2.50\n2,abc\n")

    error = failure(path, types={"amount": "decimal(12,2)"})

    assert "line 3 of in.csv: column `amount`: `abc` is no decimal(12,2)" in str(error)
    assert "the recipe's `types` say" in str(error)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty: it has not even a header"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"\n\r\n\n", "is empty"),
        (b"\xff\xfea\x00\n\x00", "is UTF-16"),
        (b"\x1f\x8b\x08\x00", "compressed with gzip"),
        (b"PK\x03\x04....", "Excel"),
        (b"PAR1....", "is a Parquet file"),
        (b"a\xe4,b\n", "is not UTF-8"),
        (b"a,b\r1,2\n3,4\n", "one kind of line break"),
        (b'a,"b\n1,2\n', "quote that is never closed"),
    ],
)
def test_a_file_without_a_usable_header(tmp_path: Path, data: bytes, says: str) -> None:
    path = write(tmp_path / "in.csv", data)

    with pytest.raises(SourceUnreadable, match=says) as caught:
        types_of(path)

    assert "in.csv" in str(caught.value)


@pytest.mark.parametrize("damage", ["cut", "flipped", "plain"])
def test_a_damaged_gzip_file(tmp_path: Path, damage: str) -> None:
    whole = gzip.compress(os.urandom(1000).hex().encode() + b"\n")
    half = len(whole) // 2
    damaged = {
        "cut": whole[:half],
        "flipped": whole[:half] + bytes([whole[half] ^ 255]) + whole[half + 1 :],
        "plain": b"a,b\n1,2\n",
    }
    path = write(tmp_path / "in.csv.gz", damaged[damage])

    with pytest.raises(SourceUnreadable, match=re.escape("in.csv.gz` is no whole gzip file")):
        read_rows(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match=r"no file or folder `.*/gone.csv`"):
        types_of(tmp_path / "gone.csv")


def test_types_of_a_column_that_is_not_there(tmp_path: Path) -> None:
    path = write(tmp_path / "in.csv", "amount,day\n1,2024-01-31\n")

    with pytest.raises(UnknownColumn, match=r"`amuont`.*Did you mean `amount`"):
        types_of(path, types={"amuont": "decimal(12,2)"})


def test_a_type_that_is_none(tmp_path: Path) -> None:
    path = write(tmp_path / "in.csv", "amount,day\n1,2024-01-31\n")

    with pytest.raises(InvalidType, match="`money` is not a type"):
        types_of(path, types={"amount": "money"})


def test_files_of_a_folder_without_headers_have_the_same_number_of_columns(
    tmp_path: Path,
) -> None:
    write(tmp_path / "a.csv", "1,2\n")
    write(tmp_path / "b.csv", "1,2,3\n")

    with pytest.raises(SourceUnreadable, match=r"a.csv` has 2 columns, but another .* 3"):
        types_of(f"{tmp_path}?header=false")


@pytest.mark.parametrize("change", ["grown", "shrunk", "touched", "gone"])
def test_a_file_that_changes_after_it_was_cut(tmp_path: Path, change: str) -> None:
    path = write(tmp_path / "in.csv", "id,amount\n" + "1,2\n" * 1000)
    spec = file_spec(path)
    connector = connector_for(spec)
    with connector.pin(spec) as pinned:
        parts = connector.plan(pinned, 2)
        status = path.stat()
        match change:
            case "grown":
                write(path, path.read_bytes() + b"1,2\n")
            case "shrunk":
                os.truncate(path, 100)
            case "touched":
                os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
            case _:
                path.unlink()

        with pytest.raises(SourceChanged, match=r"in\.csv"):
            list(connector.read(pinned, parts[1]))
        with pytest.raises(SourceChanged, match=r"in\.csv"):
            connector.verify(pinned)


def test_a_quote_that_swallows_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_BLOCK_BYTES", 10 << 20)
    monkeypatch.setattr(format, "MAX_BLOCK_BYTES", 10 << 20)
    data = b'a,b\n1,2\n"' + b"3,4\n" * (6 << 20) + b'",5\n6,7\n'
    plain = write(tmp_path / "in.csv", data)
    packed = write(tmp_path / "in.csv.gz", gzip.compress(data, 1))

    for path in (plain, packed):
        assert "line 3 of in.csv" in str(failure(path))
        assert "is a quote missing?" in str(failure(path))


def test_a_record_with_a_very_long_text(tmp_path: Path) -> None:
    path = write(tmp_path / "in.csv", "a,b\n1," + "x" * 500_000 + "\n" + "y" * 500_000 + "\n")

    error = failure(path)

    assert "line 3 of in.csv: 1 column, but the header has 2: `yyy" in str(error)
    assert len(str(error)) < 400


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "in.csv", "id,amount\n" + LONG.replace(",2024-01-31", "") * 3)
    spec = file_spec(path)
    connector = connector_for(spec)
    with connector.pin(spec) as pinned:
        (part,) = connector.plan(pinned, 1)
        batches = iter(connector.read(pinned, part))
        next(batches)
        os.truncate(path, 1000)

        with pytest.raises(SourceChanged, match=r"in\.csv"):
            list(batches)
