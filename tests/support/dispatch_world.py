"""Executors that are only imagined, for the dispatcher to be played against on a real event loop.

They do what executors do: queue what is launched, tell how it ended, drop what they are to forget
without a word. They freeze, so that everything reaches them late; their streams break, and they
come back; they die and never say so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any, cast

from kalla_coordinator.cluster import events as e
from kalla_coordinator.cluster.active import ActiveRun
from kalla_coordinator.cluster.attempts import RetryPolicy, StageName
from kalla_coordinator.cluster.dispatch import Dispatcher
from kalla_coordinator.cluster.layout import Room, Shape
from kalla_coordinator.cluster.line import Line
from kalla_coordinator.cluster.members import Patience
from kalla_coordinator.cluster.roster import Timing
from kalla_coordinator.cluster.run_state import FINAL, Setup, begun
from kalla_coordinator.cluster.works import RunName
from kalla_core.errors import Cancelled
from kalla_core.fragments.attempt import AttemptId
from kalla_core.fragments.cause import Cause
from kalla_core.fragments.outcome import (
    BucketSize,
    BucketSizes,
    FragmentEnded,
    FragmentFailed,
    JoinDone,
    Outcome,
    ProveDone,
    ScanDone,
    SettleDone,
)
from kalla_core.fragments.presence import CancelFragment, ForgetJob, Hello
from kalla_core.fragments.remote import Launch, ScanWork
from kalla_core.matching.query import Side
from kalla_core.matching.strategy import Strategy
from kalla_core.sources.protocol import Part

SLOTS = 2
BUCKETS = 4
MIB = 1 << 20
NONE = {Side.LEFT: 0, Side.RIGHT: 0}
FOR_EVER = timedelta(days=1)


@dataclass
class Imagined:
    """An executor; `line` is None while its stream is broken."""

    name: str
    line: Line | None = None
    frozen: bool = False
    in_hand: list[AttemptId] = field(default_factory=list)
    held: set[AttemptId] = field(default_factory=set)
    unsaid: list[FragmentEnded] = field(default_factory=list)

    def hello(self) -> Hello:
        running = (*self.in_hand, *(said.id for said in self.unsaid))
        return Hello(
            self.name, "1", "host", 1, SLOTS, MIB, running=running, held=tuple(sorted(self.held))
        )

    def hear(self) -> None:
        while self.line is not None and not self.line.outbox.empty():
            match self.line.outbox.get_nowait():
                case Launch(id=id):
                    self.in_hand.append(id)
                case CancelFragment(id=id):
                    if id in self.in_hand:
                        stopped = FragmentFailed(Cancelled("it was stopped"), Cause.CANCELLED)
                        self.ends(id, stopped)
                case ForgetJob(run_id=run_id, run_attempt=attempt):
                    self.in_hand = [i for i in self.in_hand if not _of(i, run_id, attempt)]
                    self.held = {i for i in self.held if not _of(i, run_id, attempt)}

    def ends(self, which: AttemptId, outcome: Outcome) -> None:
        self.in_hand.remove(which)
        self.unsaid.append(FragmentEnded(which, 0.1, outcome))


@dataclass
class DispatchWorld:
    """A dispatcher with imagined executors; `chaos` is how many bad things may still happen."""

    random: Random
    chaos: int
    executors: dict[str, Imagined] = field(default_factory=dict)
    runs: list[ActiveRun] = field(default_factory=list)
    born: int = 0
    begun: int = 0

    def __post_init__(self) -> None:
        timing = Timing(timedelta(seconds=1), Patience(timedelta(0), FOR_EVER))
        self.dispatcher = Dispatcher(timing, b"key")

    async def play(self, steps: int) -> None:
        """Let things happen, bad ones too, with what must hold checked after each."""
        self.birth()
        for _ in range(steps):
            if self.chaos and self.random.random() < 0.4:
                self.chaos -= 1
                self.random.choice(self.mishaps())()
            else:
                self.random.choice((self.work, self.work, self.work, self.start))()
            await asyncio.sleep(0)
            self.finish_those_that_are_over()
            self.check()

    async def calm_down(self) -> None:
        """End every run and let every executor come to itself."""
        for run in list(self.runs):
            self.cancel(run)
        for executor in list(self.executors.values()):
            executor.frozen = False
            self.back(executor)
            executor.hear()
        await asyncio.sleep(0)
        self.check()

    async def finishes(self, most: int) -> bool:
        """Whether one more run comes to its end within so many steps."""
        if not self.executors:
            self.birth()
        run = self.start()
        for _ in range(most):
            self.work()
            await asyncio.sleep(0)
            if run.over.done():
                self.dispatcher.end(run)
                return isinstance(run.over.result(), e.Written)
        return False

    def check(self) -> None:
        known = {run.name for run in self.runs}
        taken: dict[str, int] = {}
        for attempt, executor in self.dispatcher.occupied.items():
            assert RunName(attempt.run_id, attempt.run_attempt) in known, "a run over has a slot"
            taken[executor] = taken.get(executor, 0) + 1
        assert all(executor in self.executors for executor in taken), "the dead have slots"

    # -- what happens ----------------------------------------------------------------------------

    def mishaps(self) -> tuple[Any, ...]:
        return (
            self.birth,
            self.death,
            self.freeze,
            self.thaw,
            self.breaks,
            self.returns,
            self.stop,
            self.dispatcher.look,
        )

    def birth(self) -> None:
        self.born += 1
        executor = Imagined(f"executor-{self.born}")
        self.executors[executor.name] = executor
        self.back(executor)

    def death(self) -> None:
        for executor in self.some():
            del self.executors[executor.name]
            if executor.line is not None:
                self.dispatcher.disconnected(executor.name, executor.line)
            self.dispatcher.look()

    def freeze(self) -> None:
        for executor in self.some():
            executor.frozen = True

    def thaw(self) -> None:
        for executor in self.some():
            executor.frozen = False
            executor.hear()

    def breaks(self) -> None:
        for executor in self.some():
            if executor.line is not None:
                self.dispatcher.disconnected(executor.name, executor.line)
                executor.line = None

    def returns(self) -> None:
        for executor in self.some():
            if not executor.frozen:
                self.back(executor)

    def stop(self) -> None:
        if self.runs:
            self.cancel(self.random.choice(self.runs))

    def start(self) -> ActiveRun:
        self.begun += 1
        name = RunName(f"run-{self.begun}", 1)
        scans = tuple(ScanWork(side, Part(n, {}, MIB)) for side in Side for n in range(2))
        setup = Setup(
            (),
            scans,
            Shape(Strategy.COPARTITION, frozenset(), spread=True),
            Room(4, 1 << 30),
            BUCKETS,
            proofs=self.random.random() < 0.5,
            policy=RetryPolicy(1000, 1000, deaths=1000),
        )
        run = self.dispatcher.begin(
            name,
            begun(setup),
            lambda state, which, where: cast("Launch", _launch(name.of(which))),
            lambda: None,
        )
        self.runs.append(run)
        return run

    def work(self) -> None:
        for executor in self.some():
            if executor.frozen:
                return
            executor.hear()
            at_work = executor.in_hand[:SLOTS]
            if at_work:
                which = self.random.choice(at_work)
                outcome = _outcome(which)
                if isinstance(outcome, ScanDone):
                    executor.held.add(which)
                executor.ends(which, outcome)
            self.tell(executor)

    def tell(self, executor: Imagined) -> None:
        while executor.line is not None and executor.unsaid:
            self.dispatcher.heard(executor.name, executor.line, executor.unsaid.pop(0))

    def back(self, executor: Imagined) -> None:
        if executor.line is None:
            executor.line = self.dispatcher.connected(executor.hello())

    def cancel(self, run: ActiveRun) -> None:
        if run.state.phase not in FINAL:
            self.dispatcher.apply(run, e.Stopped(Cancelled("nobody wants it")))
        self.dispatcher.end(run)
        self.runs.remove(run)

    def finish_those_that_are_over(self) -> None:
        for run in [run for run in self.runs if run.over.done()]:
            self.dispatcher.end(run)
            self.runs.remove(run)

    def some(self) -> Iterator[Imagined]:
        if self.executors:
            yield self.executors[self.random.choice(sorted(self.executors))]


def _launch(id: AttemptId) -> Launch:
    return Launch(id, cast("Any", None), cast("Any", None))


def _of(attempt: AttemptId, run_id: str, run_attempt: int) -> bool:
    return attempt.run_id == run_id and attempt.run_attempt <= run_attempt


def _outcome(which: AttemptId) -> Outcome:
    match StageName(which.stage):
        case StageName.PROVE:
            return ProveDone(None)
        case StageName.EXTRAS | StageName.SCAN:
            sizes = BucketSizes.of(BucketSize(bucket, 10, MIB, MIB) for bucket in range(BUCKETS))
            return ScanDone(100, 0, 0, sizes, MIB)
        case StageName.JOIN:
            return JoinDone((), NONE, NONE, NONE)
        case StageName.SETTLE:
            return SettleDone((), NONE, NONE)
