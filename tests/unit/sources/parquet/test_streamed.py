"""Parquet decoded by DataFusion: the same rows as Arrow gives, whatever the parts and the types."""

from __future__ import annotations

import os
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kalla_core.errors import SourceChanged, SourceUnreadable
from kalla_core.sources.files import FileConnector, local_files
from kalla_core.sources.local import LocalStore
from kalla_core.sources.parquet import format
from kalla_core.sources.parquet.format import ParquetFormat
from kalla_core.sources.parquet.schema import unified
from kalla_core.sources.parquet.streamed import streamed
from kalla_core.sources.protocol import EVERYTHING, SourceAccess
from kalla_core.sources.uri import FileFormat
from tests.support.sources import file_spec

ROWS = 1000
NEVER = 1 << 40
NUMBERS = np.arange(ROWS)
COLUMNS: dict[str, pa.Array] = {
    "id": pa.array([f"INV-{n:09}" for n in NUMBERS]),
    "name": pa.array([(None, "x", "long enough to lie apart")[n % 3] for n in NUMBERS]),
    "long": pa.array([f"{n} " * (n % 50) for n in NUMBERS], pa.large_string()),
    "kind": pa.array([f"kind {n % 5}" for n in NUMBERS]).dictionary_encode(),
    "amount": pa.array([Decimal(int(n)) / 4 for n in NUMBERS], pa.decimal128(12, 2)),
    'Wide.r "x"': pa.array([Decimal(int(n)) * 10**30 for n in NUMBERS], pa.decimal128(38, 2)),
    "day": pa.array([date(2024, 1, 1 + n % 28) for n in NUMBERS]),
    "small": pa.array([None if n % 3 else n % 100 for n in NUMBERS], pa.int8()),
    "large": pa.array([2**64 - 1 - int(n) for n in NUMBERS], pa.uint64()),
    "ratio": pa.array([float("nan") if n % 11 == 0 else n / 3 for n in NUMBERS]),
    "flag": pa.array([n % 2 == 0 for n in NUMBERS]),
}  # fmt: skip
OTHERS: dict[str, pa.Array] = {
    "at": pa.array(NUMBERS, pa.timestamp("us", "Europe/Berlin")),
    "list": pa.array([[int(n)] for n in NUMBERS]),
    "half": pa.array(NUMBERS.astype(np.float16)),
    "bytes": pa.array([b"x"] * ROWS),
    "none": pa.nulls(ROWS),
}


def reader(streaming_rows: int) -> FileConnector:
    formats = {FileFormat.PARQUET: ParquetFormat(streaming_rows)}
    return FileConnector("file", LocalStore(EVERYTHING), formats)


def put(path: Path, columns: dict[str, pa.Array], **options: Any) -> Path:
    pq.write_table(pa.table(columns), path, **{"row_group_size": 100, **options})
    return path


def is_streamed(path: Path, names: list[str]) -> bool:
    delivered = unified([pq.read_schema(path)], [str(path)])
    schema = pa.schema([delivered.field(name) for name in names])
    with pa.OSFile(str(path)) as file:
        return streamed(file, pq.read_metadata(path), [0], schema, 1) is not None


def rows(connector: FileConnector, path: Path, parts: int, columns: list[str] | None) -> pa.Table:
    spec = file_spec(path)
    with connector.pin(spec) as pinned:
        found = [
            batch
            for part in connector.plan(pinned, parts)
            for batch in connector.read(pinned, part, columns=columns)
        ]
    return pa.Table.from_batches(found)


def same(one: pa.Table, other: pa.Table) -> bool:
    """Tell whether two tables are the same, NaN being NaN."""
    return one.schema == other.schema and str(one.to_pylist()) == str(other.to_pylist())


@pytest.mark.parametrize("parts", [1, 3, 10])
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
def test_rows_are_those_that_arrow_reads_in_any_number_of_parts(
    tmp_path: Path, parts: int, compression: str
) -> None:
    path = put(tmp_path / "odd name %20#?*.parquet", COLUMNS, compression=compression)
    names = ["amount", "id", "kind"]

    whole = [rows(reader(least), path, parts, None) for least in (1, NEVER)]
    narrow = [rows(reader(least), path, parts, names) for least in (1, NEVER)]

    assert is_streamed(path, list(COLUMNS))
    assert len(whole[0]) == ROWS
    assert same(*whole)
    assert same(*narrow)


@pytest.mark.parametrize(("thread_bytes", "arrow"), [(None, 0), (1 << 30, 0), (256 << 20, 1)])
def test_arrow_reads_where_threads_have_too_little_memory_for_what_datafusion_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, thread_bytes: int | None, arrow: int
) -> None:
    path = put(tmp_path / "in.parquet", {"id": pa.array(range(100_000))})
    by_arrow = []
    opened = format._parquet_file
    monkeypatch.setattr(format, "_parquet_file", lambda *of: by_arrow.append(1) or opened(*of))
    connector = local_files(SourceAccess(thread_bytes=thread_bytes))

    with connector.pin(file_spec(path)) as pinned:
        by_arrow.clear()
        (part,) = connector.plan(pinned, 1)
        found = sum(batch.num_rows for batch in connector.read(pinned, part))

    assert (found, len(by_arrow)) == (100_000, arrow)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 1.0])
def test_picked_rows_are_those_that_arrow_picks(tmp_path: Path, share: float) -> None:
    path = put(tmp_path / "in.parquet", COLUMNS)
    spec = file_spec(path)
    wanted = np.random.default_rng(7).random(ROWS) < share
    expected = rows(reader(NEVER), path, 1, None).filter(pa.array(wanted))

    connector = reader(1)
    with connector.pin(spec) as pinned:
        starts, found = 0, []
        for part in connector.plan(pinned, 3):
            count = sum(batch.num_rows for batch in connector.read(pinned, part))
            found += connector.pick(pinned, part, wanted[starts : starts + count])
            starts += count

    assert same(pa.Table.from_batches(found, expected.schema), expected)


@pytest.mark.parametrize("name", OTHERS)
def test_columns_that_are_not_plain_are_left_to_arrow(tmp_path: Path, name: str) -> None:
    path = put(tmp_path / "in.parquet", {"id": COLUMNS["id"], name: OTHERS[name]})

    assert is_streamed(path, ["id"])
    assert not is_streamed(path, ["id", name])
    assert same(*(rows(reader(least), path, 2, None) for least in (1, NEVER)))


def test_columns_that_a_file_has_not_are_null(tmp_path: Path) -> None:
    put(tmp_path / "a.parquet", {"id": COLUMNS["id"], "amount": COLUMNS["amount"]})
    put(tmp_path / "b.parquet", {"id": COLUMNS["id"]})

    found = rows(reader(1), tmp_path, 2, None)

    assert found.column("amount").null_count == ROWS
    assert same(found, rows(reader(NEVER), tmp_path, 2, None))


def test_pages_with_checksums_are_left_to_arrow_which_looks_at_them(tmp_path: Path) -> None:
    path = put(tmp_path / "in.parquet", COLUMNS, write_page_checksum=True)

    assert not is_streamed(path, ["id"])
    assert is_streamed(put(tmp_path / "other.parquet", COLUMNS), ["id"])


def test_a_page_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    path = put(tmp_path / "in.parquet", {"id": COLUMNS["id"]}, compression="zstd")
    spec, before = file_spec(path), path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 200] = bytes(200)
    connector = reader(1)

    with connector.pin(spec) as pinned:
        (part,) = connector.plan(pinned, 1)
        path.write_bytes(data)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

        with pytest.raises(SourceUnreadable, match=r"in\.parquet` is no whole Parquet file"):
            list(connector.read(pinned, part))


def test_a_file_that_is_replaced_while_it_is_streamed_is_found_changed(tmp_path: Path) -> None:
    path = put(tmp_path / "in.parquet", COLUMNS)
    spec = file_spec(path)
    connector = reader(1)

    with connector.pin(spec) as pinned:
        (part,) = connector.plan(pinned, 1)
        found = iter(connector.read(pinned, part))
        next(found)
        (tmp_path / "in.parquet").unlink()
        put(path, {name: column.slice(0, 900) for name, column in COLUMNS.items()})

        with pytest.raises(SourceChanged, match=r"in\.parquet"):
            list(found)


def test_text_too_long_for_one_array_comes_in_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path / "in.parquet", {"id": COLUMNS["id"], "long": COLUMNS["long"]})
    spec = file_spec(path)
    monkeypatch.setattr("kalla_core.sources.parquet.views._MOST_TEXT_BYTES", 500)
    connector = reader(1)

    with connector.pin(spec) as pinned:
        (part,) = connector.plan(pinned, 1)
        batches = list(connector.read(pinned, part))

    assert len(batches) > ROWS // 10
    assert same(pa.Table.from_batches(batches), rows(reader(NEVER), path, 1, None))
