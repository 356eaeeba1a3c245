"""What goes wrong around a job: callers that leave, stores that fail, runners that stumble."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from kalla_coordinator.jobs.caller import ANYBODY
from kalla_coordinator.jobs.host import RunOrder, Watch
from kalla_coordinator.jobs.model import JobStatus
from kalla_coordinator.jobs.outputs import Terms
from kalla_coordinator.jobs.record import request_text
from kalla_core.errors import (
    Crashed,
    StoreUnavailable,
)
from kalla_core.evidence.metadata import RunMetadata
from kalla_core.ids import RunId
from tests.support.evidence import commit_evidence
from tests.support.jobs import PATIENCE_S, PuppetHost, metadata, office, request
from tests.support.receiver import receiving

RUN = RunId("run-1")


async def test_jobs_that_are_submitted_at_the_same_moment_all_run(tmp_path: Path) -> None:
    names = [f"run-{number}" for number in range(10)]
    async with office(tmp_path, PuppetHost(free=True), most_running=4) as here:
        await asyncio.gather(*(here.stored_jobs.submit(request(name)) for name in names))

        jobs = [await here.until(name, "succeeded") for name in names]

    assert {job.attempt for job in jobs} == {1}


async def test_a_job_runs_although_its_caller_went_away_before_the_answer(tmp_path: Path) -> None:
    async with office(tmp_path, PuppetHost(free=True)) as here:
        submission = asyncio.create_task(here.stored_jobs.submit(request()))
        async with asyncio.timeout(PATIENCE_S):
            while RUN not in here.stored_jobs.runner.places.arriving:
                await asyncio.sleep(0)
        submission.cancel()
        await asyncio.wait([submission])
        async with asyncio.timeout(PATIENCE_S):
            while (kept := await here.store.find(RUN)) is None or not kept.job.status.final:
                await asyncio.sleep(0.01)

    assert submission.cancelled()
    assert kept.job.status is JobStatus.SUCCEEDED


async def test_a_job_that_is_on_disk_against_the_word_of_the_store_runs_when_asked_for_again(
    tmp_path: Path,
) -> None:
    async with office(tmp_path, PuppetHost(free=True)) as here:
        record = here.stored_jobs._record(
            request(), request_text(request()), Terms("/out", ()), ANYBODY
        )
        await here.store.add(record)

        await here.stored_jobs.submit(request())
        job = await here.until("run-1", "succeeded")

    assert job.attempt == 1


async def test_what_a_restart_tells_has_a_number_that_no_progress_had(tmp_path: Path) -> None:
    host = PuppetHost()
    async with receiving() as receiver:
        async with office(tmp_path, host) as here:
            await here.stored_jobs.submit(request(callback_url=receiver.url))
            await here.until("run-1", "running")
            async with asyncio.timeout(PATIENCE_S):
                while not receiver.got:
                    await asyncio.sleep(0.01)
        commit_evidence(str(tmp_path / "runs/run-1"), "run-1", matched=2, left=1, right=0)
        async with office(tmp_path, PuppetHost()) as here:
            async with asyncio.timeout(PATIENCE_S):
                while await here.store.owed():
                    await asyncio.sleep(0.01)

    told = {got.kind: got.headers["x-kalla-delivery"] for got in receiver.got}
    assert set(told) == {"progress", "complete"}
    assert told["progress"] != told["complete"]


@pytest.mark.parametrize("evidence", [True, False])
async def test_what_a_coordinator_that_died_left_of_its_work_is_removed(
    tmp_path: Path, evidence: bool
) -> None:
    runs = tmp_path / "runs"
    async with office(tmp_path, PuppetHost()) as here:
        await here.stored_jobs.submit(request())
        await here.until("run-1", "running")
    if evidence:
        commit_evidence(str(runs / "run-1"), "run-1", matched=2, left=1, right=0)
    left = runs / ".run-1.kalla" / "run-1_1_parts" / "matched.parquet"
    left.mkdir(parents=True)
    (left / "join-0-1").write_text("half")

    async with office(tmp_path, PuppetHost()) as here:
        await here.until("run-1", "succeeded" if evidence else "running")

    assert [path.name for path in runs.iterdir()] == (["run-1"] if evidence else [])


async def test_a_failure_that_tells_of_more_than_json_is_kept_as_text(tmp_path: Path) -> None:
    error = Crashed("lost", path=tmp_path, at=timedelta(seconds=1))
    async with office(tmp_path, PuppetHost(free=True, error=error)) as here:
        await here.stored_jobs.submit(request())
        job = await here.until("run-1", "failed")

    assert job.error is not None
    assert job.error.details == {"path": str(tmp_path), "at": "0:00:01"}


async def test_a_job_that_the_runner_itself_stumbles_over_fails_and_does_not_hang(
    tmp_path: Path,
) -> None:
    class Hasty(PuppetHost):
        async def run(self, order: RunOrder, watch: Watch) -> RunMetadata:
            return metadata(order)  # without having asked whether it may commit

    host = Hasty()
    async with receiving() as receiver, office(tmp_path, host) as here:
        await here.stored_jobs.submit(request(callback_url=receiver.url))
        async with asyncio.timeout(PATIENCE_S):
            while not receiver.got or receiver.got[-1].kind != "error":
                await asyncio.sleep(0.01)

    assert receiver.got[-1].document["code"] == "engine_failure"


@pytest.mark.parametrize("replaced", [False, True])
async def test_without_its_file_the_store_takes_no_job_that_would_be_lost(
    replaced: bool, tmp_path: Path
) -> None:
    async with office(tmp_path, PuppetHost(free=True)) as here:
        await here.stored_jobs.submit(request("before"))
        await here.until("before", "succeeded")
        content = (tmp_path / "jobs.sqlite").read_bytes()
        (tmp_path / "jobs.sqlite").rename(tmp_path / "elsewhere")
        if replaced:
            (tmp_path / "jobs.sqlite").write_bytes(content)

        ready = await here.stored_jobs.readiness()
        with pytest.raises(StoreUnavailable):
            await here.stored_jobs.submit(request("after"))
        (tmp_path / "elsewhere").replace(tmp_path / "jobs.sqlite")
        await here.stored_jobs.submit(request("after"))
        job = await here.until("after", "succeeded")

    assert ready.reason is not None
    assert ready.reason.startswith("store_unavailable")
    assert job.attempt == 1
