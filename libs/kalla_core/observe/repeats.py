"""How often the same line may be said: pure, the time is given."""

from __future__ import annotations

from collections.abc import Hashable

BURST = 10
PERIOD_S = 10.0
_MOST_KEYS = 1000


class Repeats:
    """Lets the first lines of a kind through in each period, and counts those that it does not."""

    def __init__(self, burst: int = BURST, period_s: float = PERIOD_S) -> None:
        self._burst = burst
        self._period_s = period_s
        self._since: dict[Hashable, tuple[float, int]] = {}

    def held_back(self, key: Hashable, now_s: float) -> int | None:
        """Return how many were held back since the last period; None if this one is, too."""
        began_s, count = self._since.get(key, (now_s, 0))
        if now_s - began_s >= self._period_s:
            missed, began_s, count = max(0, count - self._burst), now_s, 0
        else:
            missed = 0
        if len(self._since) >= _MOST_KEYS:
            self._since.clear()
        self._since[key] = (began_s, count + 1)
        return missed if count < self._burst else None
