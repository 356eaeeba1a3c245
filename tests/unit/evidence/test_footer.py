import io
from itertools import pairwise
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalla_core.evidence.footer import MAGIC, FooterError, MergedFooter, read_footer, split

ROWS = pa.table(
    {
        "id": pa.array(range(1000), pa.int64()),
        "text": [None if i % 7 == 0 else f"row {i}" for i in range(1000)],
        "kind": ["a", "b"] * 500,
        "nested": [{"deep": [i, None]} if i % 3 else None for i in range(1000)],
    }
)


def parquet(rows: pa.Table, **options: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(rows, sink, **options)
    return sink.getvalue()


def joined(files: list[bytes]) -> bytes:
    _, model = split(memoryview(files[0]))
    footer, out = MergedFooter(model), bytearray(MAGIC)
    for file in files:
        body, end = split(memoryview(file))
        footer.add(end, len(out) - len(MAGIC))
        out += body
    return bytes(out) + footer.finish()


@settings(max_examples=30, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 1000), max_size=5),
    group_rows=st.sampled_from([1000, 100, 7]),
    page_index=st.booleans(),
    dictionary=st.booleans(),
    codec=st.sampled_from(["none", "lz4", "zstd"]),
)
def test_files_joined_are_one_file_with_all_rows_in_order(
    cuts: list[int], group_rows: int, page_index: bool, dictionary: bool, codec: str
) -> None:
    edges = [0, *sorted(cuts), 1000]
    files = [
        parquet(
            ROWS.slice(start, end - start),
            row_group_size=group_rows,
            write_page_index=page_index,
            use_dictionary=dictionary,
            compression=codec,
        )
        for start, end in pairwise(edges)
    ]

    whole = joined(files)

    read = pq.ParquetFile(pa.BufferReader(whole))
    assert read.read().equals(ROWS)
    assert read.metadata.num_rows == 1000
    assert read.metadata.serialized_size > 0


def test_another_reader_finds_each_row_group_and_its_statistics(tmp_path: Path) -> None:
    files = [
        parquet(ROWS.slice(start, 250), row_group_size=100, write_page_index=True)
        for start in range(0, 1000, 250)
    ]

    (tmp_path / "joined.parquet").write_bytes(joined(files))

    with duckdb.connect() as database:
        found = database.execute(
            "SELECT sum(id), count(text), min(kind) FROM read_parquet(?) WHERE id >= 333",
            [str(tmp_path / "joined.parquet")],
        ).fetchone()
    assert found == (sum(range(333, 1000)), sum(i % 7 != 0 for i in range(333, 1000)), "a")


def test_files_of_another_writer_are_joined_too(tmp_path: Path) -> None:
    with duckdb.connect() as database:
        for part in (0, 1):
            database.execute(
                f"COPY (SELECT range + {part} * 5000 AS id FROM range(5000)) "
                f"TO '{tmp_path}/{part}.parquet' (ROW_GROUP_SIZE 2048)"
            )
    files = [(tmp_path / f"{part}.parquet").read_bytes() for part in (0, 1)]

    read = pq.ParquetFile(pa.BufferReader(joined(files)))

    assert read.metadata.num_row_groups == 6
    assert read.read().column("id").to_pylist() == list(range(10_000))


def test_one_file_alone_keeps_its_footer_byte_for_byte() -> None:
    file = parquet(ROWS, row_group_size=100, write_page_index=True)

    again = joined([file])

    assert pq.read_metadata(pa.BufferReader(again)) == pq.read_metadata(pa.BufferReader(file))
    assert again == file


def test_the_footer_of_an_open_file_is_that_of_its_bytes() -> None:
    file = parquet(ROWS)
    body, end = split(memoryview(file))

    footer, body_bytes = read_footer(io.BytesIO(file))

    assert footer == end
    assert body_bytes == len(body)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"PAR1",
        b"PAR1PAR1",
        b"PAR1\x00\x00\x00\x00PAR1",
        b"PAR1\xff\xff\xff\x7fPAR1",
        parquet(ROWS)[:-1],
        parquet(ROWS)[1:],
    ],
)
def test_bytes_that_are_no_parquet_file_are_refused(broken: bytes) -> None:
    with pytest.raises(FooterError):
        split(memoryview(broken))
    with pytest.raises(FooterError):
        read_footer(io.BytesIO(broken))


def test_a_footer_that_is_cut_off_is_refused() -> None:
    _, end = split(memoryview(parquet(ROWS)))

    with pytest.raises(FooterError, match="not the footer"):
        MergedFooter(end[: len(end) // 2])


def test_files_of_unlike_schemas_do_not_become_one() -> None:
    with pytest.raises(FooterError, match="unlike schemas"):
        joined([parquet(ROWS), parquet(ROWS.drop_columns("text"))])
