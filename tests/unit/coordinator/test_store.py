"""One suite for every database that the job store may lie in."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kalla_coordinator.callbacks.delivery import Delivery
from kalla_coordinator.jobs.allowed import STORE
from kalla_coordinator.jobs.life import Committing, Failed, Queued, Running, Succeeded
from kalla_coordinator.jobs.model import Counts, ExecutorShare, Job, JobError, JobStatus
from kalla_coordinator.jobs.record import JobRecord, request_of, request_text
from kalla_coordinator.jobs.store import JobStore, open_store
from kalla_core.errors import InvalidSetting, StoreUnavailable
from kalla_core.ids import RunId
from tests.support.jobs import request

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


@pytest.fixture
async def store(database_url: str | None, tmp_path: Path) -> AsyncIterator[JobStore]:
    async with open_store(database_url, tmp_path) as store:
        yield store
        for job in (await store.page(None, 1000, None)).jobs:
            await store.forget(job.run_id, job.output_path)
        for owed in await store.owed():
            await store.settle(owed)


def record(name: str, age_s: float = 0) -> JobRecord:
    asked = request(name)
    job = Job(asked.run_id, "recipe", JobStatus.QUEUED, NOW - timedelta(seconds=age_s), "/out")
    return JobRecord(job, Queued(), request_text(asked), "http://app/hook")


def delivery(name: str, sequence: int = 1) -> Delivery:
    return Delivery(RunId(name), sequence, "http://app/hook/complete", '{"é": 1}', NOW)


async def test_a_job_is_read_as_it_was_written(store: JobStore) -> None:
    kept = record("a").after(
        Failed(2, JobError("crashed", "why", "matching", {"a": [1]})),
        ended_at=NOW,
        started_at=NOW,
        error=JobError("crashed", "why", "matching", {"a": [1]}),
        counts=Counts(matched=1, total_left=2**40),
        output_paths={"matched": "/out/matched.parquet"},
        executors=("e1",),
        workers=(ExecutorShare("e1", 3, 0, 7, 2**40),),
        warnings=("careful",),
        durations_s={"staging": 0.25},
        stage="matching",
    )

    await store.add(record("a"))
    await store.put(kept)

    assert await store.find(RunId("a")) == kept
    assert request_of(kept.request).recipe == request("a").recipe


@pytest.mark.parametrize(
    "state", [Queued(1), Running(2), Running(2, cancel_asked=True), Committing(3), Succeeded(1)]
)
async def test_every_state_comes_back(store: JobStore, state: Queued) -> None:
    await store.add(record("a"))

    await store.put(record("a").after(state))

    found = await store.find(RunId("a"))
    assert found is not None
    assert found.state == state


async def test_a_state_and_what_is_owed_for_it_are_written_together(store: JobStore) -> None:
    await store.add(record("a"))
    await store.put(record("a").after(Succeeded(1)), delivery("a"))

    with pytest.raises(StoreUnavailable):  # the delivery is there already
        await store.put(record("a").after(Failed(1, JobError("x", "y"))), delivery("a"))

    found = await store.find(RunId("a"))
    assert found is not None
    assert found.state == Succeeded(1)
    assert await store.owed() == (delivery("a"),)


async def test_of_two_jobs_of_one_run_id_the_first_stays_and_is_returned(store: JobStore) -> None:
    first = record("a", age_s=5)
    await store.add(first)

    results = await asyncio.gather(*(store.add(record(name)) for name in ("b", "a", "c")))

    assert results == [None, first, None]
    assert await store.find(RunId("a")) == first
    names = {one.run_id for one in (await store.page(None, 10, None)).jobs}
    assert names == {"a", "b", "c"}


async def test_one_write_that_fails_takes_no_other_with_it(store: JobStore) -> None:
    for name in "abc":
        await store.add(record(name))
    await store.put(record("b").after(Succeeded(1)), delivery("b"))

    results = await asyncio.gather(
        *(store.put(record(name).after(Succeeded(2)), delivery(name)) for name in "abc"),
        return_exceptions=True,
    )

    assert [type(result) for result in results] == [type(None), StoreUnavailable, type(None)]
    page = (await store.page(None, 10, None)).jobs
    assert {one.run_id: one.attempt for one in page} == {"a": 2, "b": 1, "c": 2}


async def test_what_no_database_can_keep_costs_its_own_write_only(store: JobStore) -> None:
    with pytest.raises(StoreUnavailable):
        await store.add(replace(record("a"), callback_url="http://half/\ud800"))

    await store.add(record("b"))

    assert [one.run_id for one in (await store.page(None, 10, None)).jobs] == ["b"]


async def test_what_is_owed_is_forgotten_when_it_is_settled(store: JobStore) -> None:
    await store.add(record("a"))
    await store.put(record("a").after(Succeeded(1)), delivery("a", 3))

    await store.count_failure(replace(delivery("a", 3), failures=4))
    (owed,) = await store.owed()
    await store.settle(owed)

    assert (owed.failures, owed.sequence) == (4, 3)
    assert await store.owed() == ()


async def test_pages_cover_all_jobs_once_newest_first(store: JobStore) -> None:
    for number in range(7):
        await store.add(record(f"r{number}", age_s=number // 2))

    seen: list[str] = []
    cursor = None
    while True:
        page = await store.page(None, 2, cursor)
        seen += [one.run_id for one in page.jobs]
        cursor = page.cursor
        if cursor is None:
            break

    assert sorted(seen) == sorted(f"r{number}" for number in range(7))
    ages = [int(name[1:]) // 2 for name in seen]
    assert ages == sorted(ages)


@pytest.mark.parametrize("cursor", ["", "x", "W10=", "WzEsMl0=", "eyJhIjoxfQ=="])
async def test_a_cursor_that_no_page_gave_is_refused(store: JobStore, cursor: str) -> None:
    with pytest.raises(InvalidSetting):
        await store.page(None, 2, cursor)


async def test_unfinished_jobs_are_those_without_an_end(store: JobStore) -> None:
    for name, state in (("a", Queued(0)), ("b", Committing(1)), ("c", Succeeded(1))):
        await store.add(record(name, age_s=-ord(name)))
        await store.put(record(name, age_s=-ord(name)).after(state))

    assert [one.job.run_id for one in await store.unfinished()] == ["a", "b"]


async def test_old_jobs_are_those_that_ended_long_ago_and_owe_nothing(store: JobStore) -> None:
    for name in ("owing", "done", "new", "running"):
        await store.add(record(name))
    long_ago = NOW - timedelta(days=9)
    await store.put(record("owing").after(Succeeded(1), ended_at=long_ago), delivery("owing"))
    await store.put(record("done").after(Succeeded(1), ended_at=long_ago))
    await store.put(record("new").after(Succeeded(1), ended_at=NOW))

    old = await store.old(NOW - timedelta(days=1), 10)
    await store.forget(RunId("done"))

    assert [one.run_id for one in old] == ["done"]
    assert await store.find(RunId("done")) is None


async def test_the_next_process_finds_everything(database_url: str | None, tmp_path: Path) -> None:
    async with open_store(database_url, tmp_path) as store:
        await store.add(record("kept"))

    async with open_store(database_url, tmp_path) as store:
        found = await store.find(RunId("kept"))
        await store.forget(RunId("kept"))

    assert found == record("kept")


async def test_whose_an_output_is_outlives_its_job_unless_it_goes_with_it(store: JobStore) -> None:
    places = {"/whose", "s3://books/a"}
    for name, output, token in (
        ("a", "/whose", "one"),
        ("b", "/whose", "two"),
        ("c", "/whose", "two"),
        ("d", "s3://books/a/", "one"),
    ):
        made = record(name)
        job = replace(made.job, output_path=output)
        await store.add(replace(made, job=job, submitter=token, reads=("/runs/x",)))

    found = await store.find(RunId("d"))
    known = await store.owners({*places, "/elsewhere"})
    below = [await store.owners((), {base}) for base in ("/whos", "s3://books/", "/who%", "s3:/b")]
    await store.forget(RunId("a"))
    later = await store.owners(places)
    await store.forget(RunId("d"), "s3://books/a/")
    await store.forget(RunId("b"), "/whose")

    assert found is not None
    assert (found.submitter, found.reads) == ("one", ("/runs/x",))
    assert known == later == {"/whose": {"one", "two"}, "s3://books/a": {"one"}}
    assert below == [{"/whose": {"one", "two"}}, {"s3://books/a": {"one"}}, {}, {}]
    assert await store.owners(places) == {}


async def test_tables_of_an_older_version_are_brought_up_to_date(
    database_url: str | None, tmp_path: Path
) -> None:
    from sqlalchemy import text

    new = replace(record("new"), submitter="one")
    made = replace(new, job=replace(new.job, output_path="/newer"))
    async with open_store(database_url, tmp_path) as store:
        await store.add(record("old"))
        async with store._engine.begin() as connection:
            schema = "" if database_url is None else "kalla."
            await connection.execute(text(f"DROP TABLE {schema}outputs"))
            await connection.execute(text(f"UPDATE {schema}kalla_schema SET version = 2"))
            older = """UPDATE {}jobs SET document = replace(replace(document,
                '"submitter":"",', ''), '"reads":[],', '')"""
            await connection.execute(text(older.format(schema)))

    async with open_store(database_url, tmp_path) as store:
        await store.add(made)
        found = [await store.find(RunId(name)) for name in ("old", "new")]
        owners = await store.owners({"/newer", "/out"})
        for name, output in (("old", "/out"), ("new", "/newer")):
            await store.forget(RunId(name), output)

    assert found == [record("old"), made]
    assert owners == {"/newer": {"one"}, "/out": {""}}


@pytest.mark.parametrize("end", ["-wal", ""])
async def test_a_store_that_lost_a_file_takes_no_job_and_loses_none(
    end: str, tmp_path: Path
) -> None:
    log = tmp_path / f"{STORE}{end}"
    async with open_store(None, tmp_path) as store:
        await store.add(record("before"))
        log.rename(tmp_path / "taken")

        with pytest.raises(StoreUnavailable):
            await store.add(record("after"))
        with pytest.raises(StoreUnavailable):
            await store.check()
        if not end:
            (tmp_path / "taken").rename(log)

    async with open_store(None, tmp_path) as store:
        assert await store.find(RunId("before")) == record("before")
        assert await store.find(RunId("after")) is None


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
async def test_what_is_no_file_in_the_place_of_the_store_is_named(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    make(tmp_path / STORE)

    with pytest.raises(StoreUnavailable, match=rf"{STORE} cannot be opened: "):
        async with open_store(None, tmp_path):
            pass


async def test_many_writers_share_their_commits(store: JobStore) -> None:
    await asyncio.gather(*(store.add(record(f"r{number}")) for number in range(300)))

    assert len((await store.page(None, 1000, None)).jobs) == 300
    await store.check()


async def test_a_database_that_is_not_there_is_named_as_the_cause(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        async with open_store("postgres://kalla@127.0.0.1:1/none", tmp_path):
            pass


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://here/none", "PostgreSQL"),
        ("postgres://here/none?wibble=1", "wibble; options are application_name, host"),
        ("postgres://here:abc/none", "PostgreSQL"),
        ("postgres://here:70000/none", "no port 70000"),
        ("postgres://here/none?host=a:1&host=b&port=2", "PostgreSQL"),
        ("postgres://here/none?port=x", "PostgreSQL"),
    ],
)
async def test_an_address_that_cannot_be_one_is_refused(
    tmp_path: Path, url: str, words: str
) -> None:
    with pytest.raises(InvalidSetting, match=words):
        async with open_store(url, tmp_path):
            pass


async def test_the_store_names_itself_to_the_server_as_it_is_told(
    postgres: str, tmp_path: Path
) -> None:
    from sqlalchemy import text

    mark = "&" if "?" in postgres else "?"
    url = f"{postgres}{mark}application_name=books"
    async with open_store(url, tmp_path) as store, store._engine.connect() as connection:
        name = (await connection.execute(text("SHOW application_name"))).scalar()

    assert name == "books"


async def test_tables_of_a_newer_version_are_left_alone(tmp_path: Path) -> None:
    from sqlalchemy import text

    async with open_store(None, tmp_path) as store, store._engine.begin() as connection:
        await connection.execute(text("UPDATE kalla_schema SET version = 99"))

    with pytest.raises(StoreUnavailable, match="newer"):
        async with open_store(None, tmp_path):
            pass
