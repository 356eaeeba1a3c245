"""A job as it is kept: what everybody sees of it, its state, and the request that made it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from kalla_coordinator.jobs.life import (
    Cancelled,
    Committing,
    Failed,
    Queued,
    Running,
    State,
    Succeeded,
    status,
)
from kalla_coordinator.jobs.model import Counts, ExecutorShare, Job, JobError, JobStatus
from kalla_core.ids import RunId
from kalla_core.jobs.passes import pass_document, pass_of
from kalla_core.moments import micros, moment_of
from kalla_core.recipe.job import JobRequest, parse_job_request
from kalla_core.recipe.write import canonical_json, filled, to_document

Row = Mapping[Any, Any]


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One job with all that is needed to run it again.

    Attributes:
        request: canonical JSON of the request, secrets included; never shown.
        callback_url: who is told; None for nobody.
        told: sequence of the last callback.
        submitter: name of the token that submitted it, to which its output belongs; empty
            without tokens.
        reads: folders of other runs that it may read.
        trace: that its spans belong to; empty for none.
    """

    job: Job
    state: State
    request: str
    callback_url: str | None = None
    told: int = 0
    submitter: str = ""
    reads: tuple[str, ...] = ()
    trace: str = ""

    @property
    def fingerprint(self) -> str:
        """Tells requests apart."""
        return fingerprint(self.request)

    def after(self, state: State, **changes: Any) -> JobRecord:
        """Return the record in another state, with other fields of the job changed as well."""
        job = replace(self.job, status=status(state), attempt=state.attempt, **changes)
        return replace(self, job=job, state=state)


def request_text(request: JobRequest) -> str:
    """Return the one text of a request: the same for both forms of the same request."""
    return canonical_json(
        filled(
            {
                "run_id": request.run_id,
                "recipe": to_document(request.recipe),
                "output_path": request.output_path,
                "callback_url": request.callback_url,
            }
        )
    )


def fingerprint(text: str) -> str:
    """Return what stands for a request's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def request_of(text: str) -> JobRequest:
    """Return the request that `request_text` described."""
    return parse_job_request(text)


def row_of(record: JobRecord) -> dict[str, Any]:
    """Return the columns of a record. Stages are not kept: they are of this process only."""
    job = record.job
    return {
        "run_id": job.run_id,
        "recipe_id": job.recipe_id,
        "status": job.status.value,
        "phase": _phase(record.state),
        "attempt": job.attempt,
        "accepted_at": micros(job.accepted_at),
        "ended_at": None if job.ended_at is None else micros(job.ended_at),
        "told": record.told,
        "callback_url": record.callback_url,
        "request": record.request,
        "fingerprint": record.fingerprint,
        "document": json.dumps(_document(record), separators=(",", ":")),
    }


def record_of(row: Row) -> JobRecord:
    """Return the record of a row."""
    job = job_of(row)
    state = _state(row["phase"], row["attempt"], job.error)
    document = json.loads(row["document"])
    return JobRecord(
        job,
        state,
        row["request"],
        row["callback_url"],
        row["told"],
        document.get("submitter", ""),
        tuple(document.get("reads", ())),
        document.get("trace", ""),
    )


def job_of(row: Row) -> Job:
    """Return the job of a row, which needs no request."""
    document = json.loads(row["document"])
    error = None if document["error"] is None else JobError(**document["error"])
    return Job(
        run_id=RunId(row["run_id"]),
        recipe_id=row["recipe_id"],
        status=JobStatus(row["status"]),
        accepted_at=moment_of(row["accepted_at"]),
        output_path=document["output_path"],
        started_at=None if document["started_at"] is None else moment_of(document["started_at"]),
        ended_at=None if row["ended_at"] is None else moment_of(row["ended_at"]),
        attempt=row["attempt"],
        stage=document["stage"],
        counts=Counts(**document["counts"]),
        output_paths=document["output_paths"],
        error=error,
        engine=document["engine"],
        strategy=document["strategy"],
        executors=tuple(document["executors"]),
        durations_s=document["durations_s"],
        warnings=tuple(document["warnings"]),
        workers=tuple(ExecutorShare(**worker) for worker in document["workers"]),
        passes=tuple(map(pass_of, document.get("passes", ()))),
    )


def _document(record: JobRecord) -> dict[str, Any]:
    job = record.job
    return {
        "submitter": record.submitter,
        "reads": record.reads,
        "trace": record.trace,
        "output_path": job.output_path,
        "started_at": None if job.started_at is None else micros(job.started_at),
        "stage": job.stage,
        "counts": asdict(job.counts),
        "output_paths": dict(job.output_paths),
        "error": None if job.error is None else {**asdict(job.error)},
        "engine": job.engine,
        "strategy": job.strategy,
        "executors": list(job.executors),
        "durations_s": dict(job.durations_s),
        "warnings": list(job.warnings),
        "workers": [asdict(worker) for worker in job.workers],
        "passes": [pass_document(one) for one in job.passes],
    }


def _phase(state: State) -> str:
    match state:
        case Running(_, cancel_asked=True):
            return "stopping"
        case _:
            return type(state).__name__.lower()


def _state(phase: str, attempt: int, error: JobError | None) -> State:
    told = error or JobError("internal", "The reason was not kept.")
    states: dict[str, State] = {
        "queued": Queued(attempt),
        "running": Running(attempt),
        "stopping": Running(attempt, cancel_asked=True),
        "committing": Committing(attempt),
        "succeeded": Succeeded(attempt),
        "failed": Failed(attempt, told),
        "cancelled": Cancelled(attempt, told),
    }
    return states[phase]
