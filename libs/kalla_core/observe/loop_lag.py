"""How late an event loop is, which is how long everything on it waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

LAG_SECONDS = (0.001, 0.005, 0.02, 0.1, 0.5, 2)
"""Bounds of a histogram of it."""

_INTERVAL_S = 0.5


async def watch_loop(observe: Callable[[float], object]) -> None:
    """Tell, twice a second, how many seconds late the running loop is; until cancelled."""
    while True:
        due = time.monotonic() + _INTERVAL_S
        await asyncio.sleep(_INTERVAL_S)
        observe(max(0.0, time.monotonic() - due))
