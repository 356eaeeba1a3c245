"""The child process that holds a run's sources, seen from the coordinator.

A thread listens to the child; what it says is passed on to the event loop, which owns all else.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Any

from kalla_core.engine.budget import GIB
from kalla_core.engine.processes.children import Child, Limits
from kalla_core.engine.processes.spawned import ChildProcess, Start, spawn
from kalla_core.engine.programs import messages
from kalla_core.engine.programs.held_plan import HeldPlan, HoldOrder, order_json, plan_of
from kalla_core.errors import Crashed, KallaError

HOLDER = (sys.executable, "-m", "kalla_core.engine.programs.holder")
MERGING = (sys.executable, "-m", "kalla_core.engine.programs.merging")

_MEMORY_BYTES = GIB


class HolderProcess:
    """Holds the sources of one run; made by `holding`.

    Attributes:
        lost: done with the reason once nobody holds the sources any more.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, process: ChildProcess) -> None:
        self.lost: asyncio.Future[KallaError] = loop.create_future()
        self._loop = loop
        self._process = process
        self._awaited: asyncio.Future[Mapping[str, Any]] = loop.create_future()
        self._stop = threading.Event()
        # A thread of its own: it listens for as long as the run goes on, and those that all share
        # would be used up by a few runs, which then waited for each other.
        self._pool = ThreadPoolExecutor(1, "holder")
        self._thread: asyncio.Future[None] | None = None

    @property
    def pid(self) -> int:
        """The number of the child's process."""
        return self._process.pid

    async def plan(self, order: HoldOrder) -> HeldPlan:
        """Pin the sources, plan the match SQL and cut parts.

        Raises:
            KallaError: as connectors and the planner do; `Crashed`.
        """
        self._thread = self._loop.run_in_executor(self._pool, self._listen, order_json(order))
        answer = await self._awaited
        return plan_of(answer["plan"])

    async def verify(self) -> None:
        """Look whether the sources are what they were.

        Raises:
            SourceChanged: they are not.
            KallaError: nobody holds them any more.
        """
        if self.lost.done():
            raise self.lost.result()
        self._awaited = self._loop.create_future()
        self._say("verify")
        await self._awaited

    async def close(self) -> None:
        """Let go of the sources and end the child."""
        self._say("release")
        self._stop.set()
        if self._thread is not None:
            await self._thread
        self._pool.shutdown(wait=False)
        self._process.end()

    def _say(self, command: str) -> None:
        with suppress(OSError, ValueError):  # it has ended: `lost` says so
            os.write(self._process.stdin.fileno(), json.dumps({"do": command}).encode() + b"\n")

    def _listen(self, order: Mapping[str, Any]) -> None:
        """Pass on what the child says; in a thread of its own."""
        child = Child(self._process, Limits(_MEMORY_BYTES, stop=self._stop))
        try:
            for answer in child.ask(order):
                self._loop.call_soon_threadsafe(self._heard, answer)
        except KallaError as error:
            self._loop.call_soon_threadsafe(self._ended, error)
        else:
            end = Crashed("The process that holds the sources of the run has ended.")
            self._loop.call_soon_threadsafe(self._ended, end)

    def _heard(self, answer: Mapping[str, Any]) -> None:
        if answer["event"] == "error":
            self._ended(messages.error(answer))
        elif not self._awaited.done():
            self._awaited.set_result(answer)

    def _ended(self, error: KallaError) -> None:
        if not self._awaited.done():
            self._awaited.set_exception(error)
        if not self.lost.done():
            self.lost.set_result(error)


@asynccontextmanager
async def holding(start: Start | None = None) -> AsyncIterator[HolderProcess]:
    """Start a holder; leaving the block lets go of what it holds.

    Raises:
        Crashed: it cannot be started.
    """
    loop = asyncio.get_running_loop()
    process = await _started(start or spawn)
    holder = HolderProcess(loop, process)
    try:
        yield holder
    finally:
        await asyncio.shield(holder.close())


async def _started(start: Start) -> ChildProcess:
    """Start a holder; who is cancelled meanwhile leaves none behind."""
    starting = asyncio.ensure_future(asyncio.to_thread(start, HOLDER, {}))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with suppress(Exception):
            (await starting).end()
        raise
