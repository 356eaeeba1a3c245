"""Validate, explain and preview, each in a process of its own that can be stopped at once."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any

from kalla_core.engine.children import Child, Limits, running
from kalla_core.errors import QueueFull, ShuttingDown
from kalla_core.inspection.ask import INSPECT, ask
from kalla_core.inspection.request import Inspection, Kind
from kalla_core.settings import CoordinatorSettings
from kalla_core.sources.protocol import SourceAccess

LIMITS = Limits(memory_bytes=512 << 20, timeout=timedelta(seconds=30))
AT_ONCE = 2
WAITING = 30


class Inspector:
    """Answers questions about recipes and sources. Asyncio, one event loop.

    Args:
        access: what sources may be reached.
        limits: of each process.
    """

    def __init__(
        self,
        settings: CoordinatorSettings,
        access: SourceAccess,
        limits: Limits | None = None,
    ) -> None:
        self._settings = settings
        self._access = access
        self._limits = limits or LIMITS
        self._pool = ThreadPoolExecutor(AT_ONCE, "kalla-inspect")
        self._asked = 0
        self._running: set[_Running] = set()
        self._closed = False

    async def ask(self, kind: Kind, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return what an inspection found, as JSON; one that nobody waits for any more is stopped.

        Raises:
            QueueFull: too many wait already.
            KallaError: what is wrong, or why it was stopped.
        """
        if self._closed:
            raise ShuttingDown("The coordinator is shutting down.")
        if self._asked >= AT_ONCE + WAITING:
            raise QueueFull("Too many recipes and sources are being looked at; try again.")
        inspection = Inspection(
            kind,
            document,
            self._settings.memory_limit_bytes // self._settings.max_jobs,
            self._settings.slots,
            self._access,
        )
        process = _Running(inspection, self._limits)
        self._running.add(process)
        self._asked += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, process.run)
        finally:
            self._asked -= 1
            self._running.discard(process)
            process.stop()

    async def close(self) -> None:
        """Stop what is still being looked at."""
        self._closed = True
        for process in list(self._running):
            process.stop()
        shut: Callable[[], None] = self._pool.shutdown
        await asyncio.get_running_loop().run_in_executor(None, shut)


class _Running:
    """One inspection, in a thread that waits for its process."""

    def __init__(self, inspection: Inspection, limits: Limits) -> None:
        self._inspection = inspection
        self._limits = limits or LIMITS
        self._lock = threading.Lock()
        self._child: int | None = None  # a descriptor of the process: its number may be taken anew
        self._stopped = False

    def run(self) -> dict[str, Any]:
        """Carry it out; blocks."""
        with running(INSPECT, self._limits) as child:
            self._started(child)
            try:
                return ask(child, self._inspection, self._limits)
            finally:
                self._ended()

    def stop(self) -> None:
        """End the process, if there is one; safe from any thread, at any time."""
        with self._lock:
            self._stopped = True
            self._kill()

    def _started(self, child: Child) -> None:
        with self._lock:
            self._child = os.pidfd_open(child.pid)
            if self._stopped:
                self._kill()

    def _ended(self) -> None:
        with self._lock:
            if self._child is not None:
                os.close(self._child)
            self._child = None

    def _kill(self) -> None:
        if self._child is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._child, signal.SIGKILL)
