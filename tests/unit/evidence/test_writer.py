import hashlib
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kalla_core.errors import OutOfDisk, OutputNotWritable
from kalla_core.evidence import row_group
from kalla_core.evidence.footer import FooterError
from kalla_core.evidence.writer import TableWriter

SCHEMA = pa.schema([("id", pa.int64()), ("text", pa.string()), ("kind", pa.string())])


def batch(start: int, rows: int) -> pa.RecordBatch:
    ids = range(start, start + rows)
    columns = [list(ids), [f"row {i}" for i in ids], ["same"] * rows]
    return pa.record_batch([pa.array(column) for column in columns], schema=SCHEMA)


def write_all(writer: TableWriter) -> None:
    with writer:
        for start in range(0, 10_000, 100):
            writer.write(batch(start, 100))
        writer.close()


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file grow beyond `size`, as a full disk or a quota would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("threads", [0, 2])
def test_what_is_written_by_many_threads_is_all_in_one_file(threads: int, tmp_path: Path) -> None:
    batches = [batch(start, 10) for start in range(0, 1000, 10)]

    with (
        TableWriter(tmp_path / "t.parquet", SCHEMA, threads=threads, row_group_rows=70) as writer,
        ThreadPoolExecutor(4) as callers,
    ):
        list(callers.map(writer.write, batches))
        written = writer.close()

    read = pq.read_table(tmp_path / "t.parquet").sort_by("id")
    assert read.equals(pa.Table.from_batches(batches))
    assert written.rows == 1000


def test_rows_of_one_caller_stay_in_order(tmp_path: Path) -> None:
    batches = [batch(start, 10) for start in range(0, 1000, 10)]

    with TableWriter(tmp_path / "t.parquet", SCHEMA, row_group_rows=70) as writer:
        for one in batches:
            writer.write(one)
        writer.close()

    assert pq.read_table(tmp_path / "t.parquet").equals(pa.Table.from_batches(batches))


def test_the_figures_are_those_of_the_file(tmp_path: Path) -> None:
    with TableWriter(tmp_path / "t.parquet", SCHEMA, row_group_rows=70) as writer:
        writer.write(batch(0, 500))
        written = writer.close()

    data = (tmp_path / "t.parquet").read_bytes()
    assert written.name == "t.parquet"
    assert written.rows == 500
    assert written.bytes == len(data)
    assert written.sha256 == hashlib.sha256(data).hexdigest()


def test_a_table_without_rows_is_a_file_with_a_schema(tmp_path: Path) -> None:
    with TableWriter(tmp_path / "t.parquet", SCHEMA) as writer:
        writer.write(batch(0, 0))
        written = writer.close()

    read = pq.read_table(tmp_path / "t.parquet")
    assert written.rows == read.num_rows == 0
    assert read.schema == SCHEMA


@pytest.mark.parametrize("limit", [{"row_group_rows": 100}, {"row_group_bytes": 2000}])
def test_row_groups_are_bounded_by_rows_and_by_bytes(limit: dict[str, int], tmp_path: Path) -> None:
    with TableWriter(tmp_path / "t.parquet", SCHEMA, **limit) as writer:
        for start in range(0, 1000, 10):
            writer.write(batch(start, 10))
        writer.close()

    metadata = pq.read_metadata(tmp_path / "t.parquet")
    largest = max(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))
    assert metadata.num_row_groups > 8
    assert largest <= 110


def test_columns_that_repeat_have_dictionaries_and_others_do_not(tmp_path: Path) -> None:
    with TableWriter(tmp_path / "t.parquet", SCHEMA, row_group_rows=40_000) as writer:
        writer.write(batch(0, 50_000))
        writer.close()

    group = pq.read_metadata(tmp_path / "t.parquet").row_group(0)
    dictionaries = {
        group.column(i).path_in_schema for i in range(3) if group.column(i).has_dictionary_page
    }
    assert dictionaries == {"kind"}


def test_columns_that_do_not_shrink_are_not_compressed(tmp_path: Path) -> None:
    hashes = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(50_000)]
    rows = pa.record_batch({"hash": hashes, "text": ["some words " * 3 + h[:2] for h in hashes]})

    with TableWriter(tmp_path / "t.parquet", rows.schema) as writer:
        writer.write(rows)
        writer.close()

    group = pq.read_metadata(tmp_path / "t.parquet").row_group(0)
    assert [group.column(i).compression for i in range(2)] == ["UNCOMPRESSED", "LZ4"]


def test_columns_that_are_the_same_are_encoded_once_and_read_as_two(tmp_path: Path) -> None:
    path, rows = tmp_path / "t.parquet", 100_000
    keys = pa.array([f"INV-{i:09d}" for i in range(rows)])
    kinds = pa.array(["paid", "open"] * (rows // 2))
    names = ["record_key", "amount", "kind", "id", "kind_again", "other"]
    other = pa.array([f"INV-{i:09d}" for i in range(rows)])
    columns = [keys, pa.array(range(rows)), kinds, keys, kinds, other]
    whole = pa.RecordBatch.from_arrays(columns, names)

    with TableWriter(path, whole.schema, row_group_rows=40_000) as writer:
        for start in range(0, rows, 20_000):
            writer.write(whole.slice(start, 20_000))
        written = writer.close()

    metadata = pq.read_metadata(path)
    assert written.rows == metadata.num_rows == rows
    assert pq.read_table(path).equals(pa.Table.from_batches([whole]))
    with duckdb.connect() as database:
        found = database.execute(
            "SELECT count(*) FROM read_parquet(?) WHERE record_key = id AND kind = kind_again"
            " AND record_key = other AND amount = substring(id, 5)::BIGINT",
            [str(path)],
        )
        assert found.fetchall() == [(rows,)]
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        chunks = [group.column(number) for number in range(6)]
        spans = sorted((chunk_start(one), one.total_compressed_size) for one in chunks)
        assert all(start + size <= after for (start, size), (after, _) in pairwise(spans))
        assert chunks[0].total_compressed_size == chunks[3].total_compressed_size
        assert sum(one.total_uncompressed_size for one in chunks) == group.total_byte_size


def chunk_start(chunk: pq.ColumnChunkMetaData) -> int:
    first = chunk.dictionary_page_offset if chunk.has_dictionary_page else None
    return int(chunk.data_page_offset if first is None else first)


def test_rows_that_take_more_than_was_thought_are_written_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(row_group, "_most_bytes", lambda _: 1000)

    with TableWriter(tmp_path / "t.parquet", SCHEMA, row_group_rows=20_000) as writer:
        writer.write(batch(0, 20_000))
        writer.write(batch(20_000, 20_000))
        writer.close()

    read = pq.read_table(tmp_path / "t.parquet")
    assert read.equals(pa.Table.from_batches([batch(0, 40_000)]))


def test_files_of_others_are_taken_in_as_they_are(tmp_path: Path) -> None:
    for start in (0, 500):
        with TableWriter(tmp_path / f"{start}.parquet", SCHEMA, row_group_rows=99) as part:
            part.write(batch(start, 400))
            part.close()

    with TableWriter(tmp_path / "t.parquet", SCHEMA) as writer:
        writer.append(tmp_path / "0.parquet")
        writer.write(batch(400, 100))
        writer.append(tmp_path / "500.parquet")
        writer.write(batch(900, 100))
        written = writer.close()

    read = pq.read_table(tmp_path / "t.parquet").sort_by("id")
    assert read.equals(pa.Table.from_batches([batch(0, 1000)]))
    assert written.rows == 1000
    data = (tmp_path / "t.parquet").read_bytes()
    assert written.sha256 == hashlib.sha256(data).hexdigest()


def test_a_file_of_another_schema_is_not_taken_in(tmp_path: Path) -> None:
    pq.write_table(pa.table({"other": [1]}), tmp_path / "other.parquet")

    with TableWriter(tmp_path / "t.parquet", SCHEMA) as writer:
        writer.write(batch(0, 1))
        with pytest.raises(FooterError):
            writer.append(tmp_path / "other.parquet")


@pytest.mark.parametrize("threads", [0, 1])
def test_a_full_disk_is_out_of_disk(threads: int, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"

    with largest_file(4000), pytest.raises(OutOfDisk, match=str(path)):
        write_all(TableWriter(path, SCHEMA, threads=threads, row_group_rows=100))


def test_a_device_without_space_is_out_of_disk() -> None:
    with pytest.raises(OutOfDisk):
        TableWriter(Path("/dev/full"), SCHEMA)


def test_a_folder_that_is_not_there_is_not_writable(tmp_path: Path) -> None:
    with pytest.raises(OutputNotWritable, match="no such file"):
        TableWriter(tmp_path / "missing" / "t.parquet", SCHEMA)
