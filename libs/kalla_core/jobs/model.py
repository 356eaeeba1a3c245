"""A job as everybody but its own state machine sees it: frozen values, no protobuf, no JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from kalla_core.ids import RunId
from kalla_core.jobs.passes import PassFigures


class JobStatus(StrEnum):
    """Where a job stands; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing more can happen to the job."""
        return self in (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)


@dataclass(frozen=True, slots=True)
class StageProgress:
    """How far one stage of a job has come.

    Attributes:
        stage: `staging`, `matching` or `writing_results`.
        source: in `staging`, the alias of the source that is read; in `matching`, the pass.
        rows_total, bytes_total: None while nobody knows.
    """

    stage: str
    source: str | None = None
    fragments_done: int = 0
    fragments_total: int = 0
    rows_done: int = 0
    rows_total: int | None = None
    bytes_done: int = 0
    bytes_total: int | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows of a job's evidence; None while not known.

    Attributes:
        matched: rows of matched, as they are found.
        matched_left, matched_right: distinct source rows in a pair.
        several_left, several_right: distinct source rows in two pairs or more.
        groups: matches that rows of matched belong to, where they say to which.
    """

    matched: int | None = None
    unmatched_left: int | None = None
    unmatched_right: int | None = None
    matched_left: int | None = None
    matched_right: int | None = None
    total_left: int | None = None
    total_right: int | None = None
    several_left: int | None = None
    several_right: int | None = None
    groups: int | None = None


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job failed or was cancelled; `code` is one of `kalla_core.errors`."""

    code: str
    message: str
    stage: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExecutorShare:
    """What one executor has done for a job: the attempts that count, and those under way.

    Attributes:
        rows: read from sources, joined and settled.
        fetched_bytes: that it took from other executors.
    """

    executor_id: str
    fragments_done: int = 0
    fragments_running: int = 0
    rows: int = 0
    fetched_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """One job. Times are UTC.

    Attributes:
        stages: in the order they began; `staging` has one entry per source.
        output_path: folder or `s3://` prefix of the evidence.
        output_paths: `matched`, `unmatched_left`, `unmatched_right` to the path of each, once
            succeeded; a path that ends in `/` is a folder of part files.
        attempt: try at the whole job, from 1; 0 while queued.
        engine: `local` or `cluster`, once it runs.
        strategy: `copartition`, `broadcast` or `single`, once planned.
        executors: ids of those that worked on it.
        workers: what each of them did, in the same order.
        durations_s: seconds per stage, once succeeded.
        passes: what each did, once succeeded; empty of a plain join.
    """

    run_id: RunId
    recipe_id: str
    status: JobStatus
    accepted_at: datetime
    output_path: str
    started_at: datetime | None = None
    ended_at: datetime | None = None
    attempt: int = 0
    stage: str | None = None
    stages: tuple[StageProgress, ...] = ()
    counts: Counts = Counts()
    output_paths: Mapping[str, str] = field(default_factory=dict)
    error: JobError | None = None
    engine: str | None = None
    strategy: str | None = None
    executors: tuple[str, ...] = ()
    durations_s: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    workers: tuple[ExecutorShare, ...] = ()
    passes: tuple[PassFigures, ...] = ()

    @property
    def shuffled_bytes(self) -> int:
        """Bytes that went from executor to executor; what one has itself does not travel."""
        return sum(worker.fetched_bytes for worker in self.workers)


@dataclass(frozen=True, slots=True)
class JobPage:
    """Jobs, newest first; `cursor` asks for the next page, None when there is none."""

    jobs: tuple[Job, ...]
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the coordinator can take a job; `reason` says why not, as `queue_full: ...`."""

    ready: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ExecutorInfo:
    """An executor as `GET /api/executors` shows it."""

    executor_id: str
    address: str
    version: str
    state: str
    slots: int
    slots_busy: int
    registered_at: datetime
    last_seen_at: datetime
    memory_bytes: int
    spool_bytes: int
    fetched_bytes: int = 0
    served_bytes: int = 0
