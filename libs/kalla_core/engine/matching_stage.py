"""The joins of a run, and which of its rows each of them takes.

in memory       one join takes everything
copartition     each group of buckets decides for itself; groups run side by side
broadcast       one side is taken whole by every join, the other by groups of buckets; which
                rows of the whole side stay unmatched is settled afterwards
single          one join takes everything, from disk if need be; settled afterwards
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from kalla_core.engine.budget import Budget
from kalla_core.engine.join import JoinContext, join, match, settle
from kalla_core.engine.marks import GlobalMarks
from kalla_core.engine.oversize import match_from_disk
from kalla_core.engine.progress import ProgressCounter
from kalla_core.engine.rows import Rows
from kalla_core.engine.store import Store
from kalla_core.engine.tasks import Stop, run_all
from kalla_core.fragments.cut import coalesce
from kalla_core.fragments.model import Hold, JoinFragment, SettleFragment
from kalla_core.matching.planned import Strategy
from kalla_core.matching.query import Side


@dataclass(frozen=True, slots=True)
class MatchingTotals:
    """Rows that entered joins, and distinct rows that are in a pair, per side."""

    joined: Mapping[Side, int]
    matched: Mapping[Side, int]


class MatchingStage:
    """Runs the joins over a store that all scans have filled."""

    def __init__(
        self, context: JoinContext, store: Store, budget: Budget, progress: ProgressCounter
    ) -> None:
        self._context = context
        self._store = store
        self._budget = budget
        self._progress = progress
        self._stop = Stop()

    def run(self) -> MatchingTotals:
        """Write all pairs and all unmatched rows.

        Raises:
            KallaError: as `join` does.
        """
        if self._store.hold is Hold.MEMORY:
            return self._sum([self._join_whole()])
        strategy = self._context.planned.strategy
        if strategy is Strategy.COPARTITION:
            return self._sum(self._join_buckets())
        if int(self._store.bucket_bytes().sum()) <= self._budget.whole_bytes:
            return self._sum([self._join_whole()])
        marks = {side: GlobalMarks(self._store.part_rows(side)) for side in Side}
        whole = self._whole_side() if strategy is Strategy.BROADCAST else None
        if whole is None:
            self._match_from_disk(marks)
        else:
            self._match_against(whole, marks)
        return self._settle_buckets(marks)

    def _join_whole(self) -> MatchingTotals:
        return self._joined(
            self._context, self._store.rows(Side.LEFT), self._store.rows(Side.RIGHT)
        )

    def _join_buckets(self) -> list[MatchingTotals]:
        """Join small groups side by side, then what is too large for that on its own."""
        sizes = self._store.bucket_bytes()
        groups = coalesce(sizes.tolist(), self._budget.join_bytes)
        fits = [int(sizes[list(group)].sum()) <= self._budget.join_bytes for group in groups]
        small = [JoinFragment(group) for group, fit in zip(groups, fits, strict=True) if fit]
        large = [JoinFragment(group) for group, fit in zip(groups, fits, strict=True) if not fit]
        context = self._shared_context()
        tasks = [partial(self._join_fragment, context, fragment) for fragment in small]
        done = run_all(tasks, self._budget.threads, self._stop)
        return done + [self._join_fragment(self._context, fragment) for fragment in large]

    def _join_fragment(self, context: JoinContext, fragment: JoinFragment) -> MatchingTotals:
        self._stop.check()
        left = self._store.rows(Side.LEFT, fragment.buckets)
        right = self._store.rows(Side.RIGHT, fragment.buckets)
        return self._joined(context, left, right)

    def _joined(self, context: JoinContext, left: Rows, right: Rows) -> MatchingTotals:
        matched_left, matched_right = join(context, left, right)
        self._progress.add(rows=left.count + right.count, fragments=1)
        return MatchingTotals(
            {Side.LEFT: left.count, Side.RIGHT: right.count},
            {Side.LEFT: matched_left, Side.RIGHT: matched_right},
        )

    def _whole_side(self) -> Side | None:
        """Return the smaller side that every join may take whole; None if none is small enough."""
        sizes = {
            side: int(self._store.spool(side).bucket_bytes(self._store.buckets).sum())
            for side in self._context.planned.replicable
        }
        fits = [side for side, size in sizes.items() if size <= self._budget.join_bytes]
        return min(fits, key=sizes.__getitem__, default=None)

    def _match_against(self, whole: Side, marks: Mapping[Side, GlobalMarks]) -> None:
        """Match groups of buckets of one side with all rows of the other."""
        copy = self._store.rows(whole)
        sizes = self._store.spool(whole.other).bucket_bytes(self._store.buckets)
        groups = coalesce(sizes.tolist(), self._budget.join_bytes)
        context = self._shared_context()
        tasks = [partial(self._match_group, context, copy, group, marks) for group in groups]
        run_all(tasks, self._budget.threads, self._stop)

    def _match_group(
        self,
        context: JoinContext,
        copy: Rows,
        group: tuple[int, ...],
        marks: Mapping[Side, GlobalMarks],
    ) -> None:
        self._stop.check()
        cut = self._store.rows(copy.side.other, group)
        left, right = (copy, cut) if copy.side is Side.LEFT else (cut, copy)
        for at_left, at_right in match(context, left, right):
            marks[Side.LEFT].set(left.numbers(at_left))
            marks[Side.RIGHT].set(right.numbers(at_right))
        self._progress.add(rows=cut.count, fragments=1)

    def _match_from_disk(self, marks: Mapping[Side, GlobalMarks]) -> None:
        for left, right in match_from_disk(self._context, self._store, self._budget):
            marks[Side.LEFT].set(left)
            marks[Side.RIGHT].set(right)

    def _settle_buckets(self, marks: Mapping[Side, GlobalMarks]) -> MatchingTotals:
        sizes = self._store.bucket_bytes()
        groups = coalesce(sizes.tolist(), self._budget.join_bytes)
        context = self._shared_context()
        tasks = [
            partial(self._settle_fragment, context, SettleFragment(group), marks)
            for group in groups
        ]
        joined = self._sum(run_all(tasks, self._budget.threads, self._stop)).joined
        return MatchingTotals(joined, {side: marks[side].count for side in Side})

    def _settle_fragment(
        self, context: JoinContext, fragment: SettleFragment, marks: Mapping[Side, GlobalMarks]
    ) -> MatchingTotals:
        self._stop.check()
        left = self._store.rows(Side.LEFT, fragment.buckets)
        right = self._store.rows(Side.RIGHT, fragment.buckets)
        matched = [marks[rows.side].of(rows) for rows in (left, right)]
        settle(context, left, right, *matched)
        return MatchingTotals(
            {Side.LEFT: left.count, Side.RIGHT: right.count}, {Side.LEFT: 0, Side.RIGHT: 0}
        )

    def _shared_context(self) -> JoinContext:
        """Return the context of joins that run side by side, one thread each."""
        limits = replace(self._context.limits, threads=1, memory_bytes=self._budget.pool_bytes)
        return replace(self._context, limits=limits)

    @staticmethod
    def _sum(totals: Iterable[MatchingTotals]) -> MatchingTotals:
        listed = list(totals)
        return MatchingTotals(
            {side: sum(total.joined[side] for total in listed) for side in Side},
            {side: sum(total.matched[side] for total in listed) for side in Side},
        )
