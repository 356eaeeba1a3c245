"""Joins that decide for themselves: all rows that could match each other are in one of them.

Groups of buckets that fit run side by side. A bucket that does not fit beside others has the
memory to itself; one that does not even fit then is cut into buckets of its own; and what is
still too large, because it is all one key, is joined in pieces or from disk, and settled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kalla_core.engine.budget import Budget
from kalla_core.engine.joins.context import JoinContext
from kalla_core.engine.joins.join import NeedsRoom, join
from kalla_core.engine.joins.totals import MatchingTotals, Way, add_up
from kalla_core.engine.keys.keying import Keying
from kalla_core.engine.reasons.crowds import crowds_of
from kalla_core.engine.rows import Rows
from kalla_core.engine.spool.store import Plan, Store
from kalla_core.engine.spool.uses import several
from kalla_core.engine.tasks import run_all
from kalla_core.fragments.cut import bucket_count, coalesce
from kalla_core.fragments.model import JoinFragment
from kalla_core.matching.sql.query import Side


@dataclass(frozen=True)
class BucketJoins:
    """Runs them over a store.

    Attributes:
        divided: the store is itself one bucket of another, cut up.
    """

    context: JoinContext
    store: Store
    keying: Keying
    budget: Budget
    divided: bool = False

    def whole(self) -> MatchingTotals:
        """Join everything in one piece, with all threads."""
        left, right = (self.store.rows(side) for side in Side)
        return self._joined(replace(self.context, alone=True), left, right, Way.WHOLE)

    def by_bucket(self) -> MatchingTotals:
        """Join small groups side by side, then what is too large for that, one by one."""
        sizes = self.store.bucket_bytes()
        most = self.budget.join_bytes
        groups = coalesce(sizes.tolist(), self.budget.group_bytes(int(sizes.sum())))
        fragments = {JoinFragment(group): int(sizes[list(group)].sum()) for group in groups}
        small = [fragment for fragment, size in fragments.items() if size <= most]
        large = {fragment: size for fragment, size in fragments.items() if size > most}
        context = self.context.one_thread(self.budget)
        tasks = [partial(self._join_beside, context, fragment) for fragment in small]
        tried = dict(zip(small, run_all(tasks, self.budget.threads, context.stop), strict=True))
        done = [totals for totals in tried.values() if totals is not None]
        done += [
            self._join(self.context, fragment, Way.ALONE)
            for fragment, totals in tried.items()
            if totals is None
        ]
        done += [self._join_large(fragment, size) for fragment, size in large.items()]
        return add_up(done)

    def _join_beside(self, context: JoinContext, fragment: JoinFragment) -> MatchingTotals | None:
        """Join with a share of the memory; None if it needs more than that, and there is more."""
        try:
            return self._join(context, fragment, Way.SIDE_BY_SIDE)
        except NeedsRoom:
            if self.budget.threads == 1:
                raise
            return None

    def _join(self, context: JoinContext, fragment: JoinFragment, way: Way) -> MatchingTotals:
        left = self.store.rows(Side.LEFT, fragment.buckets)
        right = self.store.rows(Side.RIGHT, fragment.buckets)
        return self._joined(context, left, right, way)

    def _join_large(self, fragment: JoinFragment, size: int) -> MatchingTotals:
        if size <= self.budget.whole_bytes:
            return self._join(self.context, fragment, Way.ALONE)
        if not self.divided:
            return self._divide(fragment.buckets[0], size)
        from kalla_core.engine.joins.settled_joins import SettledJoins

        settled = SettledJoins(self.context, self.store, fragment.buckets, self.budget)
        return settled.run()

    def _divide(self, bucket: int, size: int) -> MatchingTotals:
        """Cut one bucket into buckets of its own, which the same hash, taken further, gives.

        Rows get numbers, by which they are settled if one of the new buckets is too large again.
        """
        count = max(bucket_count(size, self.budget.join_bytes), 2)
        outer = self.store.buckets

        def inner(
            side: Side, batches: Sequence[pa.RecordBatch], buckets: int
        ) -> npt.NDArray[np.int64]:
            return self.keying.buckets(side, batches, outer * buckets) // outer

        folder = self.store.plan.folder / f"bucket-{bucket}"
        folder.mkdir()
        plan = Plan(folder, True, 0, self.budget.run_bytes, lambda _: count)
        store = Store(self.store.shapes, plan, inner)
        for side in Side:
            rows = store.part(side, 0)
            for batch in self.store.stream(side, (bucket,)):
                rows.append([batch])
            rows.finish()
        store.finish()
        divided = BucketJoins(self.context, store, self.keying, self.budget, divided=True)
        totals = divided.by_bucket()
        store.remove()
        folder.rmdir()
        return replace(totals, ways={**totals.ways, Way.DIVIDED: 1})

    def _joined(self, context: JoinContext, left: Rows, right: Rows, way: Way) -> MatchingTotals:
        uses = join(context, left, right)
        self.context.progress.add(rows=left.count + right.count, fragments=1)
        return MatchingTotals(
            {Side.LEFT: left.count, Side.RIGHT: right.count},
            {side: int(np.count_nonzero(one.matched)) for side, one in uses.items()},
            {rows.side: several(rows, uses[rows.side].again) for rows in (left, right)},
            {way: 1},
            crowds_of(context.planned, [(rows, uses[rows.side].again) for rows in (left, right)]),
        )
