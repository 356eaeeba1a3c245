"""Rows of evidence in batches that are bounded in bytes, however wide a row is.

A value that repeats lies once in a dictionary, so that what rows take when they are encoded tells
nothing of what they take otherwise. Such columns are read as they lie in the file, and unfolded
for as many rows at a time as then fit into `BATCH_BYTES`. What remains is that rows of one row
group differ in width, and all wide ones may be decoded at once: at most what such columns take in
the group, which whoever wrote it has bounded (see `writer`). `read_rows` asks whoever counts the
memory before it decodes what may be so much, and tells what it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

BATCH_BYTES = 2 << 20
"""What a batch takes about, unless it is a single row."""

PAGE_BYTES = 1 << 20
"""What is held of a column while it is read: a page of it."""

_MOST_ROWS = 1 << 16
_ANY_WIDTH = "BYTE_ARRAY"


class Memory(Protocol):
    """Counts what rows take that are being read."""

    def may_take(self, most_bytes: int) -> None:
        """Let rows be decoded that take so much at most; blocks until that may be."""
        ...

    def count(self, used_bytes: int) -> None:
        """Count what decoded rows take, until the next are counted."""
        ...


def folded(metadata: pq.FileMetaData, schema: pa.Schema) -> list[str]:
    """Return the columns of text or bytes that have dictionaries in any row group."""
    names: set[str] = set()
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        chunks = (group.column(index) for index in range(group.num_columns))
        names.update(chunk.path_in_schema for chunk in chunks if chunk.has_dictionary_page)
    return [field.name for field in schema if field.name in names and _has_widths(field.type)]


def read_rows(
    file: pq.ParquetFile,
    schema: pa.Schema,
    limit: int | None = None,
    memory: Memory | None = None,
    columns: Sequence[str] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file, or the first `limit` of them, of which few more are decoded.

    Args:
        file: opened so that what `folded` returns comes in dictionaries.
        schema: of the rows.
        memory: is asked before rows are decoded, and told what they take that are cut into
            batches next.
        columns: the only ones to read, in this order; all by default.
    """
    if columns is not None:
        schema = pa.schema([schema.field(name) for name in columns])
    left = file.metadata.num_rows if limit is None else limit
    for number in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(number)
        most = min(fitting(group.total_byte_size / max(group.num_rows, 1)), max(left, 1))
        for batch in _decoded(file, number, most, memory, columns):
            # Columns are told by their beginning up to a dot: others may have come with them.
            wanted = batch.select(schema.names).slice(0, left)
            for start, end in _pieces(wanted):
                yield unfolded(wanted.slice(start, end - start), schema)
            left -= wanted.num_rows
            if left <= 0:
                return


def _decoded(
    file: pq.ParquetFile,
    number: int,
    most: int,
    memory: Memory | None,
    columns: Sequence[str] | None,
) -> Iterator[pa.RecordBatch]:
    uneven = _uneven_bytes(file.metadata.row_group(number))
    batches = file.iter_batches(most, row_groups=[number], columns=columns)
    while True:
        if memory is not None:
            memory.may_take(uneven)
        batch = next(batches, None)
        if memory is not None:
            memory.count(0 if batch is None else batch.nbytes)
        if batch is None:
            return
        yield batch


def _uneven_bytes(group: pq.RowGroupMetaData) -> int:
    """Return what values take that lie in a row group as they are, of columns of any width."""
    chunks = (group.column(index) for index in range(group.num_columns))
    return sum(
        chunk.total_uncompressed_size
        for chunk in chunks
        if chunk.physical_type == _ANY_WIDTH and not chunk.has_dictionary_page
    )


def reading_bytes(file: pq.ParquetFile) -> int:
    """Return how much memory reading rows of a file takes at most, about."""
    metadata = file.metadata
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    largest = max((group.total_byte_size for group in groups), default=0)
    return int(min(largest, metadata.num_columns * PAGE_BYTES)) + min(largest, BATCH_BYTES)


def _pieces(batch: pa.RecordBatch) -> Iterator[tuple[int, int]]:
    """Yield ranges of rows that take no more than a batch may, or are one row each."""
    ends = np.cumsum(_row_bytes(batch))
    start = 0
    while start < batch.num_rows:
        before = ends[start - 1] if start else 0
        end = int(np.searchsorted(ends, before + BATCH_BYTES, side="right"))
        yield start, max(end, start + 1)
        start = max(end, start + 1)
    if not batch.num_rows:
        yield 0, 0


def _row_bytes(batch: pa.RecordBatch) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return what each row takes once it is unfolded."""
    widths = np.zeros(batch.num_rows, np.int64)
    for column in batch.columns:
        if pa.types.is_dictionary(column.type):
            lengths = pc.binary_length(column.dictionary).take(column.indices)
        elif _has_widths(column.type):
            lengths = pc.binary_length(column)
        else:
            widths += -(-column.nbytes // max(batch.num_rows, 1))
            continue
        widths += lengths.fill_null(0).to_numpy(zero_copy_only=False)
    return widths


def unfolded(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch with the columns of `schema`, none of them in a dictionary."""
    columns = [
        column if column.type == field.type else column.cast(field.type)
        for column, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _has_widths(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(type_)
        or pa.types.is_binary(type_)
        or pa.types.is_large_string(type_)
        or pa.types.is_large_binary(type_)
    )


def fitting(row_bytes: float) -> int:
    """Return how many rows of a width a batch should have."""
    return int(max(1, min(BATCH_BYTES / max(row_bytes, 1), _MOST_ROWS)))
