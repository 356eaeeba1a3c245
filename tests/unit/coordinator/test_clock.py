"""Nothing is removed or given up because somebody sets the wall clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from kalla_coordinator.jobs.allowed import Allowed
from kalla_coordinator.jobs.life import Failed, Queued
from kalla_coordinator.jobs.model import Job, JobError, JobStatus
from kalla_coordinator.jobs.record import JobRecord, request_text
from kalla_coordinator.jobs.retention import tidy
from kalla_coordinator.jobs.store import open_store
from kalla_core.serving.clock import SETTLING, SteadyClock, settled
from tests.support.jobs import request

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)


class Clocks:
    """A wall clock that is set, and a monotonic one that is not."""

    def __init__(self) -> None:
        self.wall = NOON
        self.seconds = 1000.0

    def steady(self) -> SteadyClock:
        return SteadyClock(lambda: self.wall, lambda: self.seconds)

    def pass_by(self, span: timedelta) -> None:
        self.wall += span
        self.seconds += span.total_seconds()


def ended(name: str, at: datetime) -> JobRecord:
    asked = request(name)
    error = JobError("crashed", "why", None, {})
    job = Job(asked.run_id, "recipe", JobStatus.QUEUED, at, "/out")
    record = JobRecord(job, Queued(), request_text(asked), None)
    return record.after(Failed(1, error), ended_at=at, error=error)


def test_a_wall_clock_that_is_set_moves_a_steady_one_by_nothing() -> None:
    clocks = Clocks()
    steady = clocks.steady()

    clocks.wall += 30 * DAY
    clocks.pass_by(timedelta(minutes=1))

    assert steady.now() == NOON + timedelta(minutes=1)


async def test_a_clock_set_forward_makes_no_job_old(tmp_path: Path) -> None:
    clocks = Clocks()
    steady = clocks.steady()
    async with open_store(None, tmp_path) as store:
        await store.add(ended("young", NOON))
        clocks.wall += 30 * DAY

        await tidy(store, Allowed(tmp_path), DAY, steady)
        kept = [job.run_id for job in (await store.page(None, 10, None)).jobs]
        clocks.pass_by(DAY + timedelta(seconds=1))
        await tidy(store, Allowed(tmp_path), DAY, steady)
        left = (await store.page(None, 10, None)).jobs

    assert (kept, list(left)) == (["young"], [])


async def test_a_clock_that_is_wrong_at_the_start_has_time_to_be_put_right() -> None:
    clocks = Clocks()
    clocks.wall += 30 * DAY

    async def meanwhile(seconds: float) -> None:
        clocks.wall -= 30 * DAY
        clocks.pass_by(timedelta(seconds=seconds))

    steady = await settled(clocks.steady, meanwhile)

    assert steady.now() == NOON + SETTLING
