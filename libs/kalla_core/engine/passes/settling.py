"""The rows that no pass consumed, written with their reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa

from kalla_core.engine.budget import Budget
from kalla_core.engine.joins.context import JoinContext
from kalla_core.engine.joins.join import settle, window
from kalla_core.engine.joins.scattered import Said as Judged
from kalla_core.engine.joins.scattered import Scattered
from kalla_core.engine.keys.key_values import key_values
from kalla_core.engine.passes.explaining import Consumed, Explaining, Telling
from kalla_core.engine.passes.plan import PlannedPass
from kalla_core.engine.passes.remarks import Gathered
from kalla_core.engine.passes.whole import Whole
from kalla_core.engine.processes.vitals import give_back
from kalla_core.engine.reasons.reasons import Explainer, Shared
from kalla_core.engine.reasons.verdicts import Told, no_key
from kalla_core.engine.rows import Bools, Ints, Rows
from kalla_core.engine.spool.marks import GlobalMarks
from kalla_core.engine.tasks import Stop, run_all
from kalla_core.evidence.build import Reasons
from kalla_core.fragments.cut import coalesce
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.planned import Rule

_MUCH_SHARE = 2
"""Of what may be held in memory, the part beyond which little is done at the same time."""


@dataclass(frozen=True)
class Settling:
    """Writes them.

    Attributes:
        contexts: of each pass.
    """

    passes: Sequence[PlannedPass]
    contexts: Sequence[JoinContext]
    whole: Whole
    budget: Budget
    remarks: Mapping[Side, Gathered]

    def run(self) -> Mapping[Side, int]:
        """Write all rows that are left over; return how many rows were looked at."""
        consumed = Consumed(self.whole)
        if self.whole.in_memory:
            left, right = (self.whole.rows(side) for side in Side)
            shared = Shared()
            asking = [
                _Asking(number, Explainer(one.planned, left, right, shared=shared), self.remarks)
                for number, one in enumerate(self.passes)
            ]
            self._settle(left, right, [one.told for one in asking], consumed, asking)
            return {rows.side: rows.count for rows in (left, right)}
        return self._by_bucket(consumed)

    def _settle(
        self,
        left: Rows,
        right: Rows,
        tellings: Sequence[Telling],
        consumed: Consumed,
        asking: Sequence[_Asking] = (),
        looking: Sequence[_Recall] = (),
    ) -> None:
        def ready(threads: int, stop: Stop) -> None:
            for one in asking:
                one.explainer.prepare(threads, stop)

        def judge(side: Side, unmatched: Bools) -> None:
            for one in asking:
                one.judge(side, unmatched)
            for recall in looking:
                recall.judge(side, unmatched)

        def share(most_pairs: int, threads: int, stop: Stop) -> None:
            tasks = [partial(one.explainer.share, most_pairs, 1, stop) for one in asking]
            run_all(tasks, threads, stop)

        def keys(number: int, side: Side, unmatched: Bools, rule: Rule) -> pa.Table:
            if asking:
                return asking[number].explainer.keys(rule, side).filter(pa.array(unmatched))
            query = self.passes[number].planned.query
            return key_values(query, rule.keys, side, rows[side].marked(unmatched))

        rows = {Side.LEFT: left, Side.RIGHT: right}
        explaining = Explaining(
            self.passes,
            self.whole,
            rows,
            self.remarks,
            consumed,
            tellings,
            judge,
            ready,
            share,
            keys,
        )
        matched = {
            side: ~self.whole.left_over(side)[self.whole.places(rows[side])] for side in Side
        }
        settle(self._context(), explaining, left, right, matched)

    def _context(self) -> JoinContext:
        """Return what is settled with: one side after the other where rows take much of memory.

        What is asked of the rows of a side takes about as much as all rows of both.
        """
        context = self.contexts[0]
        if self.whole.store.held_bytes <= self.budget.whole_bytes // _MUCH_SHARE:
            return context
        give_back()
        return replace(context, limits=replace(context.limits, threads=1))

    def _by_bucket(self, consumed: Consumed) -> Mapping[Side, int]:
        store, counts = self.whole.store, dict.fromkeys(Side, 0)
        marks, homes = self._marks(), self._homes()
        sizes = store.bucket_bytes()
        groups = coalesce(sizes.tolist(), self.budget.group_bytes(int(sizes.sum())))
        with ExitStack() as stack:
            said = [
                stack.enter_context(self._judged(n, marks, homes)) for n in range(len(self.passes))
            ]
            for group in groups:
                self.contexts[0].stop.check()
                left, right = (store.rows(side, group) for side in Side)
                recalls = [
                    _Recall(one, told, group, {Side.LEFT: left, Side.RIGHT: right})
                    for one, told in zip(self.passes, said, strict=True)
                ]
                tellings = [recall.told for recall in recalls]
                self._settle(left, right, tellings, consumed, looking=recalls)
                for rows in (left, right):
                    counts[rows.side] += rows.count
        return counts

    def _judged(
        self, number: int, marks: Mapping[Side, GlobalMarks], homes: Mapping[Side, Ints]
    ) -> AbstractContextManager[Judged]:
        """Judge all rows that are left over by one pass; leaving the context forgets it."""
        store = self.whole.store
        folder = store.plan.folder / f"judged-{number}"
        folder.mkdir()
        context = self.contexts[number]
        return Scattered(context, store, self.budget, marks, folder, homes).judged()

    def _homes(self) -> Mapping[Side, Ints]:
        """Return the bucket that each row lies in."""
        homes = {side: np.zeros(len(self.whole.by[side]), dtype=np.int64) for side in Side}
        for side in Side:
            for bucket in range(self.whole.store.buckets):
                for _, places in self.whole.batches(side, (bucket,)):
                    homes[side][places] = bucket
        return homes

    def _marks(self) -> Mapping[Side, GlobalMarks]:
        marks = {side: GlobalMarks(self.whole.store.part_rows(side)) for side in Side}
        for side, one in marks.items():
            one.set_places(np.flatnonzero(~self.whole.left_over(side)))
        return marks


class _Asking:
    """Asks one pass of the rows that it has no remark on, of rows that are all in memory.

    Args:
        number: of the pass.
    """

    def __init__(self, number: int, explainer: Explainer, remarks: Mapping[Side, Gathered]) -> None:
        self.explainer = explainer
        self._number, self._remarks = number, remarks
        self._asked: dict[Side, Bools] = {}

    def judge(self, side: Side, unmatched: Bools) -> None:
        """Find out why the rows of `side` that `unmatched` marks are so."""
        asked = ~self._remarks[side].told(self._number, np.flatnonzero(unmatched))
        self._asked[side] = asked
        self.explainer.judge(side, unmatched, asked)

    def told(self, side: Side, start: int, count: int) -> Told:
        """Return what is told of `count` of these rows, from the one numbered `start`.

        It is null, and as far from a match as can be, for rows that the pass has a remark on.
        """
        asked = self._asked[side][start : start + count]
        before = int(np.count_nonzero(self._asked[side][:start]))
        told = self.explainer.told(side, before, int(np.count_nonzero(asked)))
        if asked.all():
            return told
        short: Ints = np.full(count, np.iinfo(np.int64).max, dtype=np.int64)
        short[asked] = told.short
        at = pa.array(np.maximum(np.cumsum(asked) - 1, 0), mask=~asked)
        some = told.reasons
        columns = (some.rejection_reason, some.reason_detail, some.closest_candidate)
        return Told(Reasons(*(column.take(at) for column in columns)), short)


class _Recall:
    """Tells of rows of some buckets what one pass said of them."""

    def __init__(
        self, one: PlannedPass, judged: Judged, buckets: Sequence[int], rows: Mapping[Side, Rows]
    ) -> None:
        self._one, self._judged = one, judged
        self._buckets, self._rows = buckets, rows
        self._told: dict[Side, Told] = {}

    def judge(self, side: Side, unmatched: Bools) -> None:
        """Look up why the rows of `side` that `unmatched` marks are so."""
        ids = self._rows[side].ids
        assert ids is not None  # noqa: S101 - spooled with their numbers
        planned = self._one.planned
        if not any(rule.keys for rule in planned.rules):
            self._told[side] = no_key(planned, int(unmatched.sum()))
            return
        self._told[side] = self._judged.told(side, self._buckets, ids[unmatched])

    def told(self, side: Side, start: int, count: int) -> Told:
        """Return what was said of `count` of these rows, from the one numbered `start`."""
        told = self._told[side]
        return Told(window(told.reasons, start, count), told.short[start : start + count])
