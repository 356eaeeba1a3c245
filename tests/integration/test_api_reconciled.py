"""What passes suggest and hold, over HTTP and Flight."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.flight as flight
import pytest
from google.protobuf import json_format

from kalla_coordinator.callbacks.payloads import complete_payload
from kalla_coordinator.jobs.life import Succeeded
from kalla_coordinator.jobs.record import JobRecord, record_of, row_of
from kalla_coordinator.jobs.stages import succeeded
from kalla_core.ids import RunId
from kalla_core.jobs.document import job_of
from kalla_core.jobs.model import Job, JobStatus
from kalla_core.jobs.passes import PassFigures
from kalla_core.recipe.model import Carry
from kalla_core.recipe.passes import Accept, Cardinality, Choose, SqlPass
from kalla_core.wire.jobs import job_message, submit_message, submit_request
from tests.support.api import Served, served
from tests.support.runs import run_in_process
from tests.support.tables import Reconciliation


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as one:
        await one.submit("run-1")
        await one.jobs.succeed("run-1")
        yield one


async def reconciled(api: Served, folder: Path) -> Job:
    """Let a job suggest one pair, hold two that tie, and match one."""
    books = Reconciliation(folder, "")
    books.put("left", pa.table({"id": [1, 2, 3, 4], "d": ["x", "x", "y", "z"]}))
    books.put("right", pa.table({"id": [7, 8, 9], "d": ["x", "y", "z"]}))
    sql = "SELECT l.d FROM l JOIN r ON l.d = r.d"
    passes = (
        SqlPass("y", f"{sql} AND l.d = 'y'", Cardinality.ONE_TO_ONE, choose=Choose.BEST),
        SqlPass("x", f"{sql} AND l.d = 'x'", Cardinality.ONE_TO_ONE, choose=Choose.BEST),
        SqlPass("z", f"{sql} AND l.d = 'z'", accept=Accept.SUGGEST),
    )
    recipe = replace(books.recipe(), match_sql=passes[0].sql, passes=passes)
    await api.submit("test-run")
    output = api.jobs.jobs["test-run"].output_path
    metadata = run_in_process(recipe, output)
    fields = succeeded(metadata, output)
    return await api.jobs.change("test-run", status=JobStatus.SUCCEEDED, **fields)


async def test_what_passes_suggest_and_hold_is_fetched_like_all_else(
    api: Served, tmp_path: Path
) -> None:
    job = await reconciled(api, tmp_path)

    sets = ("matched", "suggested", "ambiguous")
    answers = [await api.http.get(f"/api/jobs/test-run/evidence/{name}") for name in sets]
    told = (await api.http.get("/api/jobs/test-run/metadata")).json()

    def listed() -> set[str]:
        with flight.connect(api.flight) as client:
            return {info.descriptor.path[1].decode() for info in client.list_flights(b"test-run")}

    attempts = (await api.http.get("/api/jobs/test-run/evidence/attempts")).json()
    assert {*sets, "attempts", "unmatched_left", "unmatched_right"} == set(job.output_paths)
    assert {row["rule_name"] for row in attempts} == {"y", "x", "z"}
    pairs = [[(row["left_key"], row["right_key"]) for row in one.json()] for one in answers]
    assert pairs == [[("3", "8")], [("4", "9")], [("1", "7"), ("2", "7")]]
    assert [one["name"] for one in told["passes"]] == ["y", "x", "z"]
    assert await asyncio.to_thread(listed) == set(job.output_paths)


async def test_what_each_pass_did_is_told_through_every_door(api: Served, tmp_path: Path) -> None:
    job = await reconciled(api, tmp_path)

    document = (await api.http.get("/api/jobs/test-run")).json()
    metadata = (await api.http.get("/api/jobs/test-run/metadata")).json()
    plain = (await api.http.get("/api/jobs/run-1")).json()
    message = json_format.MessageToDict(
        job_message(job),
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
    record = JobRecord(job, Succeeded(1), "{}")
    payload = json.loads(complete_payload(job).body())

    assert document["passes"] == metadata["passes"] == payload["passes"]
    assert [one["accepted"] for one in document["passes"]] == [1, 0, 0]
    assert [one["held"] for one in document["passes"]] == [0, 2, 0]
    assert [one["suggested"] for one in document["passes"]] == [0, 0, 1]
    assert job_of(document).passes == record_of(row_of(record)).job.passes == job.passes
    assert [(one["name"], one["left_over"]) for one in message["passes"]] == [
        (one["name"], {side: str(count) for side, count in one["left_over"].items()})
        for one in document["passes"]
    ]
    assert plain["passes"] == []
    assert "passes" not in json.loads(complete_payload(replace(job, passes=())).body())


def test_amounts_of_passes_and_what_a_source_carries_travel_as_messages() -> None:
    amounts = ({"currency": None, "left": "1.10", "right": "1.00"},)
    figures = PassFigures("a", "subset_sum", None, "auto", 3, 2, 0, 0, {"left": 1, "right": 2},
                          {"left": 0, "right": 0}, amounts, ("a note",))  # fmt: skip
    source = {"alias": "l", "uri": "l.csv", "carry": {"evidence": "may", "amount": "amount"}}
    sources = [source, {"alias": "r", "uri": "r.csv"}]
    keys = {"l": ["id"], "r": ["id"]}
    request = {"run_id": "run-1", "sources": sources, "primary_keys": keys, "match_sql": "SELECT 1"}

    job = Job(RunId("run-1"), "r", JobStatus.SUCCEEDED, datetime(2026, 1, 1, tzinfo=UTC), "out")
    told = job_message(replace(job, passes=(figures,))).passes[0]

    assert (told.amounts[0].left, told.amounts[0].HasField("currency")) == ("1.10", False)
    assert (told.rows.right, told.cardinality, list(told.notes)) == (2, "", ["a note"])
    assert submit_request(submit_message(request)).recipe.left.carry == Carry("may", "amount")


async def test_an_output_that_a_job_cannot_have_is_told_apart_from_an_unknown_one(
    api: Served,
) -> None:
    absent = await api.http.get("/api/jobs/run-1/evidence/suggested")
    unknown = await api.http.get("/api/jobs/run-1/evidence/proposed")

    assert (absent.status_code, absent.json()["error"]["code"]) == (404, "evidence_gone")
    assert unknown.status_code == 422
