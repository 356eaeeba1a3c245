"""Jobs from submission to their end, with a host that does as told and a real store."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import threading
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from kalla_coordinator.jobs.model import JobStatus
from kalla_core.errors import (
    Crashed,
    InvalidSetting,
    JobConflict,
    JobEnded,
    JobNotFound,
    NotAllowed,
    OutputUnavailable,
    QueueFull,
    ShuttingDown,
)
from kalla_core.ids import RunId
from tests.support.evidence import commit_evidence
from tests.support.jobs import PATIENCE_S, Office, PuppetHost, office, request
from tests.support.receiver import receiving
from tests.support.s3 import s3_server, set_variables

RUN = RunId("run-1")


async def test_a_job_runs_and_tells_its_caller(tmp_path: Path) -> None:
    async with receiving() as receiver, office(tmp_path, PuppetHost(free=True)) as here:
        accepted = await here.stored_jobs.submit(request(callback_url=receiver.url))
        job = await here.until("run-1", "succeeded")
        async with asyncio.timeout(PATIENCE_S):
            while await here.store.owed():
                await asyncio.sleep(0.01)

    assert accepted.status is JobStatus.QUEUED
    assert (job.attempt, job.engine, job.counts.matched) == (1, "local", 1)
    assert job.output_paths["matched"] == str(tmp_path / "runs/run-1/matched.parquet")
    assert receiver.got[-1].kind == "complete"
    assert receiver.got[-1].document["matched_count"] == 1
    assert here.metrics.registry.get_sample_value("kalla_runner_jobs_completed_total") == 1


async def test_the_same_request_again_is_the_same_job_and_another_is_a_conflict(
    tmp_path: Path,
) -> None:
    host = PuppetHost(free=True)
    async with office(tmp_path, host) as here:
        same = await asyncio.gather(*(here.stored_jobs.submit(request()) for _ in range(8)))
        done = await here.until("run-1", "succeeded")
        again = await here.stored_jobs.submit(request())
        with pytest.raises(JobConflict):
            await here.stored_jobs.submit(request(sql="SELECT 2"))

    assert len({job.accepted_at for job in [*same, again]}) == 1
    assert again.status is done.status is JobStatus.SUCCEEDED
    assert len(host.orders) == 1


async def test_beyond_the_queue_a_new_job_is_sent_away_and_an_old_one_is_answered(
    tmp_path: Path,
) -> None:
    host = PuppetHost()
    async with office(tmp_path, host, most_running=1, most_waiting=1) as here:
        first = await here.stored_jobs.submit(request("a"))
        await here.stored_jobs.submit(request("b"))
        with pytest.raises(QueueFull):
            await here.stored_jobs.submit(request("c"))
        full = await here.stored_jobs.readiness()
        again = await here.stored_jobs.submit(request("a"))
        host.gate.set()
        await here.until("b", "succeeded")
        ready = await here.stored_jobs.readiness()

    assert again.accepted_at == first.accepted_at
    assert (full.ready, ready.ready) == (False, True)
    assert full.reason is not None
    assert full.reason.startswith("queue_full")


async def test_jobs_start_in_the_order_they_came(tmp_path: Path) -> None:
    host = PuppetHost()
    async with office(tmp_path, host, most_running=2) as here:
        for name in "abcdef":
            await here.stored_jobs.submit(request(name))
        host.gate.set()
        for name in "abcdef":
            await here.until(name, "succeeded")

    assert [order.run_id for order in host.orders] == list("abcdef")


async def test_a_cancel_stops_a_running_job_and_drops_a_waiting_one(tmp_path: Path) -> None:
    host = PuppetHost()
    async with receiving() as receiver, office(tmp_path, host, most_running=1) as here:
        for name in ("a", "b"):
            await here.stored_jobs.submit(request(name, callback_url=receiver.url))
        await here.until("a", "running")
        await here.stored_jobs.cancel(RunId("b"))
        await here.stored_jobs.cancel(RunId("a"))
        await here.stored_jobs.cancel(RunId("a"))
        job = await here.until("a", "cancelled")
        with pytest.raises(JobEnded):
            await here.stored_jobs.cancel(RunId("b"))
        async with asyncio.timeout(PATIENCE_S):
            while await here.store.owed():
                await asyncio.sleep(0.01)

    assert host.stopped == ["a"]
    assert job.error is not None
    errors = [got.document for got in receiver.got if got.kind == "error"]
    assert sorted((error["run_id"], error["code"]) for error in errors) == [
        ("a", "cancelled"),
        ("b", "cancelled"),
    ]


async def test_after_the_decision_to_commit_a_cancel_is_too_late(tmp_path: Path) -> None:
    host = PuppetHost()
    async with office(tmp_path, host) as here:
        await here.stored_jobs.submit(request())
        await here.until("run-1", "running")
        async with asyncio.timeout(PATIENCE_S):
            while RUN not in host.watches:
                await asyncio.sleep(0)
        await host.watches[RUN].decide_commit()
        with pytest.raises(JobEnded):
            await here.stored_jobs.cancel(RUN)
        host.gate.set()
        job = await here.until("run-1", "succeeded")

    assert job.status is JobStatus.SUCCEEDED


async def test_a_failure_is_told_with_its_code_and_without_secrets(tmp_path: Path) -> None:
    error = Crashed("lost postgres://u:secret@host/db", uri="postgres://u:secret@host/db")
    async with office(tmp_path, PuppetHost(free=True, error=error)) as here:
        await here.stored_jobs.submit(request())
        job = await here.until("run-1", "failed")
        kept = await here.stored_jobs.get(RUN)

    assert job.error is not None
    assert job.error.code == "crashed"
    assert "secret" not in f"{job}{kept}"


async def test_a_job_that_ran_when_the_coordinator_died_runs_again_as_the_next_attempt(
    tmp_path: Path,
) -> None:
    async with office(tmp_path, PuppetHost(), most_running=1) as here:
        for name in ("a", "b"):
            await here.stored_jobs.submit(request(name))
        await here.until("a", "running")
    host = PuppetHost(free=True)
    async with office(tmp_path, host, most_running=1) as here:
        jobs = [await here.until(name, "succeeded") for name in ("a", "b")]

    assert [order.run_id for order in host.orders] == ["a", "b"]
    assert [job.attempt for job in jobs] == [2, 1]
    value = here.metrics.registry.get_sample_value
    assert value("kalla_runner_job_retries_total", {"cause": "restart"}) == 1


async def committing(here: Office, host: PuppetHost, output: str) -> None:
    """Bring a job to the point where its evidence is being committed."""
    await here.stored_jobs.submit(request(output_path=output))
    await here.until("run-1", "running")
    async with asyncio.timeout(PATIENCE_S):
        while RUN not in host.watches:
            await asyncio.sleep(0)
    await host.watches[RUN].decide_commit()


async def test_a_job_whose_evidence_got_into_the_bucket_has_succeeded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_variables(monkeypatch, s3_server().environment())
    output = f"s3://{s3_server().new_bucket().name}/runs/1"
    host = PuppetHost()
    async with office(tmp_path, host) as here:
        await committing(here, host, output)
    commit_evidence(output, "run-1", matched=2, left=1, right=0)
    after = PuppetHost(free=True)
    async with office(tmp_path, after) as here:
        job = await here.until("run-1", "succeeded")

    assert (job.attempt, job.counts.matched) == (1, 2)
    assert after.orders == []


async def test_a_job_whose_evidence_is_not_in_the_bucket_runs_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_variables(monkeypatch, s3_server().environment())
    output = f"s3://{s3_server().new_bucket().name}/runs/1"
    host = PuppetHost()
    async with office(tmp_path, host) as here:
        await committing(here, host, output)
    commit_evidence(output, "another-run", matched=2, left=1, right=0)
    async with office(tmp_path, PuppetHost(free=True)) as here:
        job = await here.until("run-1", "succeeded")

    assert (job.attempt, job.counts.matched) == (2, 1)


async def test_a_bucket_that_does_not_answer_is_asked_again_while_others_run(
    tmp_path: Path,
) -> None:
    host = PuppetHost()
    async with office(tmp_path, host) as here:
        await committing(here, host, "s3://bucket/runs/1")
    answers = threading.Event()

    def find(output: str, run_id: RunId) -> None:
        assert (output, run_id) == ("s3://bucket/runs/1", RUN)
        if not answers.is_set():
            raise OutputUnavailable("The bucket does not answer.")

    async with office(tmp_path, PuppetHost(free=True), find=find) as here:
        await here.stored_jobs.submit(request("run-2"))
        await here.until("run-2", "succeeded")
        before = await here.stored_jobs.get(RUN)
        answers.set()
        job = await here.until("run-1", "succeeded")

    assert before.status is JobStatus.RUNNING
    assert job.attempt == 2


async def test_evidence_that_nobody_understands_keeps_no_coordinator_from_starting(
    tmp_path: Path,
) -> None:
    host = PuppetHost()
    async with office(tmp_path, host) as here:
        await committing(here, host, "out")

    def find(output: str, run_id: RunId) -> None:
        raise RecursionError

    async with office(tmp_path, PuppetHost(free=True), find=find) as here:
        job = await here.until("run-1", "succeeded")

    assert job.attempt == 2


async def test_a_job_whose_request_this_version_cannot_read_fails_and_says_so(
    tmp_path: Path,
) -> None:
    async with receiving() as receiver:
        async with office(tmp_path, PuppetHost(), most_running=1) as here:
            for name in ("a", "b"):
                await here.stored_jobs.submit(request(name, callback_url=receiver.url))
            await here.until("a", "running")
        with closing(sqlite3.connect(tmp_path / "jobs.sqlite")) as database, database:
            database.execute('UPDATE jobs SET request = \'{"shape": "of the future"}\'')
        host = PuppetHost(free=True)
        async with office(tmp_path, host, most_running=1) as here:
            jobs = [await here.until(name, "failed") for name in ("a", "b")]
            await here.stored_jobs.submit(request("c"))
            await here.until("c", "succeeded")
            async with asyncio.timeout(PATIENCE_S):
                while await here.store.owed():
                    await asyncio.sleep(0.01)

    assert [order.run_id for order in host.orders] == ["c"]
    assert all(job.error and "cannot be read" in job.error.message for job in jobs)
    told = [got.document["run_id"] for got in receiver.got if got.kind == "error"]
    assert sorted(told) == ["a", "b"]


async def test_what_was_owed_is_sent_by_the_next_start(tmp_path: Path) -> None:
    async with receiving() as receiver:
        pass
    async with office(tmp_path, PuppetHost(free=True)) as here:
        await here.stored_jobs.submit(request(callback_url=receiver.url))
        await here.until("run-1", "succeeded")
    async with receiving(port=receiver.port) as back, office(tmp_path, PuppetHost()) as here:
        async with asyncio.timeout(PATIENCE_S):
            while await here.store.owed():
                await asyncio.sleep(0.01)

    assert [got.kind for got in back.got] == ["complete"]


async def test_draining_takes_nothing_new_and_hands_over_what_does_not_finish(
    tmp_path: Path,
) -> None:
    async with office(tmp_path, PuppetHost()) as here:
        await here.stored_jobs.submit(request())
        await here.until("run-1", "running")
        await here.stored_jobs.runner.drain(timedelta(seconds=0.05))
        ready = await here.stored_jobs.readiness()
        with pytest.raises(ShuttingDown):
            await here.stored_jobs.submit(request("new"))
        job = await here.stored_jobs.get(RUN)

    assert (ready.ready, job.status) == (False, JobStatus.QUEUED)
    async with office(tmp_path, PuppetHost(free=True)) as here:
        again = await here.until("run-1", "succeeded")
    assert again.attempt == 2


async def test_pages_are_newest_first_and_go_on_where_they_ended(tmp_path: Path) -> None:
    async with office(tmp_path, PuppetHost(), most_running=1) as here:
        for name in "abcde":
            await here.stored_jobs.submit(request(name))
        first = await here.stored_jobs.list(limit=2)
        second = await here.stored_jobs.list(limit=10, cursor=first.cursor)
        queued = await here.stored_jobs.list(status=JobStatus.QUEUED)
        with pytest.raises(InvalidSetting):
            await here.stored_jobs.list(cursor="garbage")

    assert [job.run_id for job in (*first.jobs, *second.jobs)] == list("edcba")
    assert second.cursor is None
    assert "a" not in [job.run_id for job in queued.jobs[:4]]


async def test_a_job_that_is_not_there_is_said_not_to_be(tmp_path: Path) -> None:
    async with office(tmp_path, PuppetHost()) as here:
        with pytest.raises(JobNotFound):
            await here.stored_jobs.get(RUN)
        with pytest.raises(JobNotFound):
            await here.stored_jobs.cancel(RUN)
        with pytest.raises(JobNotFound):
            await anext(here.stored_jobs.watch(RUN))


async def test_an_output_outside_the_staging_path_is_refused(tmp_path: Path) -> None:
    async with office(tmp_path, PuppetHost()) as here:
        with pytest.raises(NotAllowed):
            await here.stored_jobs.submit(request(output_path="../elsewhere"))


async def test_nobody_else_can_read_the_requests(tmp_path: Path) -> None:
    async with office(tmp_path, PuppetHost(free=True)) as here:
        await here.stored_jobs.submit(request())
        await here.until("run-1", "succeeded")
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("jobs.*")}

    assert modes
    assert set(modes.values()) == {0o600}
