"""The metrics of a coordinator that runs jobs on its own machine, read from outside."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from kalla_core.recipe.parse import load_recipe
from kalla_core.recipe.write import to_document
from tests.integration.test_coordinator_process import slow, until
from tests.support.books import Books
from tests.support.coordinators import coordinator_process
from tests.support.metrics import Scrape, scrape
from tests.support.receiver import receiving

ROWS_PER_JOB = 10
PATIENCE_S = 60
TAKEN = "kalla_callback_attempts_total{outcome=taken}"


async def once_told(url: str, ends: int) -> Scrape:
    """Return the metrics as they are when so many callbacks were taken."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            value = await asyncio.to_thread(scrape, url)
            if value[TAKEN] >= ends and value["kalla_callbacks_owed"] == 0:
                return value
            await asyncio.sleep(0.05)


async def test_metrics_tell_what_became_of_every_job(books: Books, tmp_path: Path) -> None:
    recipe = to_document(load_recipe(books.write()))
    spooled = {**recipe, "options": {"buckets": 3, "partitions": 1}}
    broken = {**recipe, "match_sql": "SELECT nothing FROM invoices"}
    async with receiving() as receiver:
        with coordinator_process(tmp_path / "staging") as process:
            before = scrape(process.url)
            async with httpx.AsyncClient(base_url=process.url, timeout=60) as client:
                for run_id, one in (("ok", recipe), ("spooled", spooled), ("broken", broken)):
                    body = {"run_id": run_id, "recipe": one, "callback_url": receiver.url}
                    assert (await client.post("/api/jobs", json=body)).status_code == 202
                    await until(client, run_id, "succeeded", "failed")
                await client.post("/api/jobs", json={"run_id": "gone", "recipe": slow(recipe)})
                await until(client, "gone", "running")
                await client.post("/api/jobs/gone/cancel")
                await until(client, "gone", "cancelled")
            value = (await once_told(process.url, 3)).since(before)

    assert value["kalla_runner_jobs_completed_total"] == 2
    assert value["kalla_runner_jobs_failed_total"] == 1
    assert value["kalla_runner_jobs_cancelled_total"] == 1
    assert value["kalla_runner_active_jobs"] == value["kalla_runner_queued_jobs"] == 0
    assert value["kalla_job_seconds_count"] == 4
    assert value["kalla_job_seconds_sum"] > 0
    assert value["kalla_job_rows_count"] == 2
    assert value["kalla_job_rows_sum"] == 2 * ROWS_PER_JOB
    assert value[TAKEN] >= sum(one.kind != "progress" for one in receiver.got) == 3
    assert value["kalla_scanned_rows_total"] >= 2 * ROWS_PER_JOB
    assert value["kalla_spooled_rows_total"] == ROWS_PER_JOB
    assert value["kalla_spooled_bytes_total"] > 0
    assert value["kalla_fragments_total{outcome=done,stage=join}"] >= 2
    assert value["kalla_event_loop_lag_seconds_count"] > 0
