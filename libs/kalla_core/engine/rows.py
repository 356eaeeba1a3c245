"""The rows of one side that a join works on, in memory, numbered from 0."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.matching.query import ROW, Side, TableShape

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
IdArray = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Rows:
    """Batches of one side in the order of the source.

    Attributes:
        batches: with the columns of the source and nothing else.
        ids: the number each row has in the whole source, uint64, where it is not its position
            here; see `kalla_core.engine.scan`.
    """

    side: Side
    shape: TableShape
    batches: tuple[pa.RecordBatch, ...]
    ids: IdArray | None = None
    _columns: dict[str, pa.Array] = field(default_factory=dict)

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

    @cached_property
    def numbered(self) -> tuple[pa.RecordBatch, ...]:
        """The batches with the hidden column ROW: the row's number in the whole source.

        At least one batch, if without rows: it is by the column that a query tells what to do.
        """
        if self.ids is None:
            return self.positioned
        return self._with_rows(self.ids)

    @cached_property
    def positioned(self) -> tuple[pa.RecordBatch, ...]:
        """The batches with the hidden column ROW: the row's position here; at least one."""
        return self._with_rows(np.arange(self.count, dtype=np.uint64))

    def _with_rows(self, ids: IdArray) -> tuple[pa.RecordBatch, ...]:
        if not self.batches:
            return (pa.RecordBatch.from_pylist([], schema=numbered_schema(self.schema)),)
        return tuple(
            _with_row(batch, ids[start : start + batch.num_rows])
            for batch, start in zip(self.batches, self.starts, strict=True)
        )

    def column(self, name: str) -> pa.Array:
        """Return one column of all rows as one array; kept, for it may be asked for again."""
        if name not in self._columns:
            self._columns[name] = self._joined(name)
        return self._columns[name]

    def _joined(self, name: str) -> pa.Array:
        index = self.schema.get_field_index(name)
        chunks = [batch.column(index) for batch in self.batches]
        if len(chunks) == 1:
            return chunks[0]
        return pa.concat_arrays(chunks) if chunks else pa.nulls(0, self.schema.field(index).type)

    def keys(self, positions: Ints) -> list[pa.Array]:
        """Return the columns of the primary key for these rows."""
        indices = pa.array(positions)
        return [pc.take(self.column(name), indices) for name in self.shape.primary_key]

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
            pc.take(self.column(field.name), indices)
            if field.name in columns
            else pa.nulls(len(positions), field.type)
            for field in self.schema
        ]
        return pa.Table.from_arrays(arrays, schema=_nullable(self.schema))


def without_ids(side: Side, shape: TableShape, batches: Sequence[pa.RecordBatch]) -> Rows:
    """Split the ROW column, last in each batch, from the columns of the source."""
    width = len(shape.schema)
    parts = [batch.column(width).to_numpy(zero_copy_only=False) for batch in batches]
    ids = np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint64)
    bare = tuple(
        pa.RecordBatch.from_arrays(batch.columns[:width], schema=shape.schema) for batch in batches
    )
    return Rows(side, shape, bare, ids)


def one_chunk(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return a column as one array."""
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def numbered_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema with the hidden column ROW appended."""
    return schema.append(pa.field(ROW, pa.uint64(), nullable=False))


def _with_row(batch: pa.RecordBatch, ids: npt.NDArray[Any]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [*batch.columns, pa.array(ids, type=pa.uint64())], schema=numbered_schema(batch.schema)
    )


def _nullable(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field.with_nullable(True) for field in schema])
