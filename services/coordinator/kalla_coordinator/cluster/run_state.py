"""The state of one run attempt on the cluster, and what can be read off it."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

from kalla_coordinator.cluster.attempts import (
    Fragment,
    FragmentKey,
    FragmentRetry,
    StageName,
)
from kalla_coordinator.cluster.fragments import Fragments
from kalla_coordinator.cluster.layout import Layout, Room, Shape
from kalla_coordinator.cluster.placement import Ready
from kalla_coordinator.cluster.reach import Pair, home, unable
from kalla_coordinator.cluster.sums import Sums
from kalla_core.errors import KallaError
from kalla_core.fragments.outcome import KeyRange, ScanDone, all_rise
from kalla_core.fragments.remote import ScanWork
from kalla_core.matching.sql.query import Side


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
    policy: FragmentRetry = field(default_factory=FragmentRetry)
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
        retired: attempts that fragments of earlier layouts used up.
        relaid: how often more buckets were taken.
        too_heavy_bytes: of the lightest join or settle that took too much memory.
        spread_bytes: of the bucket because of which more buckets were taken last.
        holder_error: why nobody holds the sources' snapshot any more.
        error: why it came to nothing.
    """

    setup: Setup
    phase: Phase
    fragments: Fragments
    buckets: int
    provers: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))
    proven: frozenset[str] = frozenset()
    here: frozenset[str] = frozenset()
    severed: frozenset[Pair] = frozenset()
    retired: Mapping[FragmentKey, int] = field(default_factory=lambda: MappingProxyType({}))
    layout: Layout = field(default_factory=lambda: Layout(()))
    relaid: int = 0
    too_heavy_bytes: int | None = None
    spread_bytes: int | None = None
    holder_error: KallaError | None = None
    error: KallaError | None = None

    def of(self, stage: StageName) -> Iterator[Fragment]:
        """Yield the fragments of a stage in their order."""
        return iter(self.fragments.of(stage).values())

    @property
    def sums(self) -> Sums:
        """What is summed up over its fragments; good until another state is looked at."""
        return self.fragments.sums

    @property
    def busy(self) -> int:
        """How many slots it has."""
        return len(self.sums.running)


def begun(setup: Setup, severed: frozenset[Pair] = frozenset()) -> RunState:
    """Return a run attempt before anything happened to it, but for who is known to be apart."""
    reads = (
        Fragment(
            FragmentKey(stage, number),
            work.part.weight_bytes,
            work.table if isinstance(work.table, Side) else None,
        )
        for stage, works in ((StageName.EXTRAS, setup.extras), (StageName.SCAN, setup.scans))
        for number, work in enumerate(works)
    )
    phase = Phase.PROVING if setup.proofs else Phase.SCANNING
    return RunState(setup, phase, Fragments(reads, setup.policy), setup.buckets, severed=severed)


def with_(state: RunState, *fragments: Fragment) -> RunState:
    """Return a state with some fragments in the place of earlier ones, or besides."""
    return replace(state, fragments=state.fragments.put(*fragments))


def wanted(state: RunState, stage: StageName) -> bool:
    """Whether idle fragments of a stage are to be done: somebody who is idle waits for them."""
    match stage:
        case StageName.PROVE:
            return True
        case StageName.SETTLE:
            return state.phase is Phase.SETTLING
        case StageName.JOIN if state.phase is Phase.SETTLING:
            return bool(state.sums.idle[StageName.SETTLE])
        case StageName.JOIN:
            return state.phase is Phase.JOINING
        case StageName.EXTRAS if state.phase is Phase.SETTLING:
            return _joins_wait(state)
        case _ if state.phase is Phase.SETTLING:
            return bool(state.sums.idle[StageName.SETTLE]) or _joins_wait(state)
        case _ if state.phase is Phase.JOINING:
            return _joins_wait(state)
        case _:
            return state.phase is Phase.SCANNING


def inputs_available(state: RunState, stage: StageName) -> bool:
    """Whether all that fragments of a stage read can be read."""
    return all_available(state, *_NEEDS[stage])


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


def all_available(state: RunState, *stages: StageName) -> bool:
    """Whether all fragments of some stages are done, and their outputs can be read."""
    return not any(state.sums.missing[stage] for stage in stages)


def ready(state: RunState, but: Container[FragmentKey] = ()) -> Iterator[Ready]:
    """Yield the fragments that could run now, in the order in which they should start.

    They are found as they are asked for: few are, and there may be thousands.

    Args:
        but: fragments that are left out.
    """
    for stage in pending(state):
        unable = of_no_use(state, stage)
        for *_, number in state.sums.idle[stage]:
            key = FragmentKey(stage, number)
            if key not in but:
                yield _ready(state, key, unable)


def pending(state: RunState) -> Mapping[StageName, int]:
    """Return how many fragments would run if there were slots, by stage; none where it is none."""
    if state.phase in FINAL:
        return {}
    return {
        stage: len(idle)
        for stage, idle in state.sums.idle.items()
        if idle and wanted(state, stage) and inputs_available(state, stage)
    }


def may_run_on(state: RunState) -> frozenset[str] | None:
    """Return executors beside which no fragment that is ready may run; None if all may be."""
    if not state.setup.proofs:
        return None
    waiting = (state.provers[number] for *_, number in state.sums.idle[StageName.PROVE])
    return state.proven.union(waiting)


def bucket_sizes(state: RunState) -> Mapping[Side, list[int]]:
    """Return the bytes of each bucket of each side; all scans have an accepted attempt."""
    raw = state.sums.raw_bytes
    return {side: raw[side][: state.buckets].tolist() for side in Side}


def keys_rise(state: RunState) -> bool:
    """Whether no primary key of either side is there twice: they rise, from part to part too."""
    found: dict[Side, list[KeyRange]] = {side: [] for side in Side}
    for fragment in state.of(StageName.SCAN):
        accepted = fragment.accepted
        if accepted is None or not isinstance(accepted.outcome, ScanDone) or not fragment.side:
            return False
        done = accepted.outcome
        if done.rising is not None:
            found[fragment.side].append(done.rising)
        elif done.rows:
            return False
    return all(map(all_rise, found.values()))


def weight_of(state: RunState, buckets: Iterable[int]) -> int:
    """Return the bytes of some buckets of both sides; all scans have an accepted attempt."""
    sizes = bucket_sizes(state)
    return sum(sizes[side][bucket] for side in Side for bucket in buckets)


def _joins_wait(state: RunState) -> bool:
    return wanted(state, StageName.JOIN) and bool(state.sums.idle[StageName.JOIN])


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


def _ready(state: RunState, key: FragmentKey, unable: frozenset[str]) -> Ready:
    fragment = state.fragments[key]
    allowed = state.proven if state.setup.proofs else None
    match key.stage:
        case StageName.PROVE:
            return Ready(key, allowed=frozenset({state.provers[key.number]}))
        case StageName.EXTRAS | StageName.SCAN:
            weight = fragment.weight_bytes
            return Ready(key, weight, allowed=allowed, avoided=fragment.avoided, unable=unable)
        case StageName.JOIN | StageName.SETTLE:
            laid = state.layout.joins if key.stage is StageName.JOIN else state.layout.settles
            near = state.sums.near.of(key, laid[key.number])
            return Ready(key, fragment.weight_bytes, near, allowed, fragment.avoided, unable)
