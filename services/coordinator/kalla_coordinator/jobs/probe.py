"""Whether the job store can be written, for many who ask often."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

_FRESH_S = 0.25


class Probe:
    """Tries a write; who asks while one is under way, or shortly after, is told what became of it.

    Asyncio, one event loop.
    """

    def __init__(self, write: Callable[[], Awaitable[object]]) -> None:
        self._write = write
        self._trial: asyncio.Future[None] | None = None
        self._ended_at = 0.0

    async def check(self) -> None:
        """Raise what the write raised, if it did.

        Whoever has waited for long enough may stop to: the write goes on for those who ask next.
        """
        trial = self._trial
        now = asyncio.get_running_loop().time()
        if trial is None or (trial.done() and now - self._ended_at > _FRESH_S):
            trial = self._trial = asyncio.create_task(self._try(), name="store-probe")
            trial.add_done_callback(self._ended)
        await asyncio.shield(trial)

    async def _try(self) -> None:
        await self._write()

    def _ended(self, trial: asyncio.Future[None]) -> None:
        self._ended_at = asyncio.get_running_loop().time()
        if not trial.cancelled():
            trial.exception()  # whoever asked may have gone
