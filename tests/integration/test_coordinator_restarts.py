"""A coordinator that is killed at any moment loses no job, and tells of none twice.

A stream of jobs is submitted over HTTP while the coordinator is killed and started again. At the
end each job has run to its end, its evidence is the truth, and its caller has been told so: at
least once on the wire, and what was sent twice bears the same name.
"""

from __future__ import annotations

import asyncio
import random
import shutil
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.check import check
from benchmarks.generate import generate
from benchmarks.generate.dataset import Dataset
from kalla_core.evidence.reader import read_evidence
from kalla_core.recipe.parse import load_recipe
from kalla_core.recipe.write import to_document
from tests.support.coordinators import Process, coordinator_process
from tests.support.receiver import Received, Receiver, receiving

ROWS = 2_000
PATIENCE_S = 240
FLAGS = ("--max-jobs", "2", "--queue-limit", "1000")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return generate("one_to_one", ROWS, 7, tmp_path_factory.mktemp("data"), "csv")


@dataclass
class Stream:
    """Jobs that are submitted until they are accepted, whatever becomes of the coordinator."""

    recipe: dict[str, Any]
    callback_url: str
    url: str = ""
    accepted: list[str] = field(default_factory=list)
    wanted: bool = True

    async def flow(self) -> None:
        number = 0
        async with httpx.AsyncClient(timeout=10) as client:
            while self.wanted:
                run_id = f"job-{number:04d}"
                if await self._submit(client, run_id):
                    self.accepted.append(run_id)
                    number += 1
                await asyncio.sleep(0.15)

    async def _submit(self, client: httpx.AsyncClient, run_id: str) -> bool:
        body = {"run_id": run_id, "recipe": self.recipe, "callback_url": self.callback_url}
        try:
            answer = await client.post(f"{self.url}/api/jobs", json=body)
        except httpx.HTTPError:
            return False  # nobody knows: the same again, which is the same job
        assert answer.status_code in (202, 503), answer.text
        return answer.status_code == 202


async def survive(dataset: Dataset, staging: Path, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    recipe = to_document(load_recipe(dataset.recipe_path))
    async with receiving() as receiver:
        stream = Stream(recipe, receiver.url)
        flow: asyncio.Task[None] | None = None
        for _ in range(kills):
            with ExitStack() as stack:
                process = await _started(stack, staging)
                stream.url = process.url
                flow = flow or asyncio.create_task(stream.flow())
                await asyncio.sleep(chance.uniform(0.05, 2.0))
                process.kill()
        assert flow is not None
        with ExitStack() as stack:
            process = await _started(stack, staging)
            stream.url = process.url
            count = len(stream.accepted) + 2
            async with asyncio.timeout(PATIENCE_S):
                while len(stream.accepted) < count:
                    await asyncio.sleep(0.05)
                stream.wanted = False
                await flow
                await _all_told(receiver, set(stream.accepted))
            await _is_settled(process, stream.accepted)

        _assert_told_as_owed(receiver, stream.accepted)
        _assert_true(dataset, staging, stream.accepted)


async def _started(stack: ExitStack, staging: Path) -> Process:
    return await asyncio.to_thread(stack.enter_context, coordinator_process(staging, *FLAGS))


async def _all_told(receiver: Receiver, runs: set[str]) -> None:
    while runs - {got.document["run_id"] for got in receiver.got if got.kind != "progress"}:
        receiver.news.clear()
        await receiver.news.wait()


async def _is_settled(process: Process, accepted: list[str]) -> None:
    async with httpx.AsyncClient(base_url=process.url, timeout=60) as client:
        async with asyncio.timeout(PATIENCE_S):
            while "kalla_callbacks_owed 0.0" not in (await client.get("/metrics")).text:
                await asyncio.sleep(0.05)
        for run_id in accepted:
            job = (await client.get(f"/api/jobs/{run_id}")).json()
            assert job["status"] == "succeeded", job


def _assert_told_as_owed(receiver: Receiver, accepted: list[str]) -> None:
    told: dict[str, list[Received]] = defaultdict(list)
    for got in receiver.got:
        told[got.document["run_id"]].append(got)
    assert set(told) == set(accepted)
    for deliveries in told.values():
        ends = [got for got in deliveries if got.kind != "progress"]
        assert {got.kind for got in ends} == {"complete"}
        # Told once; what came twice is the same delivery with the same body.
        assert len({got.headers["x-kalla-delivery"] for got in ends}) == 1
        assert len({got.body for got in ends}) == 1
        first = deliveries.index(ends[0])
        assert all(got.kind != "progress" for got in deliveries[first:])


def _assert_true(dataset: Dataset, staging: Path, accepted: list[str]) -> None:
    runs = staging / "runs"
    assert {path.name for path in runs.iterdir()} == set(accepted)
    for run_id in accepted:
        with read_evidence(runs / run_id) as evidence:
            assert evidence.metadata.run_id == run_id
        report = check(runs / run_id, dataset.truth)
        assert report.ok, str(report)


async def test_a_coordinator_that_is_killed_loses_nothing(dataset: Dataset, tmp_path: Path) -> None:
    await survive(dataset, tmp_path / "staging", kills=3, seed=1)


@pytest.mark.full
async def test_a_coordinator_that_is_killed_twenty_times_loses_nothing(
    dataset: Dataset, tmp_path: Path
) -> None:
    await survive(dataset, tmp_path / "staging", kills=20, seed=2)
    shutil.rmtree(tmp_path / "staging")
