"""The candidates of one match SQL among the rows that no earlier pass consumed.

Rows that are held are joined in one piece, as a run of this SQL alone would join them. Others are
cut anew by the keys of this SQL, since those of another pass do not bring its rows together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from kalla_core.engine.budget import Budget
from kalla_core.engine.joins.context import JoinContext, primary_keys
from kalla_core.engine.joins.join import pairs_of
from kalla_core.engine.keys.keying import Keying
from kalla_core.engine.passes.found import Found, Looked
from kalla_core.engine.passes.whole import Whole
from kalla_core.engine.rows import Bools, Ints, Rows
from kalla_core.engine.spool.pieces import pieces
from kalla_core.engine.spool.store import PART_SHIFT, Plan, Store
from kalla_core.engine.tasks import run_all
from kalla_core.fragments.cut import bucket_count, coalesce
from kalla_core.fragments.model import Hold
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.planned import Strategy

_PLACE = np.uint64((1 << PART_SHIFT) - 1)


@dataclass(frozen=True)
class Finding:
    """Finds the candidates of one pass.

    Attributes:
        found: takes them.
        name: of a folder that is there while they are looked for.
        left_out: where rows of a side are that take no part.
    """

    context: JoinContext
    whole: Whole
    budget: Budget
    looked: Looked
    found: Found
    name: str
    left_out: Mapping[Side, Ints] = field(default_factory=dict)

    def run(self) -> None:
        """Find all candidates.

        Raises:
            KallaError: as `match` does.
        """
        if self.whole.in_memory:
            self._join_held()
            return
        folder = self.whole.store.plan.folder / self.name
        folder.mkdir()
        store, places = self._cut(folder)
        try:
            self._join_cut(store, places)
        finally:
            store.remove()
            folder.rmdir()

    def _free(self, side: Side) -> Bools:
        free = self.whole.left_over(side)
        if side in self.left_out:
            free[self.left_out[side]] = False
        return free

    def _join_held(self) -> None:
        sides: dict[Side, Rows] = {}
        places: dict[Side, Ints] = {}
        for side in Side:
            rows, free = self.whole.rows(side), self._free(side)
            places[side] = np.flatnonzero(free)
            if not free.all():
                kept = [
                    batch.filter(pa.array(free[start : start + batch.num_rows]))
                    for batch, start in zip(rows.batches, rows.starts, strict=True)
                ]
                rows = Rows(side, rows.shape, tuple(batch for batch in kept if batch.num_rows))
            sides[side] = rows
        self._join(self.context, sides[Side.LEFT], sides[Side.RIGHT], places)

    def _cut(self, folder: Path) -> tuple[Store, dict[Side, Ints]]:
        """Cut the rows by the keys of this pass; return them, and the places of all in order."""
        outer, keying = self.whole.store, Keying(self.context.planned)
        total = int(outer.bucket_bytes().sum())
        plan = Plan(
            folder=folder,
            numbered=True,
            whole_bytes=self.budget.whole_bytes,
            run_bytes=self.budget.run_bytes,
            buckets=lambda held: bucket_count(max(total, held), self.budget.join_bytes),
        )
        store = Store(outer.shapes, plan, keying.buckets)
        places: dict[Side, Ints] = {}
        for side in Side:
            free = self._free(side)
            part, kept_places = store.part(side, 0), [np.zeros(0, dtype=np.int64)]
            for batch, where in self.whole.batches(side):
                self.context.stop.check()
                kept = free[where]
                if kept.any():
                    part.append([batch.filter(pa.array(kept))])
                    kept_places.append(where[kept])
            part.finish()
            places[side] = np.concatenate(kept_places)
        store.finish()
        return store, places

    def _join_cut(self, store: Store, places: dict[Side, Ints]) -> None:
        if store.hold is Hold.MEMORY:
            self._join_all(store, places)
        elif self.context.planned.strategy is Strategy.COPARTITION:
            self._by_bucket(store, places)
        else:
            self._against_whole(store, places)

    def _join_all(self, store: Store, places: dict[Side, Ints]) -> None:
        left, right = (store.rows(side) for side in Side)
        self._join(self.context, left, right, places)

    def _by_bucket(self, store: Store, places: dict[Side, Ints]) -> None:
        """Join small groups of buckets side by side, then what is larger, one by one."""
        sizes = store.bucket_bytes()
        groups = coalesce(sizes.tolist(), self.budget.group_bytes(int(sizes.sum())))
        small = [g for g in groups if int(sizes[list(g)].sum()) <= self.budget.join_bytes]
        large = [g for g in groups if g not in set(small)]
        context = self.context.one_thread(self.budget)
        tasks = [partial(self._join_buckets, context, store, places, group) for group in small]
        run_all(tasks, self.budget.threads, self.context.stop)
        for group in large:
            self._join_buckets(self.context, store, places, group)

    def _join_buckets(
        self,
        context: JoinContext,
        store: Store,
        places: dict[Side, Ints],
        group: tuple[int, ...],
    ) -> None:
        left, right = (store.rows(side, group) for side in Side)
        self._join(context, left, right, places)

    def _against_whole(self, store: Store, places: dict[Side, Ints]) -> None:
        """Join one side whole with pieces of the other, where the SQL allows it."""
        count = store.buckets
        sizes = {
            side: int(store.spool(side).bucket_bytes(count).sum())
            for side in self.context.planned.replicable
        }
        fits = [side for side, size in sizes.items() if size <= self.budget.join_bytes]
        if not fits:
            self._join_all(store, places)
            return
        side = min(fits, key=sizes.__getitem__)
        copy = store.rows(side)
        every = tuple(range(count))
        for piece in pieces(store, side.other, every, self.budget.join_bytes):
            left, right = (copy, piece) if side is Side.LEFT else (piece, copy)
            self._join(self.context, left, right, places)

    def _join(
        self, context: JoinContext, left: Rows, right: Rows, places: dict[Side, Ints]
    ) -> None:
        planned = context.planned
        rows = {Side.LEFT: left, Side.RIGHT: right}
        for output, at_left, at_right in pairs_of(context, left, right):
            at = {Side.LEFT: at_left, Side.RIGHT: at_right}
            keys = tuple(primary_keys(planned, output, rows[side], at[side]) for side in Side)
            self.found.add(
                output.columns,
                (keys[0], keys[1]),
                looked_at(self.looked, rows, at),
                (
                    _places(left, at_left, places[Side.LEFT]),
                    _places(right, at_right, places[Side.RIGHT]),
                ),
            )
            context.progress.add(matched=output.num_rows)
        context.progress.add(rows=left.count + right.count, fragments=1)


def looked_at(looked: Looked, rows: dict[Side, Rows], at: dict[Side, Ints]) -> Sequence[pa.Array]:
    """Return the columns that the rules look at, of pairs."""
    indices = {side: pa.array(at[side]) for side in Side}
    return [rows[side].column(name).take(indices[side]) for side, name in looked.columns]


def _places(rows: Rows, at: Ints, places: Ints) -> Ints:
    """Return where rows are in the whole source; `places` has those of all that were joined."""
    if rows.ids is None:
        return places[at]
    return places[(rows.ids[at] & _PLACE).view(np.int64)]
