"""What a job shows while it runs."""

from __future__ import annotations

from datetime import UTC, datetime

from kalla_coordinator.jobs.model import Job, JobStatus
from kalla_coordinator.jobs.stages import with_progress
from kalla_core.engine.progress import Progress, Stage
from kalla_core.ids import RunId

JOB = Job(RunId("r1"), "books", JobStatus.RUNNING, datetime(2026, 3, 1, tzinfo=UTC), "/out")


def test_a_warning_of_what_lies_ahead_stays_with_the_job_while_it_goes_on() -> None:
    warned = with_progress(JOB, Progress(Stage.MATCHING, warnings=("Beware.",)))
    later = with_progress(warned, Progress(Stage.WRITING_RESULTS))

    assert warned.warnings == later.warnings == ("Beware.",)
