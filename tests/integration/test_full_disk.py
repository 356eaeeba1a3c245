"""A disk without room below the staging path: said aloud, and nothing that was accepted is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx

from kalla_core.recipe.parse import load_recipe
from kalla_core.recipe.write import to_document
from tests.integration.test_coordinator_process import slow, until
from tests.support.books import Books
from tests.support.coordinators import coordinator_process
from tests.support.disks import small_disk
from tests.support.receiver import receiving

DISK_BYTES = 4 << 20
PATIENCE_S = 60


async def submitted(
    client: httpx.AsyncClient, run_id: str, recipe: dict[str, Any], hook: str, **more: str
) -> httpx.Response:
    asked = {"run_id": run_id, "recipe": recipe, "callback_url": hook, **more}
    return await client.post("/api/jobs", json=asked)


async def becomes(client: httpx.AsyncClient, ready: bool) -> str | None:
    """Wait until it is ready or not; return the reason that it gives."""
    async with asyncio.timeout(PATIENCE_S):
        while (answer := await client.get("/ready")).is_success is not ready:
            await asyncio.sleep(0.05)
    reason: str | None = answer.json()["reason"]
    return reason


async def test_on_a_full_disk_each_answer_has_its_cause_and_no_accepted_job_is_forgotten(
    books: Books, tmp_path: Path
) -> None:
    recipe = to_document(load_recipe(books.write()))
    wide = {**recipe, "description": "x" * 60_000}
    async with receiving() as receiver:
        with small_disk(tmp_path / "disk", DISK_BYTES) as disk:
            staging = disk.folder / "staging"
            with coordinator_process(staging, "--max-jobs", "2") as process:
                async with httpx.AsyncClient(base_url=process.url, timeout=60) as client:
                    await becomes(client, ready=True)
                    elsewhere = str(tmp_path / "long")
                    await submitted(
                        client, "long", slow(recipe), receiver.url, output_path=elsewhere
                    )
                    await until(client, "long", "running")
                    disk.fill()

                    full = await becomes(client, ready=False)
                    refused = await submitted(client, "wide", wide, receiver.url)
                    unknown = await client.get("/api/jobs/wide")
                    small = await submitted(client, "small", recipe, receiver.url)
                    failed = await until(client, "small", "failed")
                process.kill()
            with coordinator_process(staging, "--max-jobs", "2") as process:
                async with httpx.AsyncClient(base_url=process.url, timeout=60) as client:
                    still = await becomes(client, ready=False)
                    known = (await client.get("/api/jobs")).json()["jobs"]
                    disk.free()
                    await becomes(client, ready=True)
                    await until(client, "long", "running")
                    await client.post("/api/jobs/long/cancel")
                    await until(client, "long", "cancelled")
                    again = await submitted(client, "wide", wide, receiver.url)
                    done = await until(client, "wide", "succeeded")
                    async with asyncio.timeout(PATIENCE_S):
                        while len(told := _told(receiver.got)) < 3:
                            await asyncio.sleep(0.02)
                log = process.log.read_text()

    assert full == still == "disk_full: the staging path has no room for 1 MiB"
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "store_unavailable")
    assert "database or disk is full" in refused.json()["error"]["message"]
    assert unknown.status_code == 404
    assert small.status_code == 202
    assert failed["error"]["code"] == "out_of_disk"  # type: ignore[index]
    assert {job["run_id"]: job["status"] for job in known} | {"long": "-"} == {
        "long": "-",
        "small": "failed",
    }
    assert again.status_code == 202, again.text
    assert done["counts"]["matched_count"] == 2  # type: ignore[index]
    assert told == {"small": "out_of_disk", "long": "cancelled", "wide": None}
    assert '"cause": "database or disk is full"' in log
    assert "Traceback" not in log


def _told(got: Any) -> dict[str, str | None]:
    ends = [one.document for one in got if one.kind in ("complete", "error")]
    return {one["run_id"]: one.get("code") for one in ends}


async def test_what_finds_no_room_in_store_and_log_holds_nobody_up_and_is_told_later(
    books: Books, tmp_path: Path
) -> None:
    recipe = to_document(load_recipe(books.write()))
    with (
        small_disk(tmp_path / "disk", DISK_BYTES) as disk,
        coordinator_process(disk.folder / "staging", "--max-jobs", "1") as process,
    ):
        async with httpx.AsyncClient(base_url=process.url, timeout=60) as client:

            async def asked(run_id: str) -> int:
                wanted = {"run_id": run_id, "recipe": slow(recipe)}
                wanted["output_path"] = str(tmp_path / run_id)
                return (await client.post("/api/jobs", json=wanted)).status_code

            await asked("a")
            await until(client, "a", "running")
            disk.fill()
            answers = {name: await asked(name) for name in (f"b{number}" for number in range(40))}
            state = await client.get("/api/jobs/a")
            disk.free()
            await becomes(client, ready=True)
            listed = (await client.get("/api/jobs", params={"limit": 100})).json()["jobs"]
            accepted = await client.post("/api/jobs/a/cancel")
            await until(client, "a", "cancelled")
        log = process.log.read_text()

    assert set(answers.values()) <= {202, 503}
    assert answers["b39"] == 503
    assert state.json()["status"] == "running"
    kept = {name for name, code in answers.items() if code == 202} | {"a"}
    assert {job["run_id"] for job in listed} == kept
    assert accepted.status_code == 202
    assert '"log_lines_lost"' in log
