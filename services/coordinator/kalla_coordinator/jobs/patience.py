"""How long a job store that does not answer is asked again."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from kalla_core.errors import StoreUnavailable

_RETRY_S = 1.0

T = TypeVar("T")


@dataclass
class StorePatience:
    """For ever, until that is limited: then this process ends, and the next start finds out."""

    _until: float = math.inf

    def ends_in(self, seconds: float) -> None:
        """Limit it, once for all."""
        self._until = min(self._until, time.monotonic() + seconds)

    async def insist(self, write: Callable[[], Awaitable[T]]) -> T:
        """Do what needs the store, again and again while that does not answer.

        Raises:
            StoreUnavailable: the patience has ended.
        """
        while True:
            try:
                return await write()
            except StoreUnavailable:
                if time.monotonic() >= self._until:
                    raise
                await asyncio.sleep(_RETRY_S)
