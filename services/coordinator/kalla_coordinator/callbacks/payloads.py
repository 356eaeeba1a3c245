"""What is told to whoever asked for a job, one model per payload."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from kalla_coordinator.jobs.model import Job, JobError
from kalla_core.jobs.passes import pass_document


class Payload(BaseModel):
    """A body that is POSTed to `{callback_url}/{kind}`."""

    model_config = ConfigDict(frozen=True)

    kind: ClassVar[str]

    run_id: str

    def body(self) -> str:
        """Return the JSON text; what is not known is left out."""
        return self.model_dump_json(exclude_none=True)


class ProgressPayload(Payload):
    """How far a job has come.

    Attributes:
        source: alias, in `staging`.
        progress: share done, 0 to 1.
    """

    kind: ClassVar[str] = "progress"

    stage: str
    source: str | None = None
    progress: float
    matched_count: int | None = None
    matched_so_far: int | None = None
    total_left: int | None = None
    total_right: int | None = None


class CompletePayload(Payload):
    """A job has succeeded; `matched_count` counts pairs, the side counts count source rows.

    Attributes:
        passes: what each did, as in metadata.json; left out of a plain join.
    """

    kind: ClassVar[str] = "complete"

    matched_count: int
    unmatched_left_count: int
    unmatched_right_count: int
    matched_left_count: int | None = None
    matched_right_count: int | None = None
    total_left: int | None = None
    total_right: int | None = None
    output_paths: dict[str, str]
    passes: list[dict[str, Any]] | None = None


class ErrorPayload(Payload):
    """A job has failed or was cancelled."""

    kind: ClassVar[str] = "error"

    error: str
    code: str
    stage: str | None = None


def progress_payload(job: Job) -> ProgressPayload | None:
    """Return what a running job's progress is told as; None before there is any."""
    if not job.stages:
        return None
    stage = job.stages[-1]
    counts = job.counts
    matching = stage.stage != "staging"
    return ProgressPayload(
        run_id=job.run_id,
        stage=stage.stage,
        source=stage.source,
        progress=share(stage.rows_done, stage.rows_total)
        or share(stage.fragments_done, stage.fragments_total)
        or share(stage.bytes_done, stage.bytes_total),
        matched_count=counts.matched if matching else None,
        matched_so_far=counts.matched if stage.stage == "matching" else None,
        total_left=counts.total_left,
        total_right=counts.total_right,
    )


def complete_payload(job: Job) -> CompletePayload:
    """Return what the success of a job is told as."""
    counts = job.counts
    return CompletePayload(
        run_id=job.run_id,
        matched_count=counts.matched or 0,
        unmatched_left_count=counts.unmatched_left or 0,
        unmatched_right_count=counts.unmatched_right or 0,
        matched_left_count=counts.matched_left,
        matched_right_count=counts.matched_right,
        total_left=counts.total_left,
        total_right=counts.total_right,
        output_paths=dict(job.output_paths),
        passes=[pass_document(one) for one in job.passes] or None,
    )


def error_payload(job: Job, error: JobError) -> ErrorPayload:
    """Return what the failure of a job is told as."""
    return ErrorPayload(
        run_id=job.run_id, error=error.message, code=error.code, stage=error.stage or job.stage
    )


def share(done: int, total: int | None) -> float:
    """Return done / total within [0, 1]; 0 where the total is not known."""
    if not total:
        return 0.0
    return round(min(done / total, 1.0), 4)
