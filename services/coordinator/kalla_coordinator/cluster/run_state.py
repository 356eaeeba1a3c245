"""The state of one run attempt on the cluster, and what can be read off it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

import numpy as np

from kalla_coordinator.cluster.attempts import (
    Accepted,
    Fragment,
    FragmentKey,
    RetryPolicy,
    StageName,
)
from kalla_coordinator.cluster.layout import Layout, Room, Shape
from kalla_coordinator.cluster.near import Near
from kalla_coordinator.cluster.placement import Ready
from kalla_coordinator.cluster.reach import Pair, home, unable
from kalla_core.errors import KallaError
from kalla_core.fragments.outcome import ScanDone
from kalla_core.fragments.remote import ScanWork
from kalla_core.matching.query import Side


class Phase(StrEnum):
    """How far a run has come; the last four are final."""

    PROVING = "proving"
    SCANNING = "scanning"
    JOINING = "joining"
    SETTLING = "settling"
    WRITTEN = "written"
    FAILED = "failed"
    STARTING_OVER = "starting_over"


_NEEDS: Mapping[StageName, tuple[StageName, ...]] = {
    StageName.PROVE: (),
    StageName.EXTRAS: (),
    StageName.SCAN: (),
    StageName.JOIN: (StageName.EXTRAS, StageName.SCAN),
    StageName.SETTLE: (StageName.SCAN, StageName.JOIN),
}

FINAL = frozenset({Phase.WRITTEN, Phase.FAILED, Phase.STARTING_OVER})


@dataclass(frozen=True, slots=True)
class Setup:
    """What does not change during a run attempt.

    Attributes:
        extras, scans: what is read; the place is the fragment's number.
        proofs: whether executors have to show that they see the run's folders.
        relays: how often the rows may be spread over more buckets because a join was too large.
    """

    extras: tuple[ScanWork, ...]
    scans: tuple[ScanWork, ...]
    shape: Shape
    room: Room
    buckets: int
    proofs: bool = False
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    relays: int = 2


@dataclass(frozen=True, slots=True)
class RunState:
    """One run attempt.

    Attributes:
        fragments: all that are known; joins and settles from when they are laid out.
        provers: executor that each prove fragment is for, by number.
        proven: executors that may work on the run.
        here: executors that are there.
        severed: those of them that cannot reach each other.
        measured: rows that each scan found; another attempt must find the same.
        retired: attempts that fragments of earlier layouts used up.
        relaid: how often more buckets were taken.
        too_heavy_bytes: of the lightest join or settle that took too much memory.
        spread_bytes: of the bucket because of which more buckets were taken last.
        holder_error: why nobody holds the sources' snapshot any more.
        error: why it came to nothing.
        near: where the inputs of joins lie, as last summed up.
    """

    setup: Setup
    phase: Phase
    fragments: Mapping[FragmentKey, Fragment]
    buckets: int
    provers: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))
    proven: frozenset[str] = frozenset()
    here: frozenset[str] = frozenset()
    severed: frozenset[Pair] = frozenset()
    measured: Mapping[FragmentKey, int] = field(default_factory=lambda: MappingProxyType({}))
    retired: Mapping[FragmentKey, int] = field(default_factory=lambda: MappingProxyType({}))
    layout: Layout = field(default_factory=lambda: Layout(()))
    relaid: int = 0
    too_heavy_bytes: int | None = None
    spread_bytes: int | None = None
    holder_error: KallaError | None = None
    error: KallaError | None = None
    near: Near = field(default_factory=Near, compare=False, repr=False)

    def of(self, stage: StageName) -> Iterator[Fragment]:
        """Yield the fragments of a stage in their order."""
        return (fragment for key, fragment in self.fragments.items() if key.stage is stage)

    @property
    def busy(self) -> int:
        """How many slots it has."""
        return sum(fragment.running is not None for fragment in self.fragments.values())


def begun(setup: Setup, severed: frozenset[Pair] = frozenset()) -> RunState:
    """Return a run attempt before anything happened to it, but for who is known to be apart."""
    reads = {
        FragmentKey(stage, number): Fragment(FragmentKey(stage, number))
        for stage, works in ((StageName.EXTRAS, setup.extras), (StageName.SCAN, setup.scans))
        for number in range(len(works))
    }
    phase = Phase.PROVING if setup.proofs else Phase.SCANNING
    return RunState(setup, phase, reads, setup.buckets, severed=severed)


def wanted(state: RunState, stage: StageName) -> bool:
    """Whether idle fragments of a stage are to be done: somebody who is idle waits for them."""
    match stage:
        case StageName.PROVE:
            return True
        case StageName.SETTLE:
            return state.phase is Phase.SETTLING
        case StageName.JOIN if state.phase is Phase.SETTLING:
            return _any_idle(state, StageName.SETTLE)
        case StageName.JOIN:
            return state.phase is Phase.JOINING
        case StageName.EXTRAS if state.phase is Phase.SETTLING:
            return _joins_wait(state)
        case _ if state.phase is Phase.SETTLING:
            return _any_idle(state, StageName.SETTLE) or _joins_wait(state)
        case _ if state.phase is Phase.JOINING:
            return _joins_wait(state)
        case _:
            return state.phase is Phase.SCANNING


def inputs_available(state: RunState, stage: StageName) -> bool:
    """Whether all that fragments of a stage read can be read."""
    return all(fragment.available for need in _NEEDS[stage] for fragment in state.of(need))


def _cut_off(state: RunState, stage: StageName) -> frozenset[str]:
    """Return the executors that cannot read all that fragments of a stage need."""
    if not state.severed:
        return frozenset()
    held = [one.accepted for need in _NEEDS[stage] for one in state.of(need) if one.available]
    return unable(state.severed, state.here, (one.executor for one in held if one is not None))


def out_of_reach(state: RunState) -> frozenset[str]:
    """Return the executors from which the one that can read most cannot read."""
    if not state.severed:
        return frozenset()
    held: dict[str, int] = {}
    for fragment in (*state.of(StageName.EXTRAS), *state.of(StageName.SCAN)):
        one = fragment.accepted
        if one is not None and one.held and isinstance(one.outcome, ScanDone):
            held[one.executor] = held.get(one.executor, 0) + one.outcome.stored_bytes + 1
    reader = home(state.severed, able_at_all(state), held)
    return frozenset() if reader is None else unable(state.severed, state.here, (reader,))


def able_at_all(state: RunState) -> frozenset[str]:
    """Return the executors that are there and may work on the run."""
    return state.here & state.proven if state.setup.proofs else state.here


def ready(state: RunState) -> list[Ready]:
    """Return the fragments that could run now, in the order in which they should start."""
    if state.phase in FINAL:
        return []
    found: list[Ready] = []
    for stage in StageName:
        policy = state.setup.policy
        idle = [one for one in state.of(stage) if one.idle and not one.exhausted(policy)]
        if idle and wanted(state, stage) and inputs_available(state, stage):
            if stage in (StageName.JOIN, StageName.SETTLE):
                state.near.look_at(_held_scans(state), state.buckets)
            unable = of_no_use(state, stage)
            offered = [_ready(state, fragment, unable) for fragment in idle]
            found += sorted(offered, key=lambda one: (-one.weight_bytes, one.key.number))
    return found


def bucket_sizes(state: RunState) -> Mapping[Side, list[int]]:
    """Return the bytes of each bucket of each side; all scans have an accepted attempt."""
    sizes = {side: np.zeros(state.buckets, dtype=np.int64) for side in Side}
    for fragment, work in zip(state.of(StageName.SCAN), state.setup.scans, strict=True):
        if isinstance(work.table, Side):
            for bucket in _scan_done(fragment).buckets:
                sizes[work.table][bucket.bucket] += bucket.raw_bytes
    return {side: found.tolist() for side, found in sizes.items()}


def weight_of(state: RunState, buckets: Iterable[int]) -> int:
    """Return the bytes of some buckets of both sides; all scans have an accepted attempt."""
    sizes = bucket_sizes(state)
    return sum(sizes[side][bucket] for side in Side for bucket in buckets)


def _any_idle(state: RunState, stage: StageName) -> bool:
    return any(fragment.idle for fragment in state.of(stage))


def _joins_wait(state: RunState) -> bool:
    return wanted(state, StageName.JOIN) and _any_idle(state, StageName.JOIN)


def _held_scans(state: RunState) -> Iterator[Accepted]:
    return (
        fragment.accepted
        for fragment in state.of(StageName.SCAN)
        if fragment.accepted is not None and fragment.accepted.held
    )


def of_no_use(state: RunState, stage: StageName) -> frozenset[str]:
    """Return the executors that fragments of a stage are of no use on."""
    match stage:
        case StageName.PROVE:
            return frozenset()
        case StageName.EXTRAS | StageName.SCAN:
            return out_of_reach(state)
        case StageName.JOIN if state.layout.settles:  # which read what it leaves
            return _cut_off(state, stage) | out_of_reach(state)
        case StageName.JOIN | StageName.SETTLE:
            return _cut_off(state, stage)


def _ready(state: RunState, fragment: Fragment, unable: frozenset[str]) -> Ready:
    key = fragment.key
    allowed = state.proven if state.setup.proofs else None
    match key.stage:
        case StageName.PROVE:
            return Ready(key, allowed=frozenset({state.provers[key.number]}))
        case StageName.EXTRAS | StageName.SCAN:
            works = state.setup.extras if key.stage is StageName.EXTRAS else state.setup.scans
            weight = works[key.number].part.weight_bytes
            return Ready(key, weight, allowed=allowed, avoided=fragment.avoided, unable=unable)
        case StageName.JOIN | StageName.SETTLE:
            laid = state.layout.joins if key.stage is StageName.JOIN else state.layout.settles
            one = laid[key.number]
            near = state.near.of(key, one)
            return Ready(key, one.weight_bytes, near, allowed, fragment.avoided, unable)


def _scan_done(fragment: Fragment) -> ScanDone:
    if fragment.accepted is None or not isinstance(fragment.accepted.outcome, ScanDone):
        raise ValueError(f"{fragment.key} has no outcome of a scan")
    return fragment.accepted.outcome
