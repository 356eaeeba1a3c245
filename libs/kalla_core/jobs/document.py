"""Jobs as JSON, as HTTP and its events have them, and back; one place each way.

Times are RFC 3339 in UTC. A job's error has the form of every error of the API, and the stage in
which it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from kalla_core.error_json import error_from_answer
from kalla_core.errors import KallaError
from kalla_core.ids import RunId
from kalla_core.jobs.model import (
    Counts,
    ExecutorInfo,
    ExecutorShare,
    Job,
    JobError,
    JobPage,
    JobStatus,
    StageProgress,
)
from kalla_core.jobs.passes import pass_document, pass_of

Json = dict[str, Any]

_COUNTS = {
    "matched_count": "matched",
    "unmatched_left_count": "unmatched_left",
    "unmatched_right_count": "unmatched_right",
    "matched_left_count": "matched_left",
    "matched_right_count": "matched_right",
    "total_left": "total_left",
    "total_right": "total_right",
    "left_multiple_match_count": "several_left",
    "right_multiple_match_count": "several_right",
    "matched_group_count": "groups",
}


def job_document(job: Job) -> Json:
    """Return a job as JSON."""
    return {
        "run_id": job.run_id,
        "recipe_id": job.recipe_id,
        "status": job.status.value,
        "stage": job.stage,
        "progress": progress_of(job),
        "stages": [asdict(stage) | {"progress": fraction(stage)} for stage in job.stages],
        "counts": {name: getattr(job.counts, field) for name, field in _COUNTS.items()},
        "output_path": job.output_path,
        "output_paths": dict(job.output_paths),
        "error": None if job.error is None else error_document(job.error),
        "accepted_at": time_text(job.accepted_at),
        "started_at": _time_if_any(job.started_at),
        "ended_at": _time_if_any(job.ended_at),
        "durations_s": dict(job.durations_s),
        "attempt": job.attempt,
        "engine": job.engine,
        "strategy": job.strategy,
        "executors": list(job.executors),
        "workers": [asdict(worker) for worker in job.workers],
        "shuffled_bytes": job.shuffled_bytes,
        "warnings": list(job.warnings),
        "passes": [pass_document(one) for one in job.passes],
    }


def job_of(document: Mapping[str, Any]) -> Job:
    """Return the job that `job_document` described.

    Raises:
        KeyError, TypeError, ValueError: it is no job.
    """
    counts, error = document["counts"], document["error"]
    return Job(
        run_id=RunId(document["run_id"]),
        recipe_id=document["recipe_id"],
        status=JobStatus(document["status"]),
        accepted_at=datetime.fromisoformat(document["accepted_at"]),
        output_path=document["output_path"],
        started_at=_read_time(document["started_at"]),
        ended_at=_read_time(document["ended_at"]),
        attempt=document["attempt"],
        stage=document["stage"],
        stages=tuple(_stage_of(stage) for stage in document["stages"]),
        counts=Counts(**{field: counts.get(name) for name, field in _COUNTS.items()}),
        output_paths=dict(document["output_paths"]),
        error=None if error is None else _error_of(error),
        engine=document["engine"],
        strategy=document["strategy"],
        executors=tuple(document["executors"]),
        durations_s=dict(document["durations_s"]),
        warnings=tuple(document["warnings"]),
        workers=tuple(ExecutorShare(**worker) for worker in document["workers"]),
        passes=tuple(map(pass_of, document.get("passes", ()))),
    )


def page_document(page: JobPage) -> Json:
    """Return a page of jobs as JSON."""
    return {"jobs": [job_document(job) for job in page.jobs], "cursor": page.cursor}


def page_of(document: Mapping[str, Any]) -> JobPage:
    """Return the page that `page_document` described."""
    return JobPage(tuple(job_of(job) for job in document["jobs"]), document["cursor"])


def executor_document(executor: ExecutorInfo) -> Json:
    """Return an executor as JSON."""
    times = {
        "registered_at": time_text(executor.registered_at),
        "last_seen_at": time_text(executor.last_seen_at),
    }
    return asdict(executor) | times


def executor_of(document: Mapping[str, Any]) -> ExecutorInfo:
    """Return the executor that `executor_document` described."""
    times = {name: datetime.fromisoformat(document[name]) for name in _EXECUTOR_TIMES}
    return ExecutorInfo(**{**document, **times})


def error_document(error: JobError) -> Json:
    """Return why a job failed; a recipe's faults are the details, as in other answers."""
    carried = [dict(error.details)] if error.details else []
    faults = error.details.get("faults")
    return {
        "code": error.code,
        "message": error.message,
        "stage": error.stage,
        "details": faults if isinstance(faults, list) else carried,
    }


def raised(error: JobError) -> KallaError:
    """Return why a job failed as the class of error that it was."""
    return error_from_answer(error_document(error))


def fraction(stage: StageProgress) -> float | None:
    """Return how much of a stage is done, 0 to 1; None while nobody knows."""
    pairs = (
        (stage.rows_done, stage.rows_total),
        (stage.bytes_done, stage.bytes_total),  # often an estimate
        (stage.fragments_done, stage.fragments_total or None),
    )
    for done, total in pairs:
        if total is not None:
            return 1.0 if total == 0 else min(1.0, done / total)
    return None


def progress_of(job: Job) -> float | None:
    """Return how much of its present stage a job has done, the sources of it taken together."""
    if job.status is JobStatus.SUCCEEDED:
        return 1.0
    parts = [fraction(stage) for stage in job.stages if stage.stage == job.stage]
    known = [part for part in parts if part is not None]
    return sum(known) / len(known) if known and len(known) == len(parts) else None


def time_text(moment: datetime) -> str:
    """Return a time as RFC 3339 in UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


_EXECUTOR_TIMES = ("registered_at", "last_seen_at")


def _time_if_any(moment: datetime | None) -> str | None:
    return None if moment is None else time_text(moment)


def _read_time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _stage_of(document: Mapping[str, Any]) -> StageProgress:
    return StageProgress(**{name: value for name, value in document.items() if name != "progress"})


def _error_of(document: Mapping[str, Any]) -> JobError:
    details = document["details"]
    faulty = any(isinstance(one, Mapping) and "path" in one for one in details)
    carried = {"faults": list(details)} if faulty else dict(details[0]) if details else {}
    return JobError(document["code"], document["message"], document["stage"], carried)
