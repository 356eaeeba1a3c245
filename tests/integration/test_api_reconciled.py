"""What passes suggest and hold, over HTTP and Flight."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.flight as flight
import pytest

from kalla_coordinator.jobs.stages import succeeded
from kalla_core.jobs.model import Job, JobStatus
from kalla_core.recipe.passes import Accept, Cardinality, Choose, SqlPass
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


async def test_an_output_that_a_job_cannot_have_is_told_apart_from_an_unknown_one(
    api: Served,
) -> None:
    absent = await api.http.get("/api/jobs/run-1/evidence/suggested")
    unknown = await api.http.get("/api/jobs/run-1/evidence/proposed")

    assert (absent.status_code, absent.json()["error"]["code"]) == (404, "evidence_gone")
    assert unknown.status_code == 422
