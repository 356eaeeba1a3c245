"""What happens to a run on the cluster, and what it calls for."""

from __future__ import annotations

from dataclasses import dataclass

from kalla_coordinator.cluster.attempts import FragmentKey, Try
from kalla_core.errors import KallaError
from kalla_core.fragments.outcome import Outcome

# -- what happens --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExecutorCame:
    """An executor is there that was not; what it runs of this run is nobody's."""

    executor: str
    running: frozenset[Try] = frozenset()


@dataclass(frozen=True, slots=True)
class ExecutorReturned:
    """An executor is back after a moment; this is what it runs and holds of this run."""

    executor: str
    running: frozenset[Try]
    held: frozenset[Try]


@dataclass(frozen=True, slots=True)
class ExecutorLost:
    """An executor is gone, with what it had in hand and held."""

    executor: str
    why: str


@dataclass(frozen=True, slots=True)
class Granted:
    """A fragment that was ready gets a slot."""

    key: FragmentKey
    executor: str


@dataclass(frozen=True, slots=True)
class Ended:
    """An executor says how an attempt ended.

    Attributes:
        lost: which attempts' outputs could not be fetched, with `Cause.FETCH_FAILED`.
        cut_from: the executor that has them, if it is there and only out of reach.
    """

    which: Try
    outcome: Outcome
    lost: frozenset[Try] = frozenset()
    cut_from: str | None = None


@dataclass(frozen=True, slots=True)
class HolderLost:
    """Nobody holds the sources' snapshot any more."""

    error: KallaError


@dataclass(frozen=True, slots=True)
class Stopped:
    """The run is to end: it was cancelled, its time is up, nobody is there to work on it."""

    error: KallaError


Event = ExecutorCame | ExecutorReturned | ExecutorLost | Granted | Ended | HolderLost | Stopped

# -- what it calls for ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """Send an attempt to an executor."""

    which: Try
    executor: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """Tell an executor to stop an attempt."""

    which: Try
    executor: str


@dataclass(frozen=True, slots=True)
class Written:
    """All is written, every fragment has an accepted attempt."""


@dataclass(frozen=True, slots=True)
class Fail:
    """The run fails."""

    error: KallaError


@dataclass(frozen=True, slots=True)
class StartOver:
    """This run attempt cannot succeed, another one, with sources pinned anew, may."""

    error: KallaError


Action = Start | Cancel | Written | Fail | StartOver
