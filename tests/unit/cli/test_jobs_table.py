"""Tables of jobs and executors: an id can be copied however narrow the terminal is."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from kalla_core.cli.jobs_table import jobs_table
from kalla_core.ids import RunId
from kalla_core.jobs.model import Job, JobStatus

RUN_IDS = ("1d554a7f-34bb-44d1-9cb5-36847fc7430f", "a-run-id-that-somebody-chose-and-that-is-long")


@pytest.mark.parametrize("width", [30, 40, 60, 80, 110])
def test_a_run_id_is_never_broken(width: int) -> None:
    now = datetime(2026, 3, 31, tzinfo=UTC)
    jobs = [
        Job(RunId(one), "invoices-and-payments-of-a-long-name", JobStatus.QUEUED, now, "out")
        for one in RUN_IDS
    ]
    stream = io.StringIO()

    Console(file=stream, width=width).print(jobs_table(jobs), crop=False)

    for one in RUN_IDS:
        assert one in stream.getvalue()
    assert stream.getvalue().count("queued") == len(RUN_IDS)
    assert "03-31" in stream.getvalue()
