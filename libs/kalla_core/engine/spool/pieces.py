"""Rows of one side, as many at a time as memory holds; and all of them, but only what is needed.

Where a bucket is too large for a join, mostly because it is all one key, its rows are taken piece
by piece. To say why a row is unmatched, all rows of the other side are looked at, of which few
columns matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from kalla_core.engine.rows import Rows, numbered_schema, without_ids
from kalla_core.engine.spool.store import Store
from kalla_core.matching.sql.mentions import mentioned_columns
from kalla_core.matching.sql.query import ROW, Side, TableShape


def pieces(store: Store, side: Side, buckets: tuple[int, ...], most_bytes: int) -> Iterator[Rows]:
    """Yield the rows of some buckets of a numbered store, about `most_bytes` at a time."""
    return pieces_of(side, store.shapes[side], store.stream(side, buckets), most_bytes)


def pieces_of(
    side: Side, shape: TableShape, batches: Iterable[pa.RecordBatch], most_bytes: int
) -> Iterator[Rows]:
    """Yield the rows of batches that carry their numbers, about `most_bytes` at a time."""
    held: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        if held and size + batch.nbytes > most_bytes:
            yield without_ids(side, shape, held)
            held, size = [], 0
        held.append(batch)
        size += batch.nbytes
    if held:
        yield without_ids(side, shape, held)


def what_reasons_need(store: Store, side: Side, buckets: tuple[int, ...], sql: str) -> Rows:
    """Return the rows of some buckets; columns that the match SQL does not read are null."""
    shape = store.shapes[side]
    needed = mentioned_columns(sql, shape) | {ROW}
    blanks = Blanks()
    narrow = [blanks.instead(batch, needed) for batch in store.stream(side, buckets)]
    return without_ids(side, shape, narrow)


class Blanks:
    """Arrays of nulls, which many batches share."""

    def __init__(self) -> None:
        self._arrays: dict[pa.DataType, pa.Array] = {}

    def instead(self, batch: pa.RecordBatch, needed: frozenset[str]) -> pa.RecordBatch:
        """Return the batch with nulls in the place of the columns that are not needed."""
        arrays = [
            column if field.name in needed else self.nulls(field.type, batch.num_rows)
            for field, column in zip(batch.schema, batch.columns, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)

    def nulls(self, kind: pa.DataType, count: int) -> pa.Array:
        """Return so many nulls of a type."""
        if kind not in self._arrays or len(self._arrays[kind]) < count:
            self._arrays[kind] = pa.nulls(count, kind)
        return self._arrays[kind].slice(0, count)


class Narrow:
    """Numbered rows of a side without the columns that the match SQL does not read.

    Attributes:
        schema: of such rows.
    """

    def __init__(self, shape: TableShape, sql: str) -> None:
        needed = mentioned_columns(sql, shape) | {ROW}
        self._wide = numbered_schema(shape.schema)
        self.schema = pa.schema([field for field in self._wide if field.name in needed])
        self._blanks = Blanks()

    def narrowed(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return a batch without the columns that are not needed."""
        return batch.select(self.schema.names)

    def widened(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch with nulls in their place."""
        arrays = [
            batch.column(field.name)
            if field.name in self.schema.names
            else self._blanks.nulls(field.type, batch.num_rows)
            for field in self._wide
        ]
        return pa.RecordBatch.from_arrays(arrays, names=self._wide.names)
