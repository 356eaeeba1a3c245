"""Batches encoded in memory as a small Parquet file, each column as suits it.

What was measured (1.75M rows, 15 columns, mostly text, one core, seconds and MB):
lz4 1.1 and 126, snappy 1.2 and 125, zstd 1.5 and 74, none 1.0 and 300. Hashes hardly shrink, but
cost three times as much with lz4 as without. Statistics of text columns cost a fifth of the time,
those of decimals more than their encoding, and they help nobody where rows are in no order, so
only other columns have them. Dictionaries save time on columns that repeat and cost some on those
that do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_SAMPLE_ROWS = 8192
_FEW_DISTINCT = 0.1
_SHRUNK = 0.8
_CODEC = "lz4"
_PAGE_BYTES = 1 << 20
_MOST_AT_ONCE = 1024

_WORTH_SCRATCH_ROWS = 8192
_MOST_SCRATCH_BYTES = 128 << 20
"""Of addresses: memory is what is written of it, which is a fifth or less."""
_VALUE_BYTES = 4
"""For lengths and levels, and for integers that take more than in Arrow."""
_COLUMN_BYTES = 1 << 17
"""For heads of pages, statistics and dictionaries."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How columns are encoded.

    Attributes:
        dictionaries: names of the columns that have one.
        compression: a codec for all, or one per leaf column, by its path.
    """

    dictionaries: Sequence[str] = ()
    compression: str | Mapping[str, str] = _CODEC


def suited_encoding(rows: pa.Table) -> Encoding:
    """Return the encoding that suits rows like the first of `rows`."""
    sample = rows.slice(0, _SAMPLE_ROWS)
    few = max(1.0, _FEW_DISTINCT * sample.num_rows)
    dictionaries = [
        field.name
        for field, column in zip(sample.schema, sample.columns, strict=True)
        if not pa.types.is_nested(field.type) and pc.count_distinct(column).as_py() <= few
    ]
    compression = _codecs_that_pay(encode(sample, Encoding(dictionaries)))
    return Encoding(dictionaries, compression)


def encode(rows: pa.Table, encoding: Encoding) -> pa.Buffer:
    """Return a whole Parquet file that holds `rows`, which may be none, in one row group."""
    sink = pa.BufferOutputStream()
    _encode(rows, encoding, sink)
    return sink.getvalue()


class Scratch:
    """Memory that row groups are encoded into, one after the other, by several threads at once.

    What grows is copied each time that it does, and memory that is fresh costs more than that.
    """

    def __init__(self) -> None:
        self._idle: list[pa.Buffer] = []

    @contextmanager
    def encoded(self, rows: pa.Table, encoding: Encoding) -> Iterator[memoryview]:
        """Give the same as `encode` does, until the block ends."""
        most = _most_bytes(rows)
        if rows.num_rows < _WORTH_SCRATCH_ROWS or most > _MOST_SCRATCH_BYTES:
            yield memoryview(encode(rows, encoding))
            return
        try:
            memory = self._idle.pop()
        except IndexError:
            memory = pa.allocate_buffer(0)
        if memory.size < most:
            memory = pa.allocate_buffer(most)
        sink = pa.FixedSizeBufferWriter(memory)
        try:
            _encode(rows, encoding, sink)
        except (pa.ArrowException, OSError):  # it takes more than it should
            yield memoryview(encode(rows, encoding))
            return
        yield memoryview(memory)[: sink.tell()]
        self._idle.append(memory)


def _most_bytes(rows: pa.Table) -> int:
    """Return about how much a table takes at most, once encoded."""
    values, held = rows.num_rows * rows.num_columns, rows.nbytes
    return int(held + held // 8 + values * _VALUE_BYTES + rows.num_columns * _COLUMN_BYTES)


def _encode(rows: pa.Table, encoding: Encoding, sink: pa.NativeFile) -> None:
    with pq.ParquetWriter(
        sink,
        rows.schema,
        compression=encoding.compression,
        use_dictionary=list(encoding.dictionaries),
        write_statistics=[f.name for f in rows.schema if _is_cheap_to_compare(f.type)],
        write_batch_size=_values_at_once(rows),
    ) as writer:
        if rows.num_rows:
            writer.write_table(rows, row_group_size=rows.num_rows)


def _values_at_once(rows: pa.Table) -> int:
    """Return after how many values to look whether a page is full: wide ones make it so sooner."""
    count = max(len(rows), 1)
    widest = max((_widest(column) for column in rows.columns), default=0)
    mean = max((column.nbytes // count for column in rows.columns), default=0)
    return int(max(1, min(_MOST_AT_ONCE, _PAGE_BYTES // max(widest, mean, 1))))


def _widest(column: pa.ChunkedArray) -> int:
    """Return the bytes of the widest value of a column of text; 0 of others."""
    if not _is_text(column.type):
        return 0
    return max(map(_longest, column.chunks), default=0)


def _longest(text: pa.Array) -> int:
    offsets = text.buffers()[1]
    if offsets is None or not len(text):
        return 0
    ends = np.frombuffer(offsets, np.int32)[text.offset : text.offset + len(text) + 1]
    return int(np.diff(ends).max())


def _codecs_that_pay(file: pa.Buffer) -> dict[str, str]:
    group = pq.read_metadata(pa.BufferReader(file)).row_group(0)
    chunks = [group.column(index) for index in range(group.num_columns)]
    return {chunk.path_in_schema: _CODEC if _has_shrunk(chunk) else "none" for chunk in chunks}


def _has_shrunk(chunk: pq.ColumnChunkMetaData) -> bool:
    return bool(chunk.total_compressed_size <= _SHRUNK * chunk.total_uncompressed_size)


def _is_cheap_to_compare(arrow: pa.DataType) -> bool:
    return not (_is_text(arrow) or pa.types.is_decimal(arrow))


def _is_text(arrow: pa.DataType) -> bool:
    return bool(pa.types.is_string(arrow) or pa.types.is_binary(arrow))
