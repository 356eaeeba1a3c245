"""How often Hypothesis tries what it is given: as often as it says, or less in the short run."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

_ALL, _SHORT = 100, 30


def in_profile(*, short: bool) -> None:
    """Let examples be as many as Hypothesis takes by itself, or about a third where time is short.

    They are others each time, so what the short run leaves out of one day it tries on another.
    How long an example takes says more about the machine than about the code.
    """
    for name, examples in (("all", _ALL), ("short", _SHORT)):
        settings.register_profile(
            name,
            max_examples=examples,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        )
    settings.load_profile("short" if short else "all")


def often(examples: int) -> int:
    """Return how many examples a test takes here that takes so many in the long run."""
    profile = settings()
    return max(1, examples * profile.max_examples // _ALL)
