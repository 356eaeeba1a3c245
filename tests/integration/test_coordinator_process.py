"""The coordinator as a process: it starts, works within its bounds, and ends as asked."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from pathlib import Path

import httpx

from kalla_core.recipe.parse import load_recipe
from kalla_core.recipe.write import to_document
from tests.support.books import Books
from tests.support.command import clean_environment
from tests.support.coordinators import COMMAND, coordinator_process
from tests.support.machine import stretched
from tests.support.processes import children_of, ends_soon
from tests.support.receiver import receiving

PATIENCE_S = 120


def slow(recipe: dict[str, object]) -> dict[str, object]:
    """The same sources with so many pairs that a run takes very long."""
    left = "left_src"
    joins = " ".join(f"CROSS JOIN {left} x{n}" for n in range(14))
    sql = f"SELECT l.invoice_id, r.payment_id FROM {left} l JOIN right_src r ON true {joins}"
    return {**recipe, "match_sql": sql, "options": {"max_pairs_per_row": 10**9}}


async def until(client: httpx.AsyncClient, run_id: str, *statuses: str) -> dict[str, object]:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            job: dict[str, object] = (await client.get(f"/api/jobs/{run_id}")).json()
            if job["status"] in statuses:
                return job
            await asyncio.sleep(0.02)


async def test_sigterm_lets_running_jobs_finish_and_leaves_no_process(
    books: Books, tmp_path: Path
) -> None:
    recipe = to_document(load_recipe(books.write()))
    with coordinator_process(tmp_path / "staging") as process:
        async with httpx.AsyncClient(base_url=process.url, timeout=60) as client:
            for number in range(4):
                answer = await client.post(
                    "/api/jobs", json={"run_id": f"r{number}", "recipe": recipe}
                )
                assert answer.status_code == 202
        children = children_of(process.process.pid)
        process.process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(process.process.wait, 60)

    assert code == 0
    assert children
    assert all(ends_soon(child) for child in children)
    with coordinator_process(tmp_path / "staging") as process:
        async with httpx.AsyncClient(base_url=process.url, timeout=60) as client:
            for number in range(4):
                await until(client, f"r{number}", "succeeded")


async def test_a_cancelled_job_stops_within_two_seconds_and_leaves_nothing(
    books: Books, tmp_path: Path
) -> None:
    recipe = slow(to_document(load_recipe(books.write())))
    async with receiving() as receiver:
        with coordinator_process(tmp_path / "staging") as process:
            async with httpx.AsyncClient(base_url=process.url, timeout=60) as client:
                body = {"run_id": "r", "recipe": recipe, "callback_url": receiver.url}
                answer = await client.post("/api/jobs", json=body)
                assert answer.status_code == 202, answer.text
                async with asyncio.timeout(PATIENCE_S):
                    while not receiver.got:
                        await asyncio.sleep(0.02)
                began = time.monotonic()
                await client.post("/api/jobs/r/cancel")
                await until(client, "r", "cancelled")
                took = time.monotonic() - began
                again = await client.post("/api/jobs/r/cancel")
                async with asyncio.timeout(PATIENCE_S):
                    while receiver.got[-1].kind != "error":
                        await asyncio.sleep(0.02)

    assert took < stretched(4)
    assert again.status_code == 409
    assert receiver.got[-1].document["code"] == "cancelled"
    assert list((tmp_path / "staging/runs").iterdir()) == []


async def test_a_deadline_ends_a_job(books: Books, tmp_path: Path) -> None:
    recipe = slow(to_document(load_recipe(books.write()))) | {
        "options": {"timeout_s": 1, "max_pairs_per_row": 10**9}
    }
    with coordinator_process(tmp_path / "staging") as process:
        async with httpx.AsyncClient(base_url=process.url, timeout=60) as client:
            await client.post("/api/jobs", json={"run_id": "r", "recipe": recipe})
            job = await until(client, "r", "failed")

    assert job["error"]["code"] == "deadline_exceeded"  # type: ignore[index]
    assert "its timeout of 1 seconds" in job["error"]["message"]  # type: ignore[index]


def test_another_address_needs_a_token_or_the_word_insecure(tmp_path: Path) -> None:
    command = [*COMMAND, "coordinator", "--bind-host", "0.0.0.0", "--http-port", "0"]  # noqa: S104
    command += ["--grpc-port", "0", "--results-port", "0", "--memory-limit", "3GiB"]

    ended = subprocess.run(
        [*command, "--staging-path", str(tmp_path)],
        env={**clean_environment(), "HOME": os.environ.get("HOME", "/")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 2
    assert "--insecure" in ended.stderr


def test_too_little_memory_for_so_many_jobs_is_said_at_once(tmp_path: Path) -> None:
    ended = subprocess.run(
        [*COMMAND, "coordinator", "--memory-limit", "1GiB", "--staging-path", str(tmp_path)],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 2
    assert "--max-jobs" in ended.stderr


async def test_a_job_whose_primary_key_is_no_column_fails_and_says_so(
    books: Books, tmp_path: Path
) -> None:
    recipe = to_document(load_recipe(books.write()))
    sides = [recipe["sources"][side] for side in ("left", "right")]
    parts = {
        "run_id": "keyless",
        "match_sql": recipe["match_sql"],
        "sources": [{"alias": one["alias"], "uri": one["uri"], "filters": []} for one in sides],
        "primary_keys": {sides[0]["alias"]: ["invoice"], sides[1]["alias"]: ["payment_id"]},
    }

    with coordinator_process(tmp_path / "staging") as process:
        async with httpx.AsyncClient(base_url=process.url, timeout=60) as client:
            answer = await client.post("/api/jobs", json=parts)
            job = await until(client, "keyless", "succeeded", "failed")

    assert answer.status_code == 202
    assert job["status"] == "failed"
    assert job["error"]["code"] == "invalid_recipe"
    (fault,) = job["error"]["details"]
    assert (fault["code"], fault["path"]) == ("unknown_column", "sources.left.primary_key[0]")
    assert "invoice_id" in fault["message"]
