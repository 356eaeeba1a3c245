"""Messages that are made once of what is sent many times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

V = TypeVar("V")
M = TypeVar("M")

_KEPT = 8


class Same(Generic[V, M]):
    """Remembers the messages of the last few values, told by being the same objects.

    For values that never change and messages that nobody changes. Any thread may ask.
    """

    def __init__(self, make: Callable[[V], M]) -> None:
        self._make = make
        self._known: dict[int, tuple[V, M]] = {}

    def of(self, value: V) -> M:
        """Return the message of a value."""
        known = self._known.get(id(value))
        if known is not None and known[0] is value:
            return known[1]
        while len(self._known) >= _KEPT:
            self._known.pop(next(iter(list(self._known)), 0), None)
        message = self._make(value)
        self._known[id(value)] = (value, message)
        return message
