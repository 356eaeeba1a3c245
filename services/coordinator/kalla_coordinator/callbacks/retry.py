"""When a delivery that failed is tried again. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class CallbackRetry:
    """Waits that double, spread by chance so that receivers are not met by all at once.

    Attributes:
        first: wait after the first failure.
        longest: no wait is longer.
        give_up_after: since the delivery was first owed; more than an hour.
    """

    first: timedelta = timedelta(seconds=1)
    longest: timedelta = timedelta(minutes=2)
    give_up_after: timedelta = timedelta(hours=6)

    def wait(self, failures: int, chance: float) -> timedelta:
        """Return how long to wait after so many failures.

        Args:
            failures: 1 or more.
            chance: in [0, 1); takes off up to half of the wait.
        """
        doubled = self.first * (1 << min(failures - 1, 30))
        return min(doubled, self.longest) * (1 - chance / 2)

    def gives_up(self, owed_for: timedelta) -> bool:
        """Whether a delivery that is owed for so long is not tried any more."""
        return owed_for >= self.give_up_after
