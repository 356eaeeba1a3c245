"""The life of a job: which news leads where, and what is to be done about it. Pure.

    Queued --Started--> Running --CommitAsked--> Committing --Succeeded--> Succeeded
      │                   │  ▲                       │
      │ CancelAsked       │  └ cancel_asked:         │ Failed
      ▼                   ▼    no commit any more    ▼
    Cancelled     Failed, Cancelled; Queued        Failed

The stored `Committing` is the point of no return: a cancel before it wins, one after it is
refused. News of an earlier attempt at a job comes late and changes nothing; news of an attempt
that was never started is impossible and raises.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from kalla_coordinator.jobs.model import JobError, JobStatus
from kalla_core.errors import Cancelled as CancelledError


class InvalidTransition(Exception):
    """News that cannot be: a mistake in the program, not in a request."""


@dataclass(frozen=True, slots=True)
class Queued:
    """Waits for a slot, for the first time or, after `attempt` attempts, again."""

    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Running:
    """A host works on it; `cancel_asked` once somebody wants it to stop."""

    attempt: int
    cancel_asked: bool = False


@dataclass(frozen=True, slots=True)
class Committing:
    """All is written, and it is stored that this attempt is the one that counts."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Succeeded:
    """Its evidence is there."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Failed:
    """It left no evidence, for this reason."""

    attempt: int
    error: JobError


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Somebody asked for it to stop, and it left no evidence."""

    attempt: int
    error: JobError


State = Queued | Running | Committing | Succeeded | Failed | Cancelled


@dataclass(frozen=True, slots=True)
class Started:
    """There is a slot for it."""


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """A caller wants it to stop."""


@dataclass(frozen=True, slots=True)
class CommitAsked:
    """The host of an attempt has written everything and wants to commit."""

    attempt: int


@dataclass(frozen=True, slots=True)
class WorkSucceeded:
    """The host of an attempt has committed."""

    attempt: int


@dataclass(frozen=True, slots=True)
class WorkFailed:
    """The host of an attempt has given up, or was stopped."""

    attempt: int
    error: JobError


@dataclass(frozen=True, slots=True)
class HandedOver:
    """This process ends before the attempt does; the next one takes the job up again."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Recovered:
    """This process has just started, and looked whether the job's evidence is there."""

    evidence: bool


Event = Started | CancelAsked | CommitAsked | WorkSucceeded | WorkFailed | HandedOver | Recovered


@dataclass(frozen=True, slots=True)
class Run:
    """Let a host work on this attempt."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop the host of this attempt."""

    attempt: int


@dataclass(frozen=True, slots=True)
class AllowCommit:
    """Let the host that asked commit."""


@dataclass(frozen=True, slots=True)
class RefuseCommit:
    """Tell the host that asked to leave nothing."""


@dataclass(frozen=True, slots=True)
class RefuseCancel:
    """Tell the caller that it is too late."""


@dataclass(frozen=True, slots=True)
class OweComplete:
    """The caller is owed news of success."""


@dataclass(frozen=True, slots=True)
class OweError:
    """The caller is owed news of failure."""

    error: JobError


Action = Run | Stop | AllowCommit | RefuseCommit | RefuseCancel | OweComplete | OweError

CANCELLED = JobError(CancelledError.code, "The job was cancelled.")

_Step = tuple[State, tuple[Action, ...]]


def step(state: State, event: Event) -> _Step:
    """Return the state after `event` and what it calls for, in order.

    The state is to be stored, together with what is owed, before anything is done.

    Raises:
        InvalidTransition: `event` cannot happen in `state`.
    """
    match state:
        case Queued():
            return _from_queued(state, event)
        case Running():
            return _from_running(state, event)
        case Committing():
            return _from_committing(state, event)
        case Succeeded() | Failed() | Cancelled():
            return _from_final(state, event)
        case _:
            assert_never(state)


def status(state: State) -> JobStatus:
    """Return the state as callers see it."""
    match state:
        case Queued():
            return JobStatus.QUEUED
        case Running() | Committing():
            return JobStatus.RUNNING
        case Succeeded():
            return JobStatus.SUCCEEDED
        case Failed():
            return JobStatus.FAILED
        case Cancelled():
            return JobStatus.CANCELLED
        case _:
            assert_never(state)


def _from_queued(state: Queued, event: Event) -> _Step:
    match event:
        case Started():
            attempt = state.attempt + 1
            return Running(attempt), (Run(attempt),)
        case CancelAsked():
            return Cancelled(state.attempt, CANCELLED), (OweError(CANCELLED),)
        case CommitAsked(attempt):
            _demand(attempt <= state.attempt, state, event)
            return state, (RefuseCommit(),)
        case WorkSucceeded():
            raise _impossible(state, event)
        case WorkFailed(attempt, _) | HandedOver(attempt):
            _demand(attempt <= state.attempt, state, event)
            return state, ()
        case Recovered():
            return state, ()
        case _:
            assert_never(event)


def _from_running(state: Running, event: Event) -> _Step:
    match event:
        case Started():
            raise _impossible(state, event)
        case CancelAsked():
            if state.cancel_asked:
                return state, ()  # the host knows
            return replace(state, cancel_asked=True), (Stop(state.attempt),)
        case CommitAsked(attempt):
            _demand(attempt <= state.attempt, state, event)
            if attempt < state.attempt or state.cancel_asked:
                return state, (RefuseCommit(),)
            return Committing(attempt), (AllowCommit(),)
        case WorkSucceeded():
            raise _impossible(state, event)  # nobody commits before it is allowed
        case WorkFailed(attempt, error):
            _demand(attempt <= state.attempt, state, event)
            return (state, ()) if attempt < state.attempt else _given_up(state, error)
        case HandedOver(attempt):
            _demand(attempt <= state.attempt, state, event)
            return (state, ()) if attempt < state.attempt else _again(state)
        case Recovered(evidence):
            # Evidence of this job, whatever attempt it is of, is what was asked for.
            return _succeeded(state.attempt) if evidence else _again(state)
        case _:
            assert_never(event)


def _from_committing(state: Committing, event: Event) -> _Step:
    match event:
        case Started():
            raise _impossible(state, event)
        case CancelAsked():
            return state, (RefuseCancel(),)
        case CommitAsked(attempt):
            _demand(attempt <= state.attempt, state, event)
            return state, (AllowCommit() if attempt == state.attempt else RefuseCommit(),)
        case WorkSucceeded(attempt):
            _demand(attempt == state.attempt, state, event)
            return _succeeded(attempt)
        case WorkFailed(attempt, error):
            _demand(attempt <= state.attempt, state, event)
            if attempt < state.attempt:
                return state, ()
            return Failed(attempt, error), (OweError(error),)
        case HandedOver(attempt):
            _demand(attempt <= state.attempt, state, event)
            return state, ()  # the next start looks how far the commit came
        case Recovered(evidence):
            return _succeeded(state.attempt) if evidence else (Queued(state.attempt), ())
        case _:
            assert_never(event)


def _from_final(state: Succeeded | Failed | Cancelled, event: Event) -> _Step:
    match event:
        case CancelAsked():
            return state, (RefuseCancel(),)
        case CommitAsked(attempt):
            _demand(attempt <= state.attempt, state, event)
            return state, (RefuseCommit(),)
        case WorkSucceeded(attempt):
            same = isinstance(state, Succeeded) and attempt == state.attempt
            _demand(same, state, event)
            return state, ()
        case WorkFailed(attempt, _) | HandedOver(attempt):
            _demand(attempt <= state.attempt, state, event)
            return state, ()
        case Started() | Recovered():
            return state, ()  # a slot for one that was cancelled in between
        case _:
            assert_never(event)


def _given_up(state: Running, error: JobError) -> _Step:
    if state.cancel_asked:
        told = replace(CANCELLED, stage=error.stage)
        return Cancelled(state.attempt, told), (OweError(told),)
    return Failed(state.attempt, error), (OweError(error),)


def _again(state: Running) -> _Step:
    if state.cancel_asked:
        return Cancelled(state.attempt, CANCELLED), (OweError(CANCELLED),)
    return Queued(state.attempt), ()


def _succeeded(attempt: int) -> _Step:
    return Succeeded(attempt), (OweComplete(),)


def _demand(possible: bool, state: State, event: Event) -> None:
    if not possible:
        raise _impossible(state, event)


def _impossible(state: State, event: Event) -> InvalidTransition:
    return InvalidTransition(f"{event} in {state}")
