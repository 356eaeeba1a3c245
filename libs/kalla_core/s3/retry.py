"""Which failure is tried again, and how long is waited before. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from kalla_core.s3.troubles import Trouble

_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class RequestRetry:
    """How often a request is tried.

    Attributes:
        attempts: in all, the first included.
        give_up_after_s: no further try once this has passed since the first one began.
    """

    attempts: int
    give_up_after_s: float

    def wait_s(self, trouble: Trouble, tried: int, elapsed_s: float, chance: float) -> float | None:
        """Return how long to wait before the next try; None for giving up.

        Args:
            trouble: of the last try.
            tried: tries so far.
            elapsed_s: since the first try began.
            chance: in [0, 1), so that those who failed together do not come back together.
        """
        if trouble not in (Trouble.BUSY, Trouble.CONFLICT) or tried >= self.attempts:
            return None
        longest = min(_FIRST_WAIT_S * 2.0**tried, _LONGEST_WAIT_S)
        wait = longest * (1 + chance) / 2
        return None if elapsed_s + wait > self.give_up_after_s else wait
