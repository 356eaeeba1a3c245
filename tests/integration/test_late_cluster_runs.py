"""Late runs through the host of cluster runs: what is lost is made or read again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from kalla_coordinator.cluster.dispatch import Dispatcher
from kalla_core.errors import KallaError, SourceUnavailable
from kalla_core.evidence.metadata import RunMetadata
from kalla_core.fragments.remote import DeliverWork, JoinWork, Launch, ScanWork
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.model import Recipe
from tests.support.cluster_runs import (
    Told,
    has_the_rows_of,
    host_of,
    order,
    run_on,
    start_to_read_late,
)
from tests.support.small_executor import SmallExecutor, small_cluster
from tests.support.tables import Reconciliation
from tests.support.ways import INNER, rows

Cluster = tuple[Dispatcher, list[SmallExecutor]]
Sabotage = Callable[[Launch], KallaError | None]


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with small_cluster(tmp_path / "spools") as (dispatcher, executors):
        yield dispatcher, executors


def given(folder: Path) -> Reconciliation:
    books = Reconciliation(folder, INNER)
    for side in Side:
        table = rows(side, 0, seed=len(side))
        for name in ("one", "two", "three", "four"):  # that the match SQL does not name
            texts = [f"{name} of {side.word} {n}" for n in range(len(table))]
            table = table.append_column(name, pa.array(texts))
        books.put(side.word, table)
    return replace(books, options=replace(books.options, buckets=6, partitions=4))


async def run_late(dispatcher: Dispatcher, recipe: Recipe, output: Path) -> RunMetadata:
    async with asyncio.timeout(120):
        host = host_of(dispatcher, start=start_to_read_late)
        return await host.run(order(recipe, output), Told().watch())


def dies_at_the_first(executor: SmallExecutor, kind: type) -> Sabotage:
    """Let an executor die as soon as it is given a fragment of a kind."""

    def sabotage(launch: Launch) -> KallaError | None:
        if isinstance(launch.work, kind):
            asyncio.get_running_loop().call_soon(executor.kill)
        return None

    return sabotage


async def test_two_executors_read_late_bring_out_what_one_machine_does(
    tmp_path: Path, cluster: Cluster
) -> None:
    dispatcher, executors = cluster
    books = given(tmp_path)

    metadata = await run_late(dispatcher, books.recipe(), tmp_path / "out")

    launched = [launch for executor in executors for launch in executor.launched]
    assert has_the_rows_of(tmp_path / "out", books.run())
    assert metadata.engine == "cluster"
    assert all(launch.job.late for launch in launched)
    delivered = [one for launch in launched if isinstance(launch.work, DeliverWork)
                 for one in launch.work.parts]  # fmt: skip
    scanned = [launch.work for launch in launched if isinstance(launch.work, ScanWork)]
    assert sorted((one.side, one.part.index) for one in delivered) == sorted(
        (work.table, work.part.index) for work in scanned
    )
    assert all(not executor.folder.held() for executor in executors)


@pytest.mark.parametrize("kind", [ScanWork, JoinWork, DeliverWork])
async def test_an_executor_that_dies_in_a_late_run_costs_its_own_work_and_no_row(
    tmp_path: Path, cluster: Cluster, kind: type
) -> None:
    dispatcher, (first, second) = cluster
    books = given(tmp_path)
    first.sabotage = dies_at_the_first(first, kind)

    await run_late(dispatcher, books.recipe(), tmp_path / "out")

    assert first.dead
    assert has_the_rows_of(tmp_path / "out", books.run())
    again = {launch.id.stage for launch in second.launched if launch.id.attempt > 1}
    assert again == {
        ScanWork: {"scan"}, JoinWork: {"scan", "join"}, DeliverWork: {"scan", "join", "settle"}
    }[kind]  # fmt: skip


async def test_a_deliverer_that_fails_once_is_asked_again(tmp_path: Path, cluster: Cluster) -> None:
    dispatcher, (first, _) = cluster
    books = given(tmp_path)
    failures = [SourceUnavailable("Not now.")]

    def sabotage(launch: Launch) -> KallaError | None:
        return failures.pop() if failures and isinstance(launch.work, DeliverWork) else None

    first.sabotage = sabotage
    await run_late(dispatcher, books.recipe(), tmp_path / "out")

    assert not failures
    assert has_the_rows_of(tmp_path / "out", books.run())


async def test_a_damaged_word_on_rows_is_told_again_by_the_join_that_said_it(
    tmp_path: Path, cluster: Cluster
) -> None:
    dispatcher, executors = cluster
    books = given(tmp_path)
    damaged: list[Path] = []

    def damages(launch: Launch) -> KallaError | None:
        if isinstance(launch.work, DeliverWork) and not damaged:
            for place in launch.work.told:
                for path in tmp_path.rglob(f"{place.attempt.file_stem}.told"):
                    data = bytearray(path.read_bytes())
                    data[: len(data) // 2] = bytes(255 - byte for byte in data[: len(data) // 2])
                    path.write_bytes(data)
                    damaged.append(path)
        return None

    for executor in executors:
        executor.sabotage = damages
    await run_late(dispatcher, books.recipe(), tmp_path / "out")

    assert damaged
    assert has_the_rows_of(tmp_path / "out", books.run())
    launched = [launch.id for executor in executors for launch in executor.launched]
    assert any(id.stage == "join" and id.attempt > 1 for id in launched)


async def test_sources_that_are_small_are_read_once(tmp_path: Path, cluster: Cluster) -> None:
    dispatcher, executors = cluster

    await run_on(dispatcher, given(tmp_path).recipe(), tmp_path / "out")

    assert not any(launch.job.late for executor in executors for launch in executor.launched)
