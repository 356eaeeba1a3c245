"""What each executor does for a run that goes on: asked once a second, however many watch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from kalla_core.errors import KallaError
from kalla_core.ids import RunId
from kalla_core.jobs.model import ExecutorShare, Job

_FRESH_S = 0.9
_PATIENCE_S = 0.5
_CLUSTER = "cluster"

Told = tuple[ExecutorShare, ...]


class Shares:
    """Asyncio.

    Args:
        ask: the coordinator for a job.
        fresh_s: how long an answer holds.
        patience_s: how long one is waited for.
    """

    def __init__(
        self,
        ask: Callable[[RunId], Awaitable[Job]],
        fresh_s: float = _FRESH_S,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._ask = ask
        self._fresh_s = fresh_s
        self._patience_s = patience_s
        self._asked: dict[str, asyncio.Task[Told]] = {}

    async def of(self, run_id: str) -> Told:
        """Return what each executor has done; nothing without a cluster, or an answer in time."""
        asking = self._asked.get(run_id)
        if asking is None:
            asking = asyncio.create_task(self._told(run_id), name="ask-for-shares")
            self._asked[run_id] = asking
            forget = asyncio.get_running_loop().call_later
            forget(self._fresh_s, self._asked.pop, run_id, None)
        return await asyncio.shield(asking)  # others wait for it as well

    async def _told(self, run_id: str) -> Told:
        try:
            async with asyncio.timeout(self._patience_s):
                job = await self._ask(RunId(run_id))
        except (KallaError, TimeoutError):
            return ()  # how far the run is stands on the page without it
        return job.workers if job.engine == _CLUSTER else ()
