"""Tells whoever watches that something has changed; within this process, and without content."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress


class Changes:
    """Asyncio. What other processes change is not told: who waits looks again after a while."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def tell(self, subject: str) -> None:
        """Wake whoever waits for a subject."""
        for event in self._waiting.get(subject, ()):
            event.set()

    async def wait(self, subject: str, longest_s: float) -> None:
        """Wait for a change of a subject, or for so long."""
        event = asyncio.Event()
        self._waiting[subject].add(event)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), longest_s)
        finally:
            self._waiting[subject].discard(event)
            if not self._waiting[subject]:
                del self._waiting[subject]
