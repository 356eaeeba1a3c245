"""What is made of the evidence of runs that have ended, before anybody asks for it; asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from kalla_app.evidence.place import EvidencePlace
from kalla_app.store.runs import Run
from kalla_core.errors import KallaError


class Ahead:
    """Makes something for each run that is noted.

    Args:
        make: is given the run and the folder with its evidence, which is here; what it raises as
            `KallaError` is told whoever looks at the run.
    """

    def __init__(
        self, evidence: EvidencePlace, make: Callable[[Run, Path], Awaitable[None]]
    ) -> None:
        self._evidence = evidence
        self._make = make
        self._tasks: set[asyncio.Task[None]] = set()

    def note(self, run: Run) -> None:
        """Begin with a run that has ended."""
        task = asyncio.create_task(self._made(run), name="ahead")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End what is being made."""
        await end(self._tasks)

    async def _made(self, run: Run) -> None:
        with suppress(KallaError):
            if await self._evidence.is_here(run):
                await self._make(run, await self._evidence.folder(run))


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks, and wait until they have ended."""
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)
