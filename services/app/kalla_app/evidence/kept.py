"""What was read of evidence, which never changes: kept in memory until others need the room."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class Kept(Generic[V]):
    """Values by what they were read for; what was asked for longest ago goes first. One thread.

    Args:
        most_bytes: that all of them may take, as whoever keeps them says.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._values: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()

    def find(self, key: Hashable) -> V | None:
        """Return a value; None if it is not kept."""
        found = self._values.get(key)
        if found is None:
            return None
        self._values.move_to_end(key)
        return found[0]

    def keep(self, key: Hashable, value: V, size: int) -> None:
        """Keep a value of so many bytes; one that is too large for all the room is not kept."""
        if size > self._most_bytes:
            return
        self._bytes -= self._values.pop(key, (value, 0))[1]
        self._values[key] = value, size
        self._bytes += size
        while self._bytes > self._most_bytes:
            self._bytes -= self._values.popitem(last=False)[1][1]
