"""Many jobs at once: bounded memory, a full queue sends away, small ones pass a big one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import psutil
import pytest

from kalla_core.recipe.parse import load_recipe
from kalla_core.recipe.write import to_document
from tests.integration.test_coordinator_process import slow, until
from tests.support.books import Books
from tests.support.coordinators import coordinator_process


async def flood(books: Books, staging: Path, jobs: int, clients: int, queue: int) -> None:
    recipe = to_document(load_recipe(books.write()))
    numbers = iter(range(jobs))
    accepted: list[str] = []
    refused = 0
    peak = 0

    async def client_loop(client: httpx.AsyncClient) -> None:
        nonlocal refused
        for number in numbers:
            body = {"run_id": f"r{number}", "recipe": recipe}
            while (answer := await client.post("/api/jobs", json=body)).status_code == 429:
                assert int(answer.headers["retry-after"]) >= 1
                refused += 1
                await asyncio.sleep(0.2)
            assert answer.status_code == 202, answer.text
            accepted.append(f"r{number}")

    async def watch_loop(client: httpx.AsyncClient, process: psutil.Process) -> None:
        nonlocal peak
        while True:
            peak = max(peak, process.memory_info().rss)
            ready = await client.get("/ready")
            assert ready.status_code in (200, 503)
            if ready.status_code == 503:
                assert "queue_full" in ready.text
            text = (await client.get("/metrics")).text
            lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
            assert float(lines["kalla_runner_active_jobs"]) <= 2
            assert float(lines["kalla_runner_queued_jobs"]) <= queue + 2
            await asyncio.sleep(0.1)

    flags = ("--max-jobs", "2", "--queue-limit", str(queue))
    with coordinator_process(staging, *flags) as process:
        async with httpx.AsyncClient(base_url=process.url, timeout=60) as client:
            big = {"run_id": "big", "recipe": slow(recipe)}
            assert (await client.post("/api/jobs", json=big)).status_code == 202
            await until(client, "big", "running")
            before = psutil.Process(process.process.pid).memory_info().rss
            watching = asyncio.create_task(watch_loop(client, psutil.Process(process.process.pid)))
            await asyncio.gather(*(client_loop(client) for _ in range(clients)))
            for run_id in accepted:
                await until(client, run_id, "succeeded")
            assert not watching.done()
            watching.cancel()
            still = (await client.get("/api/jobs/big")).json()
            metrics = (await client.get("/metrics")).text

    assert still["status"] == "running"  # it holds one slot, and the small ones passed it
    assert len(accepted) == jobs
    assert refused > 0
    assert f"kalla_runner_jobs_completed_total {jobs:.1f}" in metrics
    assert peak - before < 96 << 20


async def test_a_flood_of_jobs_is_taken_within_bounds(books: Books, tmp_path: Path) -> None:
    await flood(books, tmp_path / "staging", jobs=24, clients=8, queue=3)


@pytest.mark.full
async def test_five_hundred_jobs_of_32_clients_are_taken_within_bounds(
    books: Books, tmp_path: Path
) -> None:
    await flood(books, tmp_path / "staging", jobs=500, clients=32, queue=100)
