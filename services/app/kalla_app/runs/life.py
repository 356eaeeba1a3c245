"""A run's life: what each piece of news changes. Pure.

    submitted → running → succeeded | failed | cancelled

News comes from our own dispatch, from callbacks (in any order, any number of times) and from
looking at the coordinator's job. A run that has ended stays as it is, whatever comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import TypeAlias

from kalla_core.jobs.document import progress_of
from kalla_core.jobs.model import Counts, Job, JobStatus


class RunStatus(StrEnum):
    """Where a run stands."""

    SUBMITTED = "submitted"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether it can become nothing else."""
        return self not in (RunStatus.SUBMITTED, RunStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class RunState:
    """A run as it stands.

    Attributes:
        heard: greatest number of a callback that was taken; later ones have greater numbers.
        asked_to_cancel: somebody wants it to end.
        progress: of the stage, 0 to 1.
    """

    status: RunStatus = RunStatus.SUBMITTED
    stage: str | None = None
    progress: float | None = None
    counts: Counts = field(default_factory=Counts)
    heard: int = -1
    asked_to_cancel: bool = False
    output_path: str | None = None
    output_paths: Mapping[str, str] = field(default_factory=dict)
    error_code: str | None = None
    error_message: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The coordinator has taken the job."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The coordinator will never take the job, or knows it no more."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class AskedToCancel:
    """Somebody wants the run to end."""


@dataclass(frozen=True, slots=True)
class NeverSent:
    """Somebody wanted it to end before the coordinator heard of it."""


@dataclass(frozen=True, slots=True)
class Progressed:
    """A callback of how far it is; `number` is that of the delivery."""

    number: int
    stage: str
    progress: float
    counts: Counts


@dataclass(frozen=True, slots=True)
class Completed:
    """A callback of success."""

    counts: Counts
    output_paths: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Failed:
    """A callback of failure, or of a cancelled job."""

    code: str
    message: str
    stage: str | None = None


@dataclass(frozen=True, slots=True)
class Looked:
    """The coordinator's job as it was just seen."""

    job: Job


News: TypeAlias = (
    Accepted | Refused | AskedToCancel | NeverSent | Progressed | Completed | Failed | Looked
)

_CANCELLED = "cancelled"


def step(state: RunState, news: News) -> RunState:
    """Return the state after a piece of news."""
    if state.status.final:
        return state
    match news:
        case AskedToCancel():
            return replace(state, asked_to_cancel=True)
        case Accepted():
            return replace(state, status=RunStatus.RUNNING)
        case NeverSent():
            return _ended_badly(state, _CANCELLED, "The run was cancelled before it began.", None)
        case Refused():
            return _ended_badly(state, news.code, news.message, None)
        case Failed():
            return _ended_badly(state, news.code, news.message, news.stage)
        case Progressed():
            return _progressed(state, news)
        case Completed():
            return replace(
                state,
                status=RunStatus.SUCCEEDED,
                progress=1.0,
                counts=_joined(state.counts, news.counts),
                output_paths=dict(news.output_paths),
                output_path=_folder_of(news.output_paths) or state.output_path,
            )
        case Looked():
            return _looked(state, news.job)


def _progressed(state: RunState, news: Progressed) -> RunState:
    """Take news in; what is older than what was heard already changes nothing."""
    if news.number <= state.heard:
        return state
    return replace(
        state,
        status=RunStatus.RUNNING,
        stage=news.stage,
        progress=news.progress,
        counts=_joined(state.counts, news.counts),
        heard=news.number,
    )


def _looked(state: RunState, job: Job) -> RunState:
    counts = _joined(state.counts, job.counts)
    if job.status is JobStatus.SUCCEEDED:
        done = Completed(counts, job.output_paths)
        return replace(step(state, done), output_path=job.output_path)
    if job.status.final:
        code = _CANCELLED if job.error is None else job.error.code
        message = "The run was cancelled." if job.error is None else job.error.message
        return _ended_badly(state, code, message, job.stage)
    return replace(
        state,
        status=RunStatus.RUNNING,
        stage=job.stage or state.stage,
        progress=progress_of(job),
        counts=counts,
        output_path=job.output_path,
    )


def _ended_badly(state: RunState, code: str, message: str, stage: str | None) -> RunState:
    return replace(
        state,
        status=RunStatus.CANCELLED if code == _CANCELLED else RunStatus.FAILED,
        stage=stage or state.stage,
        error_code=code,
        error_message=message,
    )


def _joined(before: Counts, now: Counts) -> Counts:
    """Return the counts that are known now, and of the others what was known before."""
    known = {
        one.name: getattr(before if getattr(now, one.name) is None else now, one.name)
        for one in fields(Counts)
    }
    return Counts(**known)


def _folder_of(output_paths: Mapping[str, str]) -> str | None:
    matched = output_paths.get("matched", "").rstrip("/")
    return matched.rpartition("/")[0] or None
