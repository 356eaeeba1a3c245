"""Joins that cannot tell alone which rows stay unmatched, and the settling that follows.

A row of a side that every join takes whole is unmatched only if no join matched it; so joins mark
rows, and when all have ended, bucket by bucket, the rows without a mark are written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from kalla_core.engine.budget import Budget
from kalla_core.engine.join import JoinContext, match, settle
from kalla_core.engine.marks import GlobalMarks
from kalla_core.engine.oversize import match_from_disk
from kalla_core.engine.progress import ProgressCounter
from kalla_core.engine.rows import Rows
from kalla_core.engine.store import Store
from kalla_core.engine.tasks import run_all
from kalla_core.engine.totals import MatchingTotals, Way, add_up
from kalla_core.fragments.cut import coalesce
from kalla_core.fragments.model import SettleFragment
from kalla_core.matching.planned import Strategy
from kalla_core.matching.query import Side


@dataclass(frozen=True)
class SettledJoins:
    """Runs them over a store whose rows carry their numbers."""

    context: JoinContext
    store: Store
    budget: Budget
    progress: ProgressCounter

    def run(self) -> MatchingTotals:
        """Write all pairs, then all unmatched rows."""
        marks = {side: GlobalMarks(self.store.part_rows(side)) for side in Side}
        broadcast = self.context.planned.strategy is Strategy.BROADCAST
        whole = self._whole_side() if broadcast else None
        if whole is None:
            way = Way.FROM_DISK
            self._match_from_disk(marks)
        else:
            way = Way.AGAINST_WHOLE
            self._match_against(whole, marks)
        return replace(self._settle_buckets(marks), ways={way: 1})

    def _whole_side(self) -> Side | None:
        """Return the smaller side that every join may take whole; None if none is small enough."""
        sizes = {
            side: int(self.store.spool(side).bucket_bytes(self.store.buckets).sum())
            for side in self.context.planned.replicable
        }
        fits = [side for side, size in sizes.items() if size <= self.budget.join_bytes]
        return min(fits, key=sizes.__getitem__, default=None)

    def _match_against(self, whole: Side, marks: Mapping[Side, GlobalMarks]) -> None:
        """Match groups of buckets of one side with all rows of the other."""
        copy = self.store.rows(whole)
        sizes = self.store.spool(whole.other).bucket_bytes(self.store.buckets)
        groups = coalesce(sizes.tolist(), self.budget.join_bytes)
        context = self.context.one_thread(self.budget)
        tasks = [partial(self._match_group, context, copy, group, marks) for group in groups]
        run_all(tasks, self.budget.threads, context.stop)

    def _match_group(
        self,
        context: JoinContext,
        copy: Rows,
        group: tuple[int, ...],
        marks: Mapping[Side, GlobalMarks],
    ) -> None:
        cut = self.store.rows(copy.side.other, group)
        left, right = (copy, cut) if copy.side is Side.LEFT else (cut, copy)
        for at_left, at_right in match(context, left, right):
            marks[Side.LEFT].set(left.numbers(at_left))
            marks[Side.RIGHT].set(right.numbers(at_right))
        self.progress.add(rows=cut.count, fragments=1)

    def _match_from_disk(self, marks: Mapping[Side, GlobalMarks]) -> None:
        for left, right in match_from_disk(self.context, self.store, self.budget):
            marks[Side.LEFT].set(left)
            marks[Side.RIGHT].set(right)

    def _settle_buckets(self, marks: Mapping[Side, GlobalMarks]) -> MatchingTotals:
        sizes = self.store.bucket_bytes()
        groups = coalesce(sizes.tolist(), self.budget.join_bytes)
        context = self.context.one_thread(self.budget)
        tasks = [
            partial(self._settle_fragment, context, SettleFragment(group), marks)
            for group in groups
        ]
        joined = add_up(run_all(tasks, self.budget.threads, context.stop)).joined
        return MatchingTotals(joined, {side: marks[side].count for side in Side})

    def _settle_fragment(
        self,
        context: JoinContext,
        fragment: SettleFragment,
        marks: Mapping[Side, GlobalMarks],
    ) -> MatchingTotals:
        left = self.store.rows(Side.LEFT, fragment.buckets)
        right = self.store.rows(Side.RIGHT, fragment.buckets)
        matched = [marks[rows.side].of(rows) for rows in (left, right)]
        settle(context, left, right, *matched)
        return MatchingTotals(
            {Side.LEFT: left.count, Side.RIGHT: right.count}, {Side.LEFT: 0, Side.RIGHT: 0}
        )
