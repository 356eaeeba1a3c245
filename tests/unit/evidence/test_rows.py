"""Rows of evidence in batches of few bytes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kalla_core.evidence.row_group import Encoding, encode
from kalla_core.evidence.rows import BATCH_BYTES, PAGE_BYTES, folded, read_rows, reading_bytes

MIB = 1 << 20


def written(folder: Path, rows: pa.Table, row_group_size: int = 1 << 20) -> pq.ParquetFile:
    path = folder / "rows.parquet"
    pq.write_table(rows, path, row_group_size=row_group_size)
    metadata = pq.read_metadata(path)
    return pq.ParquetFile(path, read_dictionary=folded(metadata, rows.schema))


@dataclass
class Told:
    """What rows may take and take, as it is told."""

    most: list[int] = field(default_factory=list)
    used: list[int] = field(default_factory=list)

    def may_take(self, most_bytes: int) -> None:
        self.most.append(most_bytes)

    def count(self, used_bytes: int) -> None:
        self.used.append(used_bytes)


def wide(rows: int, width: int, distinct: int) -> pa.Table:
    texts = [f"{number % distinct}{'x' * width}" for number in range(rows)]
    return pa.table({"id": range(rows), "text": texts})


@pytest.mark.parametrize("limit", [None, 0, 1, 150, 10_000])
@pytest.mark.parametrize("row_group_size", [7, 100, 1000])
def test_all_rows_come_in_order_or_the_first_of_them(
    limit: int | None, row_group_size: int, tmp_path: Path
) -> None:
    rows = wide(300, 20, 300)

    batches = list(read_rows(written(tmp_path, rows, row_group_size), rows.schema, limit))

    expected = rows if limit is None else rows.slice(0, limit)
    assert pa.Table.from_batches(batches, rows.schema).equals(expected)


@pytest.mark.parametrize("distinct", [1, 400], ids=["hidden-in-a-dictionary", "plain"])
def test_wide_rows_come_in_small_batches(distinct: int, tmp_path: Path) -> None:
    rows = wide(400, 100_000, distinct)
    file = written(tmp_path, rows)

    sizes = [(batch.num_rows, batch.nbytes) for batch in read_rows(file, rows.schema)]

    assert sum(rows for rows, _ in sizes) == 400
    assert max(taken for _, taken in sizes) <= 2 * BATCH_BYTES


def test_wide_rows_behind_narrow_ones_come_in_small_batches_although_they_take_no_room_encoded(
    tmp_path: Path,
) -> None:
    notes = pa.array(["-"] * 5_000 + ["x" * 300_000] * 1_000 + [None] * 10)
    rows = pa.table({"id": range(len(notes)), "note": notes.dictionary_encode()})
    flat = pa.schema([("id", pa.int64()), ("note", pa.string())])
    path = tmp_path / "rows.parquet"
    pq.write_table(rows, path, store_schema=False)
    file = pq.ParquetFile(path, read_dictionary=folded(pq.read_metadata(path), flat))
    told = Told()
    before = pa.total_allocated_bytes()

    widest, count, peak = 0, 0, 0
    for batch in read_rows(file, flat, memory=told):
        widest, count = max(widest, batch.nbytes), count + batch.num_rows
        peak = max(peak, pa.total_allocated_bytes() - before)

    assert count == len(notes)
    assert widest <= BATCH_BYTES + (1 << 18)
    assert peak < 16 * MIB
    assert sum(told.used) < 16 * MIB
    assert max(told.most) == 0


def test_what_wide_rows_among_narrow_ones_take_at_once_is_said_before_they_are_read(
    tmp_path: Path,
) -> None:
    notes = [f"{number}" for number in range(40_000)]
    notes[20_000:20_400] = [f"{number}{'x' * 100_000}" for number in range(400)]
    rows = pa.table({"id": range(len(notes)), "note": notes})
    path = tmp_path / "rows.parquet"
    path.write_bytes(encode(rows, Encoding()))
    file = pq.ParquetFile(path)
    told, before, peak = Told(), pa.total_allocated_bytes(), 0

    for batch in read_rows(file, rows.schema, memory=told):
        assert batch.nbytes <= BATCH_BYTES + (1 << 18)
        peak = max(peak, pa.total_allocated_bytes() - before)

    assert max(told.used) > 8 * BATCH_BYTES  # they came at once
    assert all(used <= most for most, used in zip(told.most, told.used, strict=True))
    assert peak <= reading_bytes(file) + max(told.most)


def test_only_what_a_limit_asks_for_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(encode(wide(300, 200_000, 300), Encoding()))

    told = subprocess.run(
        [sys.executable, "-c", _READ_ONE, str(path)], capture_output=True, text=True, check=True
    )

    rows, peak_bytes, expected_bytes = map(int, told.stdout.split())
    assert rows == 1
    assert peak_bytes < 16 * MIB
    assert expected_bytes <= 2 * PAGE_BYTES + BATCH_BYTES


_READ_ONE = """
import sys
import pyarrow as pa
import pyarrow.parquet as pq
from kalla_core.evidence.rows import read_rows, reading_bytes
file = pq.ParquetFile(pa.OSFile(sys.argv[1]), buffer_size=1 << 18)
(batch,) = read_rows(file, file.schema_arrow, 1)
print(batch.num_rows, pa.default_memory_pool().max_memory(), reading_bytes(file))
"""
