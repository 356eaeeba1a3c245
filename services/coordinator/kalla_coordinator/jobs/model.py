"""A job as all but its own state machine see it: `kalla_core.jobs.model`, by this name too."""

from __future__ import annotations

from kalla_core.jobs.model import (
    Counts,
    ExecutorInfo,
    ExecutorShare,
    Job,
    JobError,
    JobPage,
    JobStatus,
    Readiness,
    StageProgress,
)

__all__ = [
    "Counts",
    "ExecutorInfo",
    "ExecutorShare",
    "Job",
    "JobError",
    "JobPage",
    "JobStatus",
    "Readiness",
    "StageProgress",
]
