"""What a run's state machine, its placement and its progress ask of all fragments together.

Kept as fragments change, one at a time: an event asks for most of it, and a run of a thousand
parts has thousands of them.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kalla_coordinator.cluster.attempts import (
    Accepted,
    Fragment,
    FragmentKey,
    FragmentRetry,
    StageName,
)
from kalla_coordinator.cluster.near import Near
from kalla_core.fragments.outcome import JoinDone, Outcome, ScanDone
from kalla_core.fragments.work import work_done
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.model import MAX_BUCKETS

Turn = tuple[int, int, int]
"""Where a fragment stands among the idle ones of its stage: deep ones first, then heavy ones, then
by number."""


@dataclass(slots=True)
class Done:
    """What some fragments did whose attempts count; `total` is how many there are."""

    fragments: int = 0
    rows: int = 0
    bytes: int = 0
    matched: int = 0
    fetched_bytes: int = 0
    total: int = 0

    def add(self, outcome: Outcome, times: int) -> None:
        """Count an outcome, or with -1 no longer."""
        work = work_done(outcome)
        self.fragments += times
        self.rows += times * work.rows
        self.bytes += times * work.scanned_bytes
        self.fetched_bytes += times * work.fetched_bytes
        if isinstance(outcome, JoinDone):
            self.matched += times * _pairs(outcome)


class Sums:
    """See the module; `change` is told of every fragment that becomes another.

    Attributes:
        missing: fragments per stage that are not available.
        idle: those that could run, per stage, in the order in which they should start.
        running: those that are under way.
        exhausted: those that have failed or been lost once too often.
        on: fragments of each executor that run there, or whose output lies there.
        done: of the attempts that count, per stage and the side that is read.
        done_by: the same, by executor.
        raw_bytes: of each bucket of each side, as Arrow batches; of the scans that count.
        near: where the scans that can be read lie.
        inputs: per stage a token that is another one after its accepted attempts have changed.
    """

    def __init__(self, policy: FragmentRetry) -> None:
        self._policy = policy
        self.missing: dict[StageName, int] = dict.fromkeys(StageName, 0)
        self.idle: dict[StageName, list[Turn]] = {stage: [] for stage in StageName}
        self.running: dict[FragmentKey, Fragment] = {}
        self.exhausted: dict[FragmentKey, Fragment] = {}
        self.on: defaultdict[str, set[FragmentKey]] = defaultdict(set)
        self.done: defaultdict[tuple[StageName, Side | None], Done] = defaultdict(Done)
        self.done_by: defaultdict[str, Done] = defaultdict(Done)
        self.raw_bytes: dict[Side, npt.NDArray[np.int64]] = {
            side: np.zeros(MAX_BUCKETS, dtype=np.int64) for side in Side
        }
        self.near = Near()
        self.inputs: dict[StageName, object] = {stage: object() for stage in StageName}

    def change(self, before: Fragment | None, now: Fragment | None) -> None:
        """Let a fragment become another; None where it was not, or is no more."""
        if before is not None:
            self._remove(before)
        if now is not None:
            self._add(now)
        old = None if before is None else before.accepted
        new = None if now is None else now.accepted
        one = now or before
        if old is not new and one is not None:
            self.inputs[one.key.stage] = object()
            if old is not None:
                self._count(one, old, -1)
            if new is not None:
                self._count(one, new, 1)

    def _add(self, one: Fragment) -> None:
        stage = one.key.stage
        self.done[stage, one.side].total += 1
        self.missing[stage] += not one.available
        for executor in _places(one):
            self.on[executor].add(one.key)
        if one.running is not None:
            self.running[one.key] = one
        if one.exhausted(self._policy):
            self.exhausted[one.key] = one
        elif one.idle:
            insort(self.idle[stage], _place(one))

    def _remove(self, one: Fragment) -> None:
        stage = one.key.stage
        self.done[stage, one.side].total -= 1
        self.missing[stage] -= not one.available
        for executor in _places(one):
            self.on[executor].discard(one.key)
        self.running.pop(one.key, None)
        if one.exhausted(self._policy):
            self.exhausted.pop(one.key, None)
        elif one.idle:
            queue = self.idle[stage]
            del queue[bisect_left(queue, _place(one))]

    def _count(self, one: Fragment, accepted: Accepted, times: int) -> None:
        self.done[one.key.stage, one.side].add(accepted.outcome, times)
        self.done_by[accepted.executor].add(accepted.outcome, times)
        outcome = accepted.outcome
        if isinstance(outcome, ScanDone):
            sizes = outcome.buckets
            if one.side is not None:
                self.raw_bytes[one.side][sizes.numbers] += times * sizes.raw_bytes
            if accepted.held and one.key.stage is StageName.SCAN:
                self.near.add(accepted.executor, sizes, times)


def _place(one: Fragment) -> Turn:
    return -one.depth, -one.weight_bytes, one.key.number


def _places(one: Fragment) -> set[str]:
    """Return the executors that work on a fragment or hold its output."""
    found = set()
    if one.running is not None:
        found.add(one.running.executor)
    if one.accepted is not None and one.accepted.held:
        found.add(one.accepted.executor)
    return found


def _pairs(outcome: JoinDone) -> int:
    first = outcome.files[0] if outcome.files else None
    return first.rows if first is not None and first.name.startswith("matched") else 0
