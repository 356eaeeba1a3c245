"""The time by a clock that nobody sets.

An operator or NTP may move the wall clock by hours. What is removed, given up or lost after a while
would be at once; so such times are told by this one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

SETTLING = timedelta(minutes=10)
"""So long a wall clock that is wrong when a machine starts may take to be put right."""


class SteadyClock:
    """The wall clock as it was when this was made, moved on by the monotonic clock.

    Args:
        wall, monotonic: the clocks, for tests.
    """

    def __init__(
        self,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self._began = wall()
        self._start = monotonic()

    def now(self) -> datetime:
        """Return the time, zoned."""
        return self._began + self.since_made

    @property
    def since_made(self) -> timedelta:
        """How long ago it was made."""
        return timedelta(seconds=self._monotonic() - self._start)


async def settled(
    make: Callable[[], SteadyClock] = SteadyClock,
    wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> SteadyClock:
    """Return a clock for removing what is old: made once the wall clock had time to be put right.

    Args:
        make, wait: the clock and the seconds that pass, for tests.
    """
    await wait(SETTLING.total_seconds())
    return make()
