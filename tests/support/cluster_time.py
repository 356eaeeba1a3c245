"""Imagined executors before a real dispatcher: they freeze, are cut off, die and come back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any, cast

from kalla_coordinator.cluster.attempts import StageName, Try
from kalla_coordinator.cluster.dispatch import Dispatcher
from kalla_coordinator.cluster.line import Line
from kalla_coordinator.cluster.members import Patience
from kalla_coordinator.cluster.roster import Timing
from kalla_coordinator.cluster.run_state import RunState
from kalla_coordinator.cluster.works import RunName
from kalla_core.errors import Cancelled
from kalla_core.fragments.attempt import AttemptId
from kalla_core.fragments.fetch_fault import FetchFault, fetch_failed
from kalla_core.fragments.outcome import (
    FragmentEnded,
    FragmentFailed,
    Outcome,
    failed,
)
from kalla_core.fragments.presence import CancelFragment, ForgetJob, Heartbeat, Hello, PeerGone
from kalla_core.fragments.remote import Launch
from tests.support.cluster_world import outcome_of

TIMING = Timing(
    timedelta(seconds=2), Patience(grace=timedelta(seconds=10), silence=timedelta(seconds=15))
)
SLOTS = 2
SILENCE_S = 30.0
"""How long executors wait for one that does not answer."""


@dataclass
class Site:
    """What all executors share: the dispatcher, and what each attempt will find.

    Attributes:
        random: how long fragments take, and whatever else is chance.
        inputs: what an attempt fetches, by who holds it.
        apart: pairs of executors that do not reach each other.
    """

    dispatcher: Dispatcher
    random: Random
    outcomes: dict[AttemptId, Outcome] = field(default_factory=dict)
    inputs: dict[AttemptId, dict[str, tuple[AttemptId, ...]]] = field(default_factory=dict)
    apart: set[frozenset[str]] = field(default_factory=set)
    executors: dict[str, ImaginedExecutor] = field(default_factory=dict)

    def launch_of(self, name: RunName) -> Any:
        """Return what makes the launches of a run."""

        def launch(state: RunState, which: Try, where: Mapping[str, tuple[str, int]]) -> Launch:
            del where
            self.outcomes[name.of(which)] = outcome_of(which, state.buckets, 1 << 20)
            self.inputs[name.of(which)] = _inputs(name, state, which)
            return Launch(name.of(which), cast("Any", None), cast("Any", None))

        return launch


def _inputs(name: RunName, state: RunState, which: Try) -> dict[str, tuple[AttemptId, ...]]:
    found: dict[str, tuple[AttemptId, ...]] = {}
    if which.fragment.stage is StageName.JOIN:
        for fragment in state.of(StageName.SCAN):
            assert fragment.accepted is not None
            one = name.of(Try(fragment.key, fragment.accepted.attempt))
            holder = fragment.accepted.executor
            found[holder] = (*found.get(holder, ()), one)
    return found


class ImaginedExecutor:
    """One executor; `live` is its life, and cancelling that its death."""

    def __init__(self, site: Site, name: str) -> None:
        self.name = name
        self._site = site
        self._awake = asyncio.Event()
        self._awake.set()
        self._slots = asyncio.Semaphore(SLOTS)
        self._running: dict[AttemptId, asyncio.Task[None]] = {}
        self._held: set[AttemptId] = set()
        self._line: Line | None = None
        self._gone: dict[str, asyncio.Event] = {}
        site.executors[name] = self

    async def live(self) -> None:
        """Be there, and be there again whenever the stream breaks."""
        try:
            while True:
                await self._stream()
                await asyncio.sleep(self._site.random.uniform(0.1, 1.0))
        finally:
            for task in self._running.values():
                task.cancel()

    @property
    def awake(self) -> asyncio.Event:
        """Set while it is not frozen."""
        return self._awake

    async def freeze(self, seconds: float) -> None:
        """Do, hear and say nothing for a while."""
        self._awake.clear()
        await asyncio.sleep(seconds)
        self._awake.set()

    def cut(self) -> None:
        """Break the stream; what is on its way is lost."""
        if self._line is not None:
            self._site.dispatcher.disconnected(self.name, self._line)
            self._line.close()

    async def _stream(self) -> None:
        await self._awake.wait()
        hello = Hello(
            self.name,
            "0.1.0",
            "10.0.0.1",
            1,
            SLOTS,
            1 << 30,
            running=tuple(self._running),
            held=tuple(self._held),
        )
        line = self._line = self._site.dispatcher.connected(hello)
        beating = asyncio.create_task(self._beat(line))
        try:
            while (said := await line.outbox.get()) is not None:
                await self._awake.wait()
                self._hear(said)
        finally:
            self._line = None
            beating.cancel()
            self._site.dispatcher.disconnected(self.name, line)

    async def _beat(self, line: Line) -> None:
        while True:
            await self._awake.wait()
            self._site.dispatcher.heard(self.name, line, Heartbeat())
            await asyncio.sleep(TIMING.heartbeat.total_seconds())

    def _hear(self, said: object) -> None:
        match said:
            case Launch(id=attempt) if attempt not in self._running:
                self._running[attempt] = asyncio.create_task(self._work(attempt))
            case CancelFragment(id=attempt) if attempt in self._running:
                self._running.pop(attempt).cancel()
                self._tell(attempt, failed(Cancelled("The fragment was cancelled.")))
            case ForgetJob(run_id, run_attempt):
                for attempt in [*self._running, *self._held]:
                    if attempt.run_id == run_id and attempt.run_attempt <= run_attempt:
                        self._held.discard(attempt)
                        if attempt in self._running:
                            self._running.pop(attempt).cancel()
            case PeerGone(executor):
                self._gone.setdefault(executor, asyncio.Event()).set()
            case _:
                pass

    async def _fetched(self, attempt: AttemptId) -> FragmentFailed | None:
        """Wait for what others have; what comes of it if they cannot be reached."""
        for holder, wanted in self._site.inputs[attempt].items():
            gone = self._gone[holder] = asyncio.Event()
            if holder == self.name:
                continue
            if frozenset({holder, self.name}) in self._site.apart:
                answers = asyncio.Event()
            else:
                answers = self._site.executors[holder].awake
            waits = {asyncio.create_task(one.wait()) for one in (gone, answers)}
            try:
                await asyncio.wait(waits, timeout=SILENCE_S, return_when="FIRST_COMPLETED")
            finally:
                for one in waits:
                    one.cancel()
            if not answers.is_set():
                fault = FetchFault(holder, wanted, unreachable=not gone.is_set())
                return failed(fetch_failed(f"{holder} does not answer.", fault))
        return None

    async def _work(self, attempt: AttemptId) -> None:
        async with self._slots:
            failure = await self._fetched(attempt)
            if failure is None:
                await asyncio.sleep(self._site.random.uniform(0.1, 4.0))
            await self._awake.wait()
        del self._running[attempt]
        if failure is not None:
            self._tell(attempt, failure)
            return
        self._held.add(attempt)
        self._tell(attempt, self._site.outcomes[attempt])

    def _tell(self, attempt: AttemptId, outcome: Outcome | FragmentFailed) -> None:
        if self._line is not None:  # else it is lost, and shows when the stream is back
            self._site.dispatcher.heard(self.name, self._line, FragmentEnded(attempt, 1.0, outcome))


async def torment(executor: ImaginedExecutor, random: Random, times: int) -> None:
    """Freeze and cut an executor so many times, for shorter and longer than is put up with."""
    for _ in range(times):
        await asyncio.sleep(random.uniform(0.5, 10.0))
        if random.random() < 0.5:
            await executor.freeze(random.choice((1.0, 3.0, 20.0)))
        else:
            executor.cut()


async def ended(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait for their end."""
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
