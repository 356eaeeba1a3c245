"""Work in children and threads that ends when nobody waits for it any more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeVar

from kalla_core.engine.processes.children import Limits, running
from kalla_core.inspection.ask import INSPECT, ask
from kalla_core.inspection.request import Inspection, Kind
from kalla_core.sources.protocol import SourceAccess

T = TypeVar("T")
AT_ONCE = 2
_MEMORY_BYTES = 1 << 30


@dataclass(slots=True)
class Apart:
    """Carries out a few things at once, each in a process of its own; asyncio.

    Attributes:
        timeout: of each.
    """

    timeout: timedelta
    _pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(AT_ONCE, "kalla-mcp")
    )

    async def look(
        self, kind: Kind, document: Mapping[str, Any], access: SourceAccess
    ) -> dict[str, Any]:
        """Return what an inspection in a child found.

        Raises:
            KallaError: what is wrong, or why it was stopped.
        """

        def work(stop: threading.Event) -> dict[str, Any]:
            limits = Limits(_MEMORY_BYTES, self.timeout, stop)
            with running(INSPECT, limits) as child:
                inspection = Inspection(kind, document, _MEMORY_BYTES, 1, access)
                return ask(child, inspection, replace(limits))

        return await self.work(work)

    async def work(self, work: Callable[[threading.Event], T]) -> T:
        """Return what work in a thread comes to; its event is set once nobody waits for it."""
        stop = threading.Event()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._pool, work, stop)
        finally:
            stop.set()

    def close(self) -> None:
        """Take no more work; what is under way has been told to stop."""
        self._pool.shutdown(wait=True, cancel_futures=True)
