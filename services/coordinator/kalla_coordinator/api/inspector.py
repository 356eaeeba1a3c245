"""Inspections, each in a process of its own that can be stopped at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kalla_coordinator.api.auth import caller
from kalla_coordinator.jobs.caller import Caller
from kalla_core.engine.processes.children import Limits, running
from kalla_core.engine.processes.spawned import Start
from kalla_core.errors import QueueFull, ShuttingDown
from kalla_core.inspection.ask import INSPECT, ask
from kalla_core.inspection.request import Inspection, Kind
from kalla_core.settings import CoordinatorSettings
from kalla_core.sources.protocol import SourceAccess

LIMITS = Limits(memory_bytes=512 << 20, timeout=timedelta(seconds=30))
PROVING = Limits(memory_bytes=1 << 30, timeout=timedelta(seconds=180))
"""Of what reads whole sources and runs a recipe on samples."""

CheckSources = Callable[[Iterable[str], Caller], Awaitable[tuple[str, ...]]]
"""Raises `NotAllowed` for the URIs of sources that a caller may not read.

Returns the folders of runs that the others lie in.
"""

AT_ONCE = 2
WAITING = 30


class Inspector:
    """Answers questions about recipes and sources. Asyncio, one event loop.

    Args:
        access: what sources may be reached.
        limits: of each process.
        start: how processes are started, as `running` takes it.
        check: which sources may be looked at, beside what `access` says of files.
    """

    def __init__(
        self,
        settings: CoordinatorSettings,
        access: SourceAccess,
        limits: Limits | None = None,
        start: Start | None = None,
        check: CheckSources | None = None,
    ) -> None:
        self._settings = settings
        self._access = access
        self._limits = limits or LIMITS
        self._start = start
        self._check = check
        self._pool = ThreadPoolExecutor(AT_ONCE, "kalla-inspect")
        self._asked: set[threading.Event] = set()
        self._closed = False

    async def ask(self, kind: Kind, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return what an inspection found, as JSON; one that nobody waits for any more is stopped.

        Raises:
            QueueFull: too many wait already.
            KallaError: what is wrong, or why it was stopped.
        """
        if self._closed:
            raise ShuttingDown("The coordinator is shutting down.")
        access = self._access
        if self._check is not None:
            opened = await self._check(_uris(document), caller.get())
            access = replace(access, opened=tuple(Path(folder) for folder in opened))
        if len(self._asked) >= AT_ONCE + WAITING:
            raise QueueFull("Too many recipes and sources are being looked at; try again.")
        inspection = Inspection(
            kind,
            document,
            self._settings.memory_limit_bytes // self._settings.max_jobs,
            self._settings.slots,
            access,
        )
        stop = threading.Event()
        self._asked.add(stop)
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, self._carry_out, inspection, stop)
        finally:
            stop.set()
            self._asked.discard(stop)

    async def close(self) -> None:
        """Stop what is still being looked at."""
        self._closed = True
        for stop in self._asked:
            stop.set()
        shut: Callable[[], None] = self._pool.shutdown
        await asyncio.get_running_loop().run_in_executor(None, shut)

    def _carry_out(self, inspection: Inspection, stop: threading.Event) -> dict[str, Any]:
        if inspection.kind not in (Kind.PROPOSE, Kind.TRY):
            limits = replace(self._limits, stop=stop)
            with running(INSPECT, limits, start=self._start) as child:
                return ask(child, inspection, limits)
        limits = replace(PROVING, stop=stop)
        with (
            TemporaryDirectory(prefix="kalla-infer-", ignore_cleanup_errors=True) as scratch,
            running(INSPECT, limits, start=self._start) as child,
        ):
            return ask(child, replace(inspection, scratch=scratch), limits)


def _uris(document: Mapping[str, Any]) -> list[str]:
    """Return where the sources of a recipe lie, or the one source of a preview."""
    document = document.get("recipe", document)
    sides = document.get("sources", {}).values()
    every = (document, *sides, *document.get("extras", ()))
    carried = [one["carry"]["evidence"] for one in every if "carry" in one]
    return [*(one["uri"] for one in every if "uri" in one), *carried]
