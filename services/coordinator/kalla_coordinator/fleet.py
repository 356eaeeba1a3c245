"""Processes that belong to this one: started, started again when they fail, and ended with it.

They are in a session of their own, so that a Ctrl-C reaches this process alone, which ends them in
its order; and their standard input is a pipe from here, so that they end however this one does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from kalla_core.observe.logs import get_logger

_END_PATIENCE_S = 15.0


@dataclass(frozen=True, slots=True)
class Restarts:
    """How often each process may be started again.

    Attributes:
        most: within `within_s`; one more failure, and it is given up.
        pause_s: before the first time; each further one within that time doubles it.
    """

    most: int = 5
    within_s: float = 600.0
    pause_s: float = 0.5

    def pause(self, failures: Sequence[float], now: float) -> float | None:
        """Return how long to wait after the last of some failures; None if it is given up."""
        recent = sum(now - moment < self.within_s for moment in failures)
        return None if recent > self.most else self.pause_s * 2.0 ** max(recent - 1, 0)


class Fleet:
    """Some processes of one command. Made and used on one event loop."""

    def __init__(self, command: Sequence[str], size: int, restarts: Restarts) -> None:
        self._command = tuple(command)
        self._size = size
        self._restarts = restarts
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._keepers: list[asyncio.Task[None]] = []

    @property
    def processes(self) -> tuple[asyncio.subprocess.Process, ...]:
        """The process in each place; one that has ended stays until another takes its place."""
        return tuple(self._processes[place] for place in sorted(self._processes))

    async def start(self) -> None:
        """Start all of them."""
        for place in range(self._size):
            await self._begin(place)

    def watch_over(self) -> None:
        """Start again what fails, from now on."""
        self._keepers = [asyncio.create_task(self._keep(place)) for place in range(self._size)]

    async def close(self) -> None:
        """End them all; returns when they are gone."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        await asyncio.gather(*(_ended(process) for process in self._processes.values()))

    async def _begin(self, place: int) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, start_new_session=True
        )
        self._processes[place] = process
        return process

    async def _keep(self, place: int) -> None:
        loop, failures = asyncio.get_running_loop(), list[float]()
        process = self._processes[place]
        while code := await process.wait():  # with 0, somebody told it to end
            failures.append(loop.time())
            pause = self._restarts.pause(failures, loop.time())
            if pause is None:
                log = get_logger()
                log.error("process_given_up", place=place, exit_code=code, failures=len(failures))
                return
            get_logger().warning(
                "process_restarts", place=place, pid=process.pid, exit_code=code, pause_s=pause
            )
            await asyncio.sleep(pause)
            process = await self._begin(place)
        get_logger().info("process_left", place=place, pid=process.pid)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Let a process end; kill it if it does not."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.terminate()
    try:
        async with asyncio.timeout(_END_PATIENCE_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
