"""Rows of one side, as many at a time as memory holds; and all of them, but only what is needed.

Where a bucket is too large for a join, mostly because it is all one key, its rows are taken piece
by piece. To say why a row is unmatched, all rows of the other side are looked at, of which few
columns matter.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from kalla_core.engine.rows import Rows, without_ids
from kalla_core.engine.store import Store
from kalla_core.matching.mentions import mentioned_columns
from kalla_core.matching.query import ROW, Side


def pieces(store: Store, side: Side, buckets: tuple[int, ...], most_bytes: int) -> Iterator[Rows]:
    """Yield the rows of some buckets of a numbered store, about `most_bytes` at a time."""
    held: list[pa.RecordBatch] = []
    size = 0
    for batch in store.stream(side, buckets):
        if held and size + batch.nbytes > most_bytes:
            yield without_ids(side, store.shapes[side], held)
            held, size = [], 0
        held.append(batch)
        size += batch.nbytes
    if held:
        yield without_ids(side, store.shapes[side], held)


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
            column if field.name in needed else self._nulls(field.type, batch.num_rows)
            for field, column in zip(batch.schema, batch.columns, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)

    def _nulls(self, kind: pa.DataType, count: int) -> pa.Array:
        if kind not in self._arrays or len(self._arrays[kind]) < count:
            self._arrays[kind] = pa.nulls(count, kind)
        return self._arrays[kind].slice(0, count)
