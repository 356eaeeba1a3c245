"""The whole way, from outside: a real coordinator, a real receiver, plain clients."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pyarrow as pa
import pyarrow.flight as flight
import pyarrow.parquet as pq
import pytest

from kalla_core.client import Client
from kalla_core.ids import RunId
from kalla_core.wire.generated import jobs_pb2, jobs_pb2_grpc
from kalla_core.wire.jobs import submit_message
from tests.support.api import absolute_recipe
from tests.support.books import Books, make_books
from tests.support.command import kalla, names_below
from tests.support.coordinators import Process, coordinator_process
from tests.support.receiver import Receiver, receiving

PATIENCE_S = 60


@pytest.fixture
def books(tmp_path: Path) -> Books:
    (tmp_path / "books").mkdir()
    return make_books(tmp_path / "books")


@pytest.fixture(scope="module")
def coordinator(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with coordinator_process(tmp_path_factory.mktemp("coordinator") / "staging") as process:
        yield process


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as one:
        yield one


def in_parts(books: Books, run_id: str, receiver: Receiver) -> dict[str, Any]:
    recipe = absolute_recipe(books)
    sides = [recipe["sources"][side] for side in ("left", "right")]
    return {
        "run_id": run_id,
        "match_sql": recipe["match_sql"],
        "sources": [{"alias": one["alias"], "uri": one["uri"]} for one in sides],
        "primary_keys": {one["alias"]: one["primary_key"] for one in sides},
        "callback_url": receiver.url,
    }


async def told_of(receiver: Receiver, run_id: str) -> list[str]:
    """Wait for the last word on a run; return the kinds of all that was told, in order."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            kinds = [one.kind for one in receiver.got if one.document["run_id"] == run_id]
            if kinds and kinds[-1] in ("complete", "error"):
                return kinds
            receiver.news.clear()
            await receiver.news.wait()


def fetch(process: Process, run_id: str) -> dict[str, pa.Table]:
    """Fetch all outputs with nothing but a Flight client."""
    tables = {}
    with flight.connect(f"grpc+tcp://127.0.0.1:{process.results}") as client:
        for output in ("matched", "unmatched_left", "unmatched_right"):
            info = client.get_flight_info(flight.FlightDescriptor.for_path(run_id, output))
            parts = [client.do_get(one.ticket).read_all() for one in info.endpoints]
            tables[output] = pa.concat_tables(parts)
            assert tables[output].num_rows == info.total_records
    return tables


def keys(tables: dict[str, pa.Table]) -> tuple[set[Any], set[Any], set[Any]]:
    left_keys, right_keys = (tables["matched"][key] for key in ("left_key", "right_key"))
    pairs = zip(left_keys.to_pylist(), right_keys.to_pylist(), strict=True)
    rest = (set(tables[side]["record_key"].to_pylist()) for side in tables if side != "matched")
    left, right = rest
    return set(pairs), left, right


TRUTH = ({("1", "P1"), ("2", "P2")}, {"3", "4", "5"}, {"P3", "P4", "P5"})


async def test_a_job_over_http_from_submission_to_its_rows(
    coordinator: Process, books: Books, receiver: Receiver
) -> None:
    async with httpx.AsyncClient(base_url=coordinator.url, timeout=PATIENCE_S) as http:
        accepted = await http.post("/api/jobs", json=in_parts(books, "over-http", receiver))
        async with http.stream("GET", "/api/jobs/over-http/events") as stream:
            lines = [line async for line in stream.aiter_lines()]
        told = await told_of(receiver, "over-http")
        rows = (await http.get("/api/jobs/over-http/evidence/matched")).json()

    assert (accepted.status_code, accepted.json()["status"]) == (202, "accepted")
    data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    events = [json.loads(text) for text in data]
    assert events[-1]["status"] == "succeeded"
    assert events[-1]["counts"]["matched_count"] == 2
    assert set(told[:-1]) <= {"progress"}
    assert told[-1] == "complete"
    numbers = [int(one.headers["x-kalla-delivery"].rpartition("/")[2]) for one in receiver.got]
    assert numbers == sorted(numbers)
    assert keys(await asyncio.to_thread(fetch, coordinator, "over-http")) == TRUTH
    assert {(row["left_key"], row["right_key"]) for row in rows} == TRUTH[0]


async def test_a_job_over_grpc_from_submission_to_its_rows(
    coordinator: Process, books: Books, receiver: Receiver
) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{coordinator.grpc}") as channel:
        jobs: Any = jobs_pb2_grpc.JobsStub(channel)  # type: ignore[no-untyped-call]
        message = submit_message(in_parts(books, "over-grpc", receiver))
        accepted = await jobs.SubmitJob(message)
        watch = jobs.WatchJob(jobs_pb2.WatchJobRequest(run_id="over-grpc"))
        seen = [job async for job in watch]

    assert accepted.status == "accepted"
    assert seen[-1].status == "succeeded"
    assert (await told_of(receiver, "over-grpc"))[-1] == "complete"
    assert keys(await asyncio.to_thread(fetch, coordinator, "over-grpc")) == TRUTH


async def test_a_job_that_fails_says_why_everywhere(
    coordinator: Process, books: Books, receiver: Receiver
) -> None:
    request = in_parts(books, "failing", receiver)
    request["sources"][0]["uri"] = "/nowhere/invoices.csv"

    async with Client(coordinator.url) as client, httpx.AsyncClient(timeout=60) as http:
        await http.post(f"{coordinator.url}/api/jobs", json=request)
        job = await client.wait(RunId("failing"))
    told = await told_of(receiver, "failing")

    assert job.status == "failed"
    assert job.error is not None
    assert told[-1] == "error"
    assert receiver.got[-1].document["code"] == job.error.code


async def test_a_run_by_a_coordinator_is_a_run_here(coordinator: Process, books: Books) -> None:
    there = await asyncio.to_thread(books.run, "--coordinator", coordinator.url, "--json")
    here = await asyncio.to_thread(
        kalla, "run", books.write(), "--output", "here", "--json", cwd=books.folder
    )

    assert there.exit_code == 0, there.err
    assert here.exit_code == 0, here.err
    assert names_below(books.folder / "out") == names_below(books.folder / "here")
    for name in ("unmatched_left.parquet", "unmatched_right.parquet"):
        ours, theirs = (pq.read_table(books.folder / one / name) for one in ("here", "out"))
        assert ours.sort_by("record_key").equals(theirs.sort_by("record_key"))
