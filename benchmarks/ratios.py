"""From single runs to figures: medians, and ratios taken round by round."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True, slots=True)
class Trial:
    """One counted run: `round` counts from 1; memory as the sum of RSS, None if unknown."""

    round: int
    seconds: float
    cpu_seconds: float
    rss_bytes: int | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """All of one contender in one scenario.

    Attributes:
        trials: the counted runs; rows of each were equal to the truth.
        pss_bytes: peak of the warm-up, shared memory counted once; None if unknown.
        failure: why it is out, in a sentence or two; its trials count for nothing then.
    """

    trials: tuple[Trial, ...] = ()
    pss_bytes: int | None = None
    failure: str | None = None

    @property
    def seconds(self) -> float | None:
        """Median of the counted runs; None if there are none."""
        if self.failure is not None or not self.trials:
            return None
        return median(trial.seconds for trial in self.trials)

    @property
    def spread(self) -> tuple[float, float] | None:
        """Fastest and slowest of the counted runs."""
        if self.seconds is None:
            return None
        times = [trial.seconds for trial in self.trials]
        return min(times), max(times)

    @property
    def cpu_seconds(self) -> float | None:
        """Median CPU time."""
        if self.seconds is None:
            return None
        return median(trial.cpu_seconds for trial in self.trials)

    @property
    def rss_bytes(self) -> int | None:
        """Largest peak of the counted runs."""
        return max((trial.rss_bytes for trial in self.trials if trial.rss_bytes), default=None)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One data set and what became of each contender on it, by name."""

    pattern: str
    size: int
    format: str
    seed: int
    left_rows: int
    right_rows: int
    pairs: int
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """For people: `one_to_one, 5,000,000 invoices, csv`."""
        return f"{self.pattern}, {self.size:,} invoices, {self.format}"


def ratio(one: Outcome, other: Outcome) -> float | None:
    """Return the median over rounds of the time of `one` divided by that of `other`.

    Runs of one round are neighbours in time, so what slows the machine for a while slows both.
    None where either has no time.
    """
    return _by_round(one, other, lambda trial: trial.seconds)


def cpu_ratio(one: Outcome, other: Outcome) -> float | None:
    """Return the same of CPU time."""
    return _by_round(one, other, lambda trial: trial.cpu_seconds)


def _by_round(one: Outcome, other: Outcome, cost: Callable[[Trial], float]) -> float | None:
    if one.seconds is None or other.seconds is None:
        return None
    costs = {trial.round: cost(trial) for trial in other.trials}
    return median_or_none(
        [cost(trial) / costs[trial.round] for trial in one.trials if trial.round in costs]
    )


def median_or_none(values: Sequence[float]) -> float | None:
    """Return the median; None of nothing."""
    return median(values) if values else None
