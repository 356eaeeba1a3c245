"""The rows of both sides of a run, counted through from 0, wherever the store holds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa

from kalla_core.engine.rows import Bools, Ints, Rows
from kalla_core.engine.spool.marks import dense, part_starts
from kalla_core.engine.spool.store import Store
from kalla_core.fragments.model import Hold
from kalla_core.matching.sql.query import Side

UNCONSUMED = -1


@dataclass(frozen=True)
class Whole:
    """All rows of a filled store whose rows carry their numbers once they are spooled.

    Attributes:
        by: for each row of a side the index of the pass that consumed it, or `UNCONSUMED`.
    """

    store: Store
    by: Mapping[Side, Ints]
    _held: dict[Side, Rows] = field(default_factory=dict)

    @classmethod
    def of(cls, store: Store) -> Whole:
        """Return the rows of a store that all scans have filled, none of them consumed."""
        counts = {side: store.row_count(side) for side in Side}
        return cls(store, {side: np.full(n, UNCONSUMED, np.int64) for side, n in counts.items()})

    @property
    def in_memory(self) -> bool:
        """Whether all rows are held."""
        return self.store.hold is Hold.MEMORY

    def rows(self, side: Side) -> Rows:
        """Return all rows of a side, if they are held."""
        if side not in self._held:
            self._held[side] = self.store.rows(side)
        return self._held[side]

    @cached_property
    def _starts(self) -> Mapping[Side, Ints]:
        return {side: part_starts(self.store.part_rows(side)) for side in Side}

    def places(self, rows: Rows) -> Ints:
        """Return where these rows are, counted through."""
        if rows.ids is None:
            return np.arange(rows.count, dtype=np.int64)
        return dense(self._starts[rows.side], rows.ids)

    def left_over(self, side: Side) -> Bools:
        """Return which rows no pass has consumed."""
        free: Bools = self.by[side] == UNCONSUMED
        return free

    def batches(
        self, side: Side, buckets: tuple[int, ...] | None = None
    ) -> Iterator[tuple[pa.RecordBatch, Ints]]:
        """Yield all rows, or those of some buckets, with their places; columns of the source."""
        if self.in_memory:
            rows = self.rows(side)
            for batch, start in zip(rows.batches, rows.starts, strict=True):
                yield batch, np.arange(start, start + batch.num_rows, dtype=np.int64)
            return
        width = len(self.store.shapes[side].schema)
        for batch in self.store.stream(side, buckets):
            numbers = batch.column(width).to_numpy(zero_copy_only=False)
            yield batch.select(range(width)), dense(self._starts[side], numbers)
