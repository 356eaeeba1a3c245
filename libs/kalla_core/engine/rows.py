"""The rows of one side that a join works on, in memory, numbered from 0."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import chain, islice
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.columns import place_of
from kalla_core.engine.tasks import Stop, run_all
from kalla_core.matching.sql.query import ROW, Side, TableShape

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
IdArray = npt.NDArray[np.uint64]

_BATCH_ROWS = 65_536
_WORTH_A_LOOK_ROWS = 1 << 13
"""From so many on that are looked up, it is looked whether the texts of a column are alike."""
_LARGE_BYTES = 1 << 31
"""What 32-bit offsets of text can address."""


@dataclass(frozen=True)
class Rows:
    """Batches of one side in the order of the source.

    Attributes:
        batches: with the columns of the source and nothing else.
        ids: the number each row has in the whole source, uint64, where it is not its position
            here; see `kalla_core.engine.spool.scan`.
    """

    side: Side
    shape: TableShape
    batches: tuple[pa.RecordBatch, ...]
    ids: IdArray | None = None
    _columns: dict[str, pa.Array] = field(default_factory=dict)
    _of_one_width: dict[str, pa.Array | None] = field(default_factory=dict)

    @property
    def schema(self) -> pa.Schema:
        """The source's own columns."""
        return self.shape.schema

    @cached_property
    def count(self) -> int:
        """How many rows there are."""
        return sum(batch.num_rows for batch in self.batches)

    @cached_property
    def starts(self) -> Ints:
        """Position of each batch's first row."""
        lengths = [batch.num_rows for batch in self.batches]
        return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])[:-1].astype(np.int64)

    def numbered(self) -> tuple[pa.RecordBatch, ...]:
        """Return the batches with the hidden column ROW: the row's number in the whole source.

        At least one batch, if without rows: it is by the column that a query tells what to do.
        """
        if not self.batches:
            return (pa.RecordBatch.from_pylist([], schema=numbered_schema(self.schema)),)
        ids = np.arange(self.count, dtype=np.uint64) if self.ids is None else self.ids
        return tuple(
            _with_row(batch, ids[start : start + batch.num_rows])
            for batch, start in zip(self.batches, self.starts, strict=True)
        )

    def marked(self, marks: Bools) -> list[pa.RecordBatch]:
        """Return the rows that are marked, batch by batch."""
        return [
            batch.take(pa.array(np.flatnonzero(marks[start : start + batch.num_rows])))
            for batch, start in zip(self.batches, self.starts, strict=True)
        ]

    def column(self, name: str) -> pa.Array:
        """Return one column of all rows as one array; kept, for it may be asked for again.

        Text and binary of 2 GiB and more come as their large types.
        """
        if name not in self._columns:
            index = place_of(name, self.schema.names)
            chunks = [batch.column(index) for batch in self.batches]
            self._columns[name] = _joined(chunks, self.schema.field(index).type)
        return self._columns[name]

    def keys(self, positions: Ints) -> list[pa.Array]:
        """Return the columns of the primary key for these rows."""
        indices = pa.array(positions)
        return [self.values(name, indices) for name in self.shape.primary_key]

    @property
    def at_hand(self) -> Collection[str]:
        """The columns of which rows can be looked up without putting anything together."""
        return self._columns.keys()

    def values(self, name: str, indices: pa.Array) -> pa.Array:
        """Return what these rows have in a column, of the type that the source has."""
        column, kind = self.column(name), self.schema.field(name).type
        if len(indices) < _WORTH_A_LOOK_ROWS or column.type != pa.string():
            return pc.take(column, indices).cast(kind)
        if name not in self._of_one_width:
            self._of_one_width[name] = _as_one_width(column)
        texts = self._of_one_width[name]
        if texts is None or len(indices) * texts.type.byte_width >= _LARGE_BYTES:
            return pc.take(column, indices)
        return _as_text(texts.take(indices))

    def positions(self, ids: IdArray) -> Ints:
        """Return the positions of rows that are named by their number in the whole source."""
        if self.ids is None:
            return ids.view(np.int64)
        order = self._id_order
        return order[np.searchsorted(self.ids, ids, sorter=order)]

    def numbers(self, positions: Ints) -> IdArray:
        """Return the numbers that these rows have in the whole source."""
        return positions.view(np.uint64) if self.ids is None else self.ids[positions]

    @cached_property
    def _id_order(self) -> Ints:
        assert self.ids is not None  # noqa: S101 - only asked for where there are ids
        return np.argsort(self.ids, kind="stable")

    def take(self, positions: Ints, columns: Collection[str]) -> pa.Table:
        """Return these rows with the values of `columns`; every other column is null."""
        indices = pa.array(positions)
        arrays = [
            self.values(field.name, indices)
            if field.name in columns
            else pa.nulls(len(positions), field.type)
            for field in self.schema
        ]
        return pa.Table.from_arrays(arrays, schema=_nullable(self.schema))


def in_one_piece(side: Side, shape: TableShape, batches: list[pa.RecordBatch]) -> Rows:
    """Lay rows out as one array per column, so that looking rows up copies nothing more.

    Empties `batches`, and lets go of each column's old memory before it turns to the next.
    """
    (rows,) = in_pieces([(side, shape, batches)], 1, Stop())
    return rows


def in_pieces(
    some: Sequence[tuple[Side, TableShape, list[pa.RecordBatch]]], threads: int, stop: Stop
) -> list[Rows]:
    """Lay rows of several sides out as `in_one_piece` does, as many columns at once as threads."""
    columns = [_columns(shape, batches) for _, shape, batches in some]
    tasks = [partial(_let_go, chunks, kind) for chunks, kind in chain.from_iterable(columns)]
    arrays = iter(run_all(tasks, threads, stop))
    found = []
    for (side, shape, batches), of_side in zip(some, columns, strict=True):
        if batches:
            found.append(Rows(side, shape, tuple(batches)))
            continue
        laid = dict(zip(shape.schema.names, islice(arrays, len(of_side)), strict=True))
        table = pa.Table.from_arrays(list(laid.values()), schema=shape.schema)
        found.append(Rows(side, shape, tuple(table.to_batches(_BATCH_ROWS)), _columns=laid))
    return found


def _columns(
    shape: TableShape, batches: list[pa.RecordBatch]
) -> list[tuple[list[pa.Array], pa.DataType]]:
    """Take batches apart and empty them; none of it if they are too large for one piece."""
    if sum(batch.nbytes for batch in batches) >= _LARGE_BYTES:
        return []
    chunks = [[batch.column(index) for batch in batches] for index in range(len(shape.schema))]
    batches.clear()
    return list(zip(chunks, shape.schema.types, strict=True))


def _let_go(chunks: list[pa.Array], kind: pa.DataType) -> pa.Array:
    whole = _joined(chunks, kind)
    chunks.clear()
    return whole


def without_ids(side: Side, shape: TableShape, batches: Sequence[pa.RecordBatch]) -> Rows:
    """Split the ROW column, last in each batch, from the columns of the source."""
    width = len(shape.schema)
    parts = [batch.column(width).to_numpy(zero_copy_only=False) for batch in batches]
    ids = np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint64)
    bare = tuple(
        pa.RecordBatch.from_arrays(batch.columns[:width], schema=shape.schema) for batch in batches
    )
    return Rows(side, shape, bare, ids)


def distinct(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return each of some numbers once, ascending; there is no NaN among them.

    By sorting: NumPy looks for them by hashing, which takes several times as long.
    """
    ordered = np.sort(values)
    first = np.ones(len(ordered), dtype=np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]


def one_chunk(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return a column as one array; combining the chunks of one that has one copies it."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def numbered_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema with the hidden column ROW appended."""
    return schema.append(pa.field(ROW, pa.uint64(), nullable=False))


def _with_row(batch: pa.RecordBatch, ids: npt.NDArray[Any]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [*batch.columns, pa.array(ids, type=pa.uint64())], schema=numbered_schema(batch.schema)
    )


def _joined(chunks: list[pa.Array], kind: pa.DataType) -> pa.Array:
    if len(chunks) == 1:
        return chunks[0]
    if sum(chunk.nbytes for chunk in chunks) >= _LARGE_BYTES and kind in _LARGE_TYPES:
        return pa.concat_arrays([chunk.cast(_LARGE_TYPES[kind]) for chunk in chunks])
    return pa.concat_arrays(chunks) if chunks else pa.nulls(0, kind)


def _as_one_width(texts: pa.Array) -> pa.Array | None:
    """Return texts as bytes of one width, which are looked up in half the time, if they are so."""
    _, offsets, data = texts.buffers()
    if texts.null_count or not len(texts) or data is None:
        return None
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    width = int(ends[1] - ends[0])
    if ends[0] != texts.offset * width or not width or (np.diff(ends) != width).any():
        return None
    return pa.Array.from_buffers(pa.binary(width), len(texts), [None, data], offset=texts.offset)


def _as_text(fixed: pa.Array) -> pa.Array:
    ends = np.arange(len(fixed) + 1, dtype=np.int32) * np.int32(fixed.type.byte_width)
    _, data = fixed.buffers()
    return pa.Array.from_buffers(pa.string(), len(fixed), [None, pa.py_buffer(ends), data])


_LARGE_TYPES = {pa.string(): pa.large_string(), pa.binary(): pa.large_binary()}


def _nullable(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field.with_nullable(True) for field in schema])
