"""What the dispatcher costs its loop while one large run goes over many executors."""

from __future__ import annotations

import asyncio
import gc
import time
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

from kalla_coordinator.cluster import events as e
from kalla_coordinator.cluster.dispatch import Dispatcher
from kalla_coordinator.cluster.layout import Room, Shape
from kalla_coordinator.cluster.line import Line
from kalla_coordinator.cluster.members import Patience
from kalla_coordinator.cluster.progress import shares, summed_up
from kalla_coordinator.cluster.roster import Timing
from kalla_coordinator.cluster.run_state import Setup, begun
from kalla_coordinator.cluster.works import Launches, RunName, RunTerms, try_of
from kalla_core.fragments.attempt import AttemptId
from kalla_core.fragments.outcome import FragmentEnded, FragmentProgress
from kalla_core.fragments.presence import Heartbeat, Hello
from kalla_core.fragments.remote import Launch, ScanWork
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.strategy import Strategy
from kalla_core.sources.protocol import Part, Statistics
from tests.support.cluster_world import outcome_of

SLOTS = 2
MIB = 1 << 20
TOLD_AFTER = 60
"""Events after which it is told how far the run has come."""

NAME = RunName("run", 1)


@dataclass(frozen=True)
class Size:
    """A run and who works on it; half of the parts are of either side."""

    parts: int
    buckets: int
    executors: int


@dataclass
class Cost:
    """Processor time of the loop's thread; only what the dispatcher does is counted."""

    events: int = 0
    seconds: float = 0.0
    longest: float = 0.0
    began: float = 0.0

    def __enter__(self) -> None:
        self.began = time.thread_time()

    def __exit__(self, *exc: object) -> None:
        took = time.thread_time() - self.began
        self.seconds += took
        self.longest = max(self.longest, took)

    @property
    def per_event(self) -> float:
        """Seconds of the loop for one event."""
        return self.seconds / self.events


@dataclass
class Crowd:
    """Executors that end what they are given, the one that has waited longest first."""

    dispatcher: Dispatcher
    cost: Cost = field(default_factory=Cost)
    lines: dict[str, Line] = field(default_factory=dict)
    at_work: dict[AttemptId, str] = field(default_factory=dict)

    async def says(self, executor: str, said: Any) -> None:
        """Let an executor say something, and the dispatcher do all that it does about it."""
        self.cost.events += 1
        with self.cost:
            self.dispatcher.heard(executor, self.lines[executor], said)
            await asyncio.sleep(0)

    def listen(self) -> None:
        """Take what is launched."""
        for name, line in self.lines.items():
            while not line.outbox.empty():
                said = line.outbox.get_nowait()
                if isinstance(said, Launch):
                    self.at_work[said.id] = name


async def played(size: Size) -> Cost:
    """Return what the dispatcher costs in one run from its beginning to its end."""
    timing = Timing(timedelta(seconds=1), Patience(timedelta(days=1), timedelta(days=1)))
    crowd = Crowd(Dispatcher(timing, b"key"))
    for number in range(size.executors):
        name = f"executor-{number}"
        hello = Hello(name, "1", "host", 1, SLOTS, MIB)
        crowd.lines[name] = crowd.dispatcher.connected(hello)
    outcomes: dict[str, Any] = {}
    run = crowd.dispatcher.begin(NAME, begun(_setup(size)), Launches(_BRIEF).launch, lambda: None)
    await asyncio.sleep(0)
    gc.collect()
    gc.disable()
    try:
        while not run.over.done():
            crowd.listen()
            which = next(iter(crowd.at_work))
            executor = crowd.at_work.pop(which)
            if which.stage not in outcomes:
                outcomes[which.stage] = outcome_of(try_of(which), size.buckets, MIB)
            await crowd.says(executor, Heartbeat())
            await crowd.says(executor, FragmentProgress(which, 5, 5))
            await crowd.says(executor, FragmentEnded(which, 1.0, outcomes[which.stage]))
            if not crowd.cost.events % TOLD_AFTER:
                with crowd.cost:
                    list(summed_up(run.state, run.reports, PLAN))
                    shares(run.state, run.reports, run.executors)
    finally:
        gc.enable()
    assert run.over.result() == e.Written()
    return crowd.cost


def _setup(size: Size) -> Setup:
    scans = tuple(ScanWork(side, Part(n, {}, MIB)) for side in Side for n in range(size.parts // 2))
    shape = Shape(Strategy.COPARTITION, spread=True)
    return Setup((), scans, shape, Room(size.buckets, 1 << 40), size.buckets)


@dataclass(frozen=True)
class _Plan:
    left: Any = None
    right: Any = None
    extras: tuple[()] = ()
    strategy: Strategy = Strategy.COPARTITION
    late: bool = False

    def side(self, side: Side) -> Any:
        return SimpleNamespace(spec=SimpleNamespace(alias=side.value), statistics=Statistics())


PLAN = cast("Any", _Plan())
_BRIEF = RunTerms(NAME, cast("Any", None), cast("Any", None), PLAN, "/staging")
