"""Executors in this process: real fragments in threads, real messages, no network.

They share a folder, below which each has its own; a peer that was killed has none any more.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from kalla_coordinator.cluster.counting import Counting, NoCounts
from kalla_coordinator.cluster.dispatch import Dispatcher
from kalla_coordinator.cluster.line import Line
from kalla_coordinator.cluster.members import Patience
from kalla_coordinator.cluster.roster import Timing
from kalla_core.engine.budget import Budget
from kalla_core.engine.fragments.fragment import run_fragment
from kalla_core.engine.fragments.remote_run import RemoteRun
from kalla_core.engine.spool.published import NotSpooled
from kalla_core.engine.spool.requests import Inputs, SpoolRequest, wants
from kalla_core.engine.spool.spool_folder import SpoolFolder
from kalla_core.errors import Cancelled, EngineFailure, KallaError
from kalla_core.fragments.attempt import AttemptId
from kalla_core.fragments.fetch_fault import fetch_failed
from kalla_core.fragments.outcome import FragmentEnded, Outcome, failed
from kalla_core.fragments.presence import (
    CancelFragment,
    ForgetJob,
    FromExecutor,
    Heartbeat,
    Hello,
    ToExecutor,
)
from kalla_core.fragments.remote import Launch, Work
from kalla_core.wire.executors import (
    from_executor,
    from_executor_message,
    to_executor,
    to_executor_message,
)
from tests.support.runs import AMPLE

Sabotage = Callable[[Launch], KallaError | None]


def no_harm(_: Launch) -> None:
    """Let every fragment run."""


@dataclass
class SmallExecutor:
    """One executor; `sabotage` returns the error that a fragment is to fail with."""

    root: Path
    name: str
    dispatcher: Dispatcher
    slots: int = 1
    share: Budget = AMPLE
    sabotage: Sabotage = no_harm
    launched: list[Launch] = field(default_factory=list)
    running: dict[AttemptId, asyncio.Task[None]] = field(default_factory=dict)
    line: Line | None = None
    listening: asyncio.Task[None] | None = None
    dead: bool = False

    @property
    def folder(self) -> SpoolFolder:
        return SpoolFolder(self.root / self.name)

    def connect(self) -> None:
        """Open a stream, as new or as one that is back."""
        hello = Hello(
            executor_id=self.name,
            version="0.1.0",
            host="localhost",
            port=1,
            slots=self.slots,
            slot_memory_bytes=1 << 30,
            running=tuple(self.running),
            held=self.folder.held(),
        )
        self.line = self.dispatcher.connected(_sent(hello))
        self.listening = asyncio.create_task(self._listen(self.line))

    def disconnect(self) -> None:
        """Break the stream; what runs goes on."""
        assert self.line is not None
        assert self.listening is not None
        self.listening.cancel()
        self.dispatcher.disconnected(self.name, self.line)
        self.line = None

    def kill(self) -> None:
        """Die with everything, as SIGKILL would have it."""
        self.dead = True
        if self.line is not None:
            self.disconnect()
        for task in self.running.values():
            task.cancel()
        shutil.rmtree(self.folder.path, ignore_errors=True)

    def beat(self) -> None:
        """Tell that all is well."""
        self.tell(Heartbeat(slots_busy=len(self.running)))

    def tell(self, said: FromExecutor) -> None:
        if self.line is not None and not self.dead:
            self.dispatcher.heard(self.name, self.line, _sent(said))

    async def _listen(self, line: Line) -> None:
        while (said := await line.outbox.get()) is not None:
            match to_executor(to_executor_message(said)):
                case Launch() as launch:
                    self.launched.append(launch)
                    self.running[launch.id] = asyncio.create_task(self._work(launch))
                case CancelFragment(attempt) if attempt in self.running:
                    self.running[attempt].cancel()
                case ForgetJob(run_id, run_attempt):
                    self.folder.forget(run_id, run_attempt)
                case _:
                    continue

    async def _work(self, launch: Launch) -> None:
        outcome: Outcome
        try:
            error = self.sabotage(launch)
            if error is not None:
                raise error
            outcome = await asyncio.to_thread(self._run, launch)
        except asyncio.CancelledError:
            outcome = failed(Cancelled("It was cancelled."))
        except KallaError as error:
            outcome = failed(error)
        except Exception as error:
            outcome = failed(EngineFailure(f"{type(error).__name__}: {error}"))
        while self.line is None and not self.dead:
            await asyncio.sleep(0.01)
        self.running.pop(launch.id, None)
        self.tell(FragmentEnded(launch.id, 0.1, outcome))

    def _run(self, launch: Launch) -> Outcome:
        with self.folder.scratch(launch.id) as scratch:
            run = RemoteRun(launch.id, launch.job, self.share, self.folder, scratch, lambda _: None)
            return run_fragment(run, launch.work, self._inputs(launch.work))

    def _inputs(self, work: Work) -> Inputs:
        return {want: self._input(want) for want in wants(work)}

    def _input(self, want: SpoolRequest) -> object:
        peer = SpoolFolder(self.root / want.place.executor_id)
        try:
            return replace(peer.open(want.place.attempt, want.kind), origin=want.fault)
        except NotSpooled as error:
            raise fetch_failed(str(error), want.fault) from error


def _sent(said: FromExecutor) -> FromExecutor:
    """Return what arrives of a message."""
    return from_executor(from_executor_message(said))


TIMING = Timing(timedelta(seconds=1), Patience(timedelta(seconds=0.3), timedelta(seconds=60)))


@asynccontextmanager
async def small_cluster(
    root: Path, executors: int = 2, share: Budget = AMPLE, counts: Counting | None = None
) -> AsyncIterator[tuple[Dispatcher, list[SmallExecutor]]]:
    """Give a dispatcher with executors that are registered."""
    dispatcher = Dispatcher(TIMING, b"key", counts or NoCounts())
    members = [
        SmallExecutor(root, f"executor-{n}", dispatcher, share=share) for n in range(executors)
    ]
    for member in members:
        member.connect()
    watching = asyncio.create_task(dispatcher.watch_over())
    try:
        yield dispatcher, members
    finally:
        watching.cancel()
        for member in members:
            if not member.dead:
                member.kill()
        with suppress(asyncio.CancelledError):
            await watching
        left = [task for member in members for task in member.running.values()]
        await asyncio.gather(*left, return_exceptions=True)


__all__ = ["SmallExecutor", "ToExecutor", "small_cluster"]
