"""A cluster that is only imagined, for the state machine of a run to be played against.

It knows what really lies where, which the machine does not: executors die without a word, news
comes late, twice and in any order. It checks what must hold at every step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from kalla_coordinator.cluster import events as e
from kalla_coordinator.cluster.attempts import FragmentKey, StageName, Try
from kalla_coordinator.cluster.placement import Seat, Wish, assign
from kalla_coordinator.cluster.run_state import (
    FINAL,
    Phase,
    RunState,
    Setup,
    begun,
    inputs_available,
    ready,
)
from kalla_coordinator.cluster.stages import step
from kalla_core.errors import Cancelled, Crashed, FetchFailed, OutOfMemory, SourceUnavailable
from kalla_core.fragments.cause import Cause
from kalla_core.fragments.outcome import (
    BucketSize,
    BucketSizes,
    FragmentFailed,
    JoinDone,
    Outcome,
    ProveDone,
    ScanDone,
    SettleDone,
)
from kalla_core.matching.sql.query import Side

SLOTS = 2
NONE = {Side.LEFT: 0, Side.RIGHT: 0}
READS = (StageName.EXTRAS, StageName.SCAN)


@dataclass
class Executor:
    running: set[Try] = field(default_factory=set)
    held: set[Try] = field(default_factory=set)


def outcome_of(which: Try, buckets: int, bucket_bytes: int) -> Outcome:
    """Return what an attempt that goes well tells; scans found so much in each bucket."""
    match which.fragment.stage:
        case StageName.PROVE:
            return ProveDone(None)
        case StageName.EXTRAS | StageName.SCAN:
            sizes = BucketSizes.of(
                BucketSize(bucket, 10, bucket_bytes, bucket_bytes // 2) for bucket in range(buckets)
            )
            return ScanDone(100, 0, 0, sizes, 1)
        case StageName.JOIN:
            return JoinDone((), NONE, NONE, NONE)
        case StageName.SETTLE:
            return SettleDone((), NONE, NONE)


@dataclass
class World:
    """Plays one run; `chaos` is how many bad things may still happen."""

    random: Random
    setup: Setup
    chaos: int
    bucket_bytes: int = 1 << 20
    executors: dict[str, Executor] = field(default_factory=dict)
    news: list[e.Event] = field(default_factory=list)
    started: dict[Try, str] = field(default_factory=dict)
    succeeded: dict[Try, Outcome] = field(default_factory=dict)
    excused: set[FragmentKey] = field(default_factory=set)
    over: list[e.Action] = field(default_factory=list)
    born: int = 0
    steps: int = 0

    def __post_init__(self) -> None:
        self.state: RunState = begun(self.setup)
        for _ in range(self.random.randint(1, 3)):
            self.birth()

    def play(self, most: int = 5000) -> None:
        """Play until the run is over; everything goes well once the chaos is used up."""
        while self.state.phase not in FINAL:
            self.steps += 1
            assert self.steps < most, f"it goes on for ever: {self.state.phase}"
            if self.chaos > 0 and self.random.random() < 0.3:
                self.chaos -= 1
                self.random.choice(self.mishaps())()
            else:
                self.random.choice((self.work, self.work, self.deliver, self.grant))()
            if not self.executors:
                self.birth()
        for event in self.news:  # what comes after the end changes nothing
            before = self.state
            self.apply(event)
            assert self.state is before

    def mishaps(self) -> tuple[Callable[[], None], ...]:
        return (self.death, self.birth, self.blip, self.failure, self.failure, self.repeat)

    # -- what happens in the world ---------------------------------------------------------------

    def birth(self) -> None:
        self.born += 1
        name = f"executor-{self.born}"
        self.executors[name] = Executor()
        self.apply(e.ExecutorCame(name))

    def death(self) -> None:
        name = self.random.choice(sorted(self.executors))
        lost = self.executors.pop(name)
        self.excuse(lost.running | lost.held)
        if self.random.random() < 0.5:
            self.apply(e.ExecutorLost(name, "it died"))
        else:
            self.news.append(e.ExecutorLost(name, "it died"))

    def blip(self) -> None:
        """An executor is away for a moment; now and then it comes back having lost something."""
        name = self.random.choice(sorted(self.executors))
        executor = self.executors[name]
        for kept in (executor.running, executor.held):
            if kept and self.random.random() < 0.3:
                gone = self.random.choice(sorted(kept))
                kept.discard(gone)
                self.excuse({gone})
        told = {n.which for n in self.news if isinstance(n, e.Ended)}
        running = executor.running | {which for which in told if self.started[which] == name}
        held = frozenset(executor.held)
        self.apply(e.ExecutorReturned(name, frozenset(running), held))

    def failure(self) -> None:
        which = self.any_running()
        if which is None:
            return
        error, cause = self.random.choice(
            (
                (Crashed("it crashed"), Cause.CRASHED),
                (SourceUnavailable("not now"), Cause.TRANSIENT),
                (OutOfMemory("too large"), Cause.OUT_OF_MEMORY),
                (Cancelled("drained"), Cause.CANCELLED),
            )
        )
        self.ends(which, FragmentFailed(error, cause))
        if cause is Cause.OUT_OF_MEMORY:
            self.excuse({Try(FragmentKey(StageName.SCAN, n), 0) for n in range(99)})
        self.excuse({which})

    def repeat(self) -> None:
        ended = [n for n in self.news if isinstance(n, e.Ended)]
        if ended:
            self.news.append(self.random.choice(ended))

    def work(self) -> None:
        which = self.any_running()
        if which is None:
            self.deliver()
            return
        missing = self.missing_inputs(which)
        if missing:
            self.excuse(missing | {which})
            failed = FragmentFailed(FetchFailed("gone"), Cause.FETCH_FAILED)
            self.ends(which, failed, frozenset(missing))
        else:
            self.succeeds(which)

    def deliver(self) -> None:
        if self.news:
            self.apply(self.news.pop(self.random.randrange(len(self.news))))

    def grant(self) -> None:
        busy: dict[str, int] = {}
        for fragment in self.state.fragments.values():
            if fragment.running is not None:
                busy[fragment.running.executor] = busy.get(fragment.running.executor, 0) + 1
        seats = [Seat(n, SLOTS, max(SLOTS - busy.get(n, 0), 0)) for n in sorted(self.executors)]
        for grant in assign(seats, [Wish("run", self.state.busy, ready(self.state))]):
            self.apply(e.Granted(grant.key, grant.executor))

    # -- its parts -------------------------------------------------------------------------------

    def any_running(self) -> Try | None:
        running = sorted(which for x in self.executors.values() for which in x.running)
        return self.random.choice(running) if running else None

    def ends(self, which: Try, outcome: Outcome, lost: frozenset[Try] = frozenset()) -> None:
        self.executors[self.started[which]].running.discard(which)
        self.news.append(e.Ended(which, outcome, lost))
        if self.random.random() < 0.1:
            self.news.append(e.Ended(which, outcome, lost))

    def succeeds(self, which: Try) -> None:
        outcome = self.outcome(which)
        self.succeeded[which] = outcome
        if which.fragment.stage in (*READS, StageName.JOIN):
            self.executors[self.started[which]].held.add(which)
        self.ends(which, outcome)

    def outcome(self, which: Try) -> Outcome:
        return outcome_of(which, self.buckets_of(which), self.bucket_bytes)

    def buckets_of(self, which: Try) -> int:
        return self.buckets_at_start[which]

    def missing_inputs(self, which: Try) -> set[Try]:
        everywhere = {one for x in self.executors.values() for one in x.held}
        return self.inputs_at_start.get(which, set()) - everywhere

    def excuse(self, lost: set[Try]) -> None:
        """Whatever is started again is started again for one of these."""
        self.excused |= {which.fragment for which in lost}

    # -- the machine -----------------------------------------------------------------------------

    buckets_at_start: dict[Try, int] = field(default_factory=dict)
    inputs_at_start: dict[Try, set[Try]] = field(default_factory=dict)

    def apply(self, event: e.Event) -> None:
        self.state, actions = step(self.state, event)
        for action in actions:
            match action:
                case e.Start(which, executor):
                    self.start(which, executor)
                case e.Cancel(which, executor):
                    if executor in self.executors:
                        self.executors[executor].running.discard(which)
                case _:
                    assert not self.over, "it ended twice"
                    self.over.append(action)

    def start(self, which: Try, executor: str) -> None:
        assert which not in self.started, "a name was used twice"
        self.started[which] = executor
        self.check_worth_it(which)
        self.buckets_at_start[which] = self.state.buckets
        self.inputs_at_start[which] = self.inputs(which.fragment.stage)
        if executor in self.executors:
            self.executors[executor].running.add(which)

    def inputs(self, stage: StageName) -> set[Try]:
        assert inputs_available(self.state, stage), "something that is needed is missing"
        needs = {
            StageName.JOIN: READS,
            StageName.SETTLE: (StageName.SCAN, StageName.JOIN),
        }.get(stage, ())
        return {
            Try(fragment.key, fragment.accepted.attempt)
            for need in needs
            for fragment in self.state.of(need)
            if fragment.accepted is not None
        }

    def check_worth_it(self, which: Try) -> None:
        key = which.fragment
        if which.attempt > 1:
            assert key in self.excused or key.stage is not StageName.SCAN, "made again for nothing"
        if key.stage in READS and self.state.phase in (Phase.JOINING, Phase.SETTLING):
            waiting = [f for s in (StageName.JOIN, StageName.SETTLE) for f in self.state.of(s)]
            assert any(fragment.idle for fragment in waiting), "nobody needs it"
