"""One fragment and its tries.

At any time at most one attempt runs, and at most one is accepted: the one whose files will be
committed and whose output others read. An accepted attempt whose output is lost still counts
until another takes its place; whether that is worth a new attempt depends on who needs the
output, which `stages` knows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from kalla_core.errors import KallaError
from kalla_core.fragments.cause import Cause, cause_of
from kalla_core.fragments.outcome import Outcome, ScanDone
from kalla_core.matching.sql.query import Side

OUTPUT_LOST = "output_lost"
"""The setback of an attempt that succeeded, and whose output is out of reach."""


class StageName(StrEnum):
    """Kinds of fragments; also the names in an `AttemptId`."""

    PROVE = "prove"
    EXTRAS = "extras"
    SCAN = "scan"
    JOIN = "join"
    SETTLE = "settle"


@dataclass(frozen=True, slots=True, order=True)
class FragmentKey:
    """A fragment within a run attempt; numbers are per stage, from 0, and never used again."""

    stage: StageName
    number: int


@dataclass(frozen=True, slots=True, order=True)
class Try:
    """One attempt at a fragment, from 1."""

    fragment: FragmentKey
    attempt: int


@dataclass(frozen=True, slots=True)
class FragmentRetry:
    """How often a fragment is tried.

    Attributes:
        own_failures: that a fragment may have for reasons of its own before the run fails.
        losses: attempts that may come to nothing for other reasons (an executor or an input was
            lost); a bound only so that every run ends.
        cuts: those of them that did not reach an executor which is there.
        deaths: those of them whose executor was lost; one more, and the fragment is what kills
            them: it is not given to those that are left.
    """

    own_failures: int = 3
    losses: int = 20
    cuts: int = 4
    deaths: int = 3


@dataclass(frozen=True, slots=True)
class Running:
    """The attempt that is under way."""

    attempt: int
    executor: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The attempt that counts.

    Attributes:
        held: whether its output can still be read, as far as anyone knows.
    """

    attempt: int
    executor: str
    outcome: Outcome
    held: bool = True


@dataclass(frozen=True, slots=True)
class Fragment:
    """A fragment and what became of its tries.

    Attributes:
        weight_bytes: of what it reads; heavy ones start first.
        side: that a scan reads, or None.
        used: attempts so far; the next has the number after it.
        failures: of its own; `losses` for other reasons, `cuts` of them out of reach of an input,
            `deaths` with the executor.
        first_cause: the first error, which is what a run that gives up on it reports.
        avoided: executors where it failed.
        setback: what became of the last attempt that does not count, a `Cause` or `output_lost`;
            empty before there is one.
        rows: that a scan found first; another attempt must find the same.
        depth: how often what it does was divided, because all of it took too much memory; the
            deepest start before all others, so that what no division helps is soon found out.
    """

    key: FragmentKey
    weight_bytes: int = 0
    side: Side | None = None
    running: Running | None = None
    accepted: Accepted | None = None
    used: int = 0
    failures: int = 0
    losses: int = 0
    cuts: int = 0
    deaths: int = 0
    first_cause: KallaError | None = None
    avoided: frozenset[str] = frozenset()
    setback: str = ""
    rows: int | None = None
    depth: int = 0

    @property
    def available(self) -> bool:
        """Whether it is done, and its output can be read."""
        return self.accepted is not None and self.accepted.held

    @property
    def idle(self) -> bool:
        """Whether it is not available and nobody works on it."""
        return self.running is None and not self.available

    def is_running(self, which: Try) -> bool:
        """Whether `which` is the attempt that is under way."""
        return self.running is not None and self.running.attempt == which.attempt

    def launched(self, executor: str) -> Fragment:
        """Return it with its next attempt under way."""
        return replace(self, running=Running(self.used + 1, executor), used=self.used + 1)

    def succeeded(self, outcome: Outcome) -> Fragment:
        """Return it with the running attempt accepted, in the place of an earlier one."""
        if self.running is None:
            raise ValueError(f"{self.key} succeeded and nobody worked on it")
        now = self.running
        accepted = Accepted(now.attempt, now.executor, outcome)
        rows = outcome.rows if isinstance(outcome, ScanDone) else None
        return replace(self, running=None, accepted=accepted, rows=rows)

    def failed(self, error: KallaError) -> Fragment:
        """Return it with the running attempt failed for a reason of its own."""
        where = frozenset() if self.running is None else frozenset({self.running.executor})
        return replace(
            self,
            running=None,
            failures=self.failures + 1,
            first_cause=self.first_cause or error,
            avoided=self.avoided | where,
            setback=cause_of(error).value,
        )

    def lost(self, error: KallaError) -> Fragment:
        """Return it with the running attempt lost for a reason that is not its own."""
        return replace(
            self,
            running=None,
            losses=self.losses + 1,
            first_cause=self.first_cause or error,
            setback=cause_of(error).value,
        )

    def cut_off(self, error: KallaError) -> Fragment:
        """Return it with the running attempt lost: an executor with its input was out of reach."""
        return replace(self.lost(error), cuts=self.cuts + 1, first_cause=error)

    def orphaned(self, error: KallaError) -> Fragment:
        """Return it with the running attempt lost with its executor."""
        return replace(self.lost(error), deaths=self.deaths + 1)

    def anew(self) -> Fragment:
        """Return it as if it had not begun, but for its attempts' numbers: with less at a time."""
        setback = Cause.OUT_OF_MEMORY.value if self.used else ""
        return Fragment(
            self.key,
            self.weight_bytes,
            self.side,
            used=self.used,
            setback=setback,
            rows=self.rows,
            depth=self.depth,
        )

    def output_lost(self) -> Fragment:
        """Return it with its output out of reach; the accepted attempt still counts."""
        if self.accepted is None:
            return self
        return replace(self, accepted=replace(self.accepted, held=False), setback=OUTPUT_LOST)

    def exhausted(self, policy: FragmentRetry) -> bool:
        """Whether it has failed or been lost once too often."""
        return (
            self.failures > policy.own_failures
            or self.losses > policy.losses
            or self.cuts > policy.cuts
            or self.deaths > policy.deaths
        )
