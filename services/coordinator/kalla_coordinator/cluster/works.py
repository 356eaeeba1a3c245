"""What is sent to an executor for an attempt, made of the state of its run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from kalla_coordinator.cluster.attempts import Fragment, FragmentKey, StageName, Try
from kalla_coordinator.cluster.run_state import RunState, Setup
from kalla_core.engine.programs.held_plan import HeldPlan
from kalla_core.fragments.attempt import AttemptId
from kalla_core.fragments.outcome import ScanDone
from kalla_core.fragments.remote import (
    DeliveredPart,
    DeliverWork,
    JobContext,
    JoinWork,
    Launch,
    ProveWork,
    ScanWork,
    SettleWork,
    SpoolInput,
    SpoolPlace,
    Work,
)
from kalla_core.fragments.windows import window_starts
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.strategy import Strategy
from kalla_core.recipe.model import Recipe

T = TypeVar("T")

Addresses = Mapping[str, tuple[str, int]]
"""Where each executor serves its spools."""


@dataclass(frozen=True, slots=True)
class RunName:
    """A run attempt as executors know it: one that a restart of the run gives a new number."""

    run_id: str
    attempt: int

    def of(self, which: Try) -> AttemptId:
        """Return the full name of an attempt at a fragment of this run."""
        key = which.fragment
        return AttemptId(self.run_id, self.attempt, key.stage.value, key.number, which.attempt)


def try_of(attempt: AttemptId) -> Try:
    """Return the attempt within its run.

    Raises:
        ValueError: there is no such stage.
    """
    return Try(FragmentKey(StageName(attempt.stage), attempt.fragment), attempt.attempt)


@dataclass(frozen=True, slots=True)
class RunTerms:
    """What all fragments of a run attempt are told.

    Attributes:
        staging: where part files go.
        nonce_name, nonce: of the file that shows that the staging folder is shared; empty if
            there is none.
        trace: that the fragments are part of; empty for none.
    """

    name: RunName
    recipe: Recipe
    started_at: datetime
    plan: HeldPlan
    staging: str
    nonce_name: str = ""
    nonce: str = ""
    trace: str = ""


class Launches:
    """Makes the launches of a run attempt.

    What is the same for every join is made once, for as long as the attempts are the same whose
    outputs are read, and is the same object each time: a thousand parts are inputs of hundreds of
    joins.
    """

    def __init__(self, terms: RunTerms) -> None:
        self._terms = terms
        self._known: dict[object, tuple[object, Any]] = {}

    def launch(
        self,
        state: RunState,
        which: Try,
        addresses: Addresses,
        time_left: timedelta | None = None,
    ) -> Launch:
        """Return what an attempt is to do; all its inputs are available."""
        works = _Works(self._terms, state, addresses)
        job = self._same("job", state.buckets, works.context)
        work = self._work(works, which)
        return Launch(self._terms.name.of(which), job, work, time_left)

    def _work(self, works: _Works, which: Try) -> Work:
        state, number = works.state, which.fragment.number
        match which.fragment.stage:
            case StageName.PROVE:
                return ProveWork(self._terms.nonce_name, self._terms.nonce)
            case StageName.EXTRAS:
                return state.setup.extras[number]
            case StageName.SCAN:
                return state.setup.scans[number]
            case StageName.JOIN:
                join = state.layout.joins[number]
                inputs = self._inputs(works, StageName.EXTRAS, StageName.SCAN)
                return JoinWork(
                    join.buckets, join.whole, join.settle_later, inputs, join.census_classes
                )
            case StageName.SETTLE:
                left = self._same("joins", works.token(StageName.JOIN), works.joins)
                settle = state.layout.settles[number]
                if state.setup.shape.parts is not None:
                    return DeliverWork(works.delivered(settle.delivers), left)
                return SettleWork(settle.buckets, self._inputs(works, StageName.SCAN), left)

    def _inputs(self, works: _Works, *stages: StageName) -> tuple[SpoolInput, ...]:
        return self._same(stages, works.token(*stages), partial(works.inputs, *stages))

    def _same(self, what: object, token: object, make: Callable[[], T]) -> T:
        """Return what was made before, or make it if the token is another one by now."""
        known = self._known.get(what)
        if known is None or known[0] != token:
            known = self._known[what] = (token, make())
        made: T = known[1]
        return made


@dataclass(frozen=True, slots=True)
class _Works:
    terms: RunTerms
    state: RunState
    addresses: Addresses

    def context(self) -> JobContext:
        terms = self.terms
        return JobContext(
            recipe=terms.recipe,
            started_at=terms.started_at,
            left=terms.plan.left,
            right=terms.plan.right,
            extras=terms.plan.extras,
            buckets=self.state.buckets,
            numbered=(
                self.state.setup.shape.in_passes or terms.plan.strategy is not Strategy.COPARTITION
            ),
            staging=terms.staging,
            trace=terms.trace,
            late=terms.plan.late,
        )

    def token(self, *stages: StageName) -> object:
        """Return what is another one once the places of what some stages left are others."""
        return self.addresses, [self.state.sums.inputs[stage] for stage in stages]

    def inputs(self, *stages: StageName) -> tuple[SpoolInput, ...]:
        return tuple(
            SpoolInput(work.table, work.part.index, self._place(fragment), _rows(fragment))
            for stage in stages
            for fragment, work in zip(
                self.state.of(stage), _scans(self.state.setup, stage), strict=True
            )
        )

    def delivered(self, scans: Sequence[int]) -> tuple[DeliveredPart, ...]:
        """Return the parts of some scans, as they are delivered."""
        state = self.state
        rows = [_rows(fragment) for fragment in state.of(StageName.SCAN)]
        starts = window_starts(rows)
        works = [(number, state.setup.scans[number]) for number in scans]
        return tuple(
            DeliveredPart(work.table, work.part, rows[number], starts[number])
            for number, work in works
            if isinstance(work.table, Side)
        )

    def joins(self) -> tuple[SpoolPlace, ...]:
        return tuple(self._place(one) for one in self.state.of(StageName.JOIN))

    def _place(self, fragment: Fragment) -> SpoolPlace:
        accepted = fragment.accepted
        if accepted is None or not accepted.held:
            raise ValueError(f"{fragment.key} is read and is not available")
        host, port = self.addresses[accepted.executor]
        attempt = self.terms.name.of(Try(fragment.key, accepted.attempt))
        return SpoolPlace(attempt, accepted.executor, host, port)


def _scans(setup: Setup, stage: StageName) -> tuple[ScanWork, ...]:
    return setup.extras if stage is StageName.EXTRAS else setup.scans


def _rows(fragment: Fragment) -> int:
    if fragment.accepted is None or not isinstance(fragment.accepted.outcome, ScanDone):
        raise ValueError(f"{fragment.key} has no outcome of a scan")
    return fragment.accepted.outcome.rows


def sides_of(plan: HeldPlan) -> Mapping[Side, str]:
    """Return the alias of each side."""
    return {side: plan.side(side).spec.alias for side in Side}
