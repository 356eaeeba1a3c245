"""Joins that cannot tell alone which rows stay unmatched, and the settling that follows.

A row of a side that every join takes whole is unmatched only if no join matched it; so joins mark
rows, and when all have ended, bucket by bucket, the rows without a mark are written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from kalla_core.engine.budget import Budget
from kalla_core.engine.joins.context import Explains, JoinContext
from kalla_core.engine.joins.from_disk import match_from_disk
from kalla_core.engine.joins.join import match, settle, write_unmatched
from kalla_core.engine.joins.scattered import Recalled, Scattered
from kalla_core.engine.joins.totals import MatchingTotals, Way, add_up
from kalla_core.engine.reasons.crowds import Crowds, crowds_of
from kalla_core.engine.reasons.reasons import Explainer
from kalla_core.engine.rows import Ints, Rows
from kalla_core.engine.spool.marks import GlobalMarks
from kalla_core.engine.spool.pieces import pieces, what_reasons_need
from kalla_core.engine.spool.store import Store
from kalla_core.engine.spool.uses import several
from kalla_core.engine.tasks import run_all
from kalla_core.fragments.crowd import Crowd
from kalla_core.fragments.cut import coalesce
from kalla_core.fragments.model import SettleFragment
from kalla_core.fragments.several import Several, together
from kalla_core.matching.sql.query import Side

Marks = Mapping[Side, GlobalMarks]
Explaining = Callable[[Sequence[int], Rows, Rows], Explains]
"""Given some buckets and their rows of both sides, returns who explains those without a mark."""


@dataclass(frozen=True)
class SettledJoins:
    """Runs them over some buckets of a store whose rows carry their numbers."""

    context: JoinContext
    store: Store
    buckets: tuple[int, ...]
    budget: Budget

    def run(self) -> MatchingTotals:
        """Write all pairs, then all unmatched rows."""
        marks = self.no_marks()
        way = self.match(marks)
        settled = self.settle(marks)
        return replace(settled, matched={side: marks[side].count for side in Side}, ways={way: 1})

    def no_marks(self) -> Marks:
        """Return room for the marks of all parts of the store."""
        return {side: GlobalMarks(self.store.part_rows(side)) for side in Side}

    def match(self, marks: Marks) -> Way:
        """Write all pairs, and mark their rows; how that was done."""
        whole = self._whole_side()
        if whole is None:
            self._match_from_disk(marks)
            return Way.FROM_DISK
        self._match_against(whole, marks)
        return Way.AGAINST_WHOLE

    def _whole_side(self) -> Side | None:
        """Return the smaller side that every join may take whole; None if none is small enough."""
        sizes = {side: int(self._sizes(side).sum()) for side in self.context.planned.replicable}
        fits = [side for side, size in sizes.items() if size <= self.budget.join_bytes]
        return min(fits, key=sizes.__getitem__, default=None)

    def _match_against(self, whole: Side, marks: Marks) -> None:
        """Match all rows of one side with groups of buckets of the other."""
        copy = self.store.rows(whole, self.buckets)
        context = self.context.one_thread(self.budget)
        tasks = [
            partial(self._match_group, context, copy, group, marks)
            for group in self._groups(self._sizes(whole.other))
        ]
        run_all(tasks, self.budget.threads, context.stop)

    def _match_group(
        self, context: JoinContext, copy: Rows, group: tuple[int, ...], marks: Marks
    ) -> None:
        for piece in pieces(self.store, copy.side.other, group, self.budget.join_bytes):
            left, right = (copy, piece) if copy.side is Side.LEFT else (piece, copy)
            for at_left, at_right in match(context, left, right):
                marks[Side.LEFT].set(left.numbers(at_left))
                marks[Side.RIGHT].set(right.numbers(at_right))

    def _match_from_disk(self, marks: Marks) -> None:
        for left, right in match_from_disk(self.context, self.store, self.buckets, self.budget):
            marks[Side.LEFT].set(left)
            marks[Side.RIGHT].set(right)

    def settle(self, marks: Marks) -> MatchingTotals:
        """Write all rows without a mark; of all buckets where the rules' keys lie across them.

        The totals have the rows that were looked at, and how many of them are marked.
        """
        if not self.context.planned.scattered:
            return self._settle_all(marks, self._explainer)
        with Scattered(self.context, self.store, self.budget, marks).judged() as said:
            return self._settle_all(marks, partial(Recalled, said))

    def _explainer(self, _: Sequence[int], left: Rows, right: Rows) -> Explains:
        return Explainer(self.context.planned, left, right)

    def _settle_all(self, marks: Marks, explaining: Explaining) -> MatchingTotals:
        """Settle small groups side by side, then larger ones, one by one."""
        sizes = dict(zip(self.buckets, self._sizes(*Side).tolist(), strict=True))
        groups = {
            SettleFragment(group): sum(sizes[bucket] for bucket in group)
            for group in self._groups(self._sizes(*Side))
        }
        small = [f for f, size in groups.items() if size <= self.budget.join_bytes]
        large = {f: size for f, size in groups.items() if size > self.budget.join_bytes}
        context = self.context.one_thread(self.budget)
        tasks = [partial(self._settle, context, fragment, marks, explaining) for fragment in small]
        done = run_all(tasks, self.budget.threads, context.stop)
        for fragment, size in large.items():
            if size <= self.budget.whole_bytes:
                done.append(self._settle(self.context, fragment, marks, explaining))
            else:
                done.append(self._settle_in_pieces(fragment, marks, explaining))
        return add_up(done)

    def _settle(
        self,
        context: JoinContext,
        fragment: SettleFragment,
        marks: Marks,
        explaining: Explaining,
    ) -> MatchingTotals:
        left, right = (self.store.rows(side, fragment.buckets) for side in Side)
        flags = {rows.side: marks[rows.side].of(rows) for rows in (left, right)}
        settle(context, explaining(fragment.buckets, left, right), left, right, flags)
        matched = {side: int(np.count_nonzero(flags[side])) for side in Side}
        again = {one.side: marks[one.side].again(one) for one in (left, right)}
        found = {one.side: several(one, again[one.side]) for one in (left, right)}
        crowds = crowds_of(context.planned, [(one, again[one.side]) for one in (left, right)])
        rows = {Side.LEFT: left.count, Side.RIGHT: right.count}
        return self._settled(rows, matched, found, crowds)

    def _settle_in_pieces(
        self, fragment: SettleFragment, marks: Marks, explaining: Explaining
    ) -> MatchingTotals:
        rows, matched = dict.fromkeys(Side, 0), dict.fromkeys(Side, 0)
        found = dict.fromkeys(Side, Several())
        crowds = Crowds(self.context.planned)
        sql = self.context.planned.query.sql
        for side in Side:
            others = what_reasons_need(self.store, side.other, fragment.buckets, sql)
            for piece in pieces(self.store, side, fragment.buckets, self.budget.join_bytes):
                self.context.stop.check()
                left, right = (piece, others) if side is Side.LEFT else (others, piece)
                explains = explaining(fragment.buckets, left, right)
                flags = marks[side].of(piece)
                write_unmatched(self.context, piece, ~flags, explains)
                rows[side] += piece.count
                matched[side] += int(np.count_nonzero(flags))
                again = marks[side].again(piece)
                found[side] = together((found[side], several(piece, again)))
                crowds.add(piece, again)
        return self._settled(rows, matched, found, crowds.largest())

    def _settled(
        self,
        rows: Mapping[Side, int],
        matched: Mapping[Side, int],
        found: Mapping[Side, Several],
        crowds: tuple[Crowd, ...],
    ) -> MatchingTotals:
        self.context.progress.add(rows=sum(rows.values()), fragments=1)
        return MatchingTotals(rows, matched, found, crowds=crowds)

    def _sizes(self, *sides: Side) -> Ints:
        """Return the bytes of each of the buckets, of these sides together."""
        count = self.store.buckets
        each = [self.store.spool(side).bucket_bytes(count)[list(self.buckets)] for side in sides]
        together: Ints = np.sum(each, axis=0)
        return together

    def _groups(self, sizes: Ints) -> list[tuple[int, ...]]:
        """Group the buckets so that a group fits beside others and every thread has one."""
        most = self.budget.group_bytes(int(sizes.sum()))
        return [
            tuple(self.buckets[place] for place in group)
            for group in coalesce(sizes.tolist(), most)
        ]
