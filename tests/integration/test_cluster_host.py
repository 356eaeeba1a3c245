"""Runs through the host of cluster runs, on executors in this process with real fragments."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from kalla_coordinator.cluster.dispatch import Dispatcher
from kalla_coordinator.cluster.holder_process import HOLDER, MERGING
from kalla_coordinator.cluster.host import ClusterHost, HostSettings
from kalla_core.engine.processes.spawned import ChildProcess, spawn
from kalla_core.engine.progress import Stage
from kalla_core.errors import (
    Cancelled,
    Crashed,
    DeadlineExceeded,
    InvalidSql,
    KallaError,
    NoExecutors,
    OutOfMemory,
    SourceUnavailable,
)
from kalla_core.evidence.reader import read_evidence
from kalla_core.fragments.remote import JoinWork, Launch, ScanWork, SettleWork
from tests.support.cluster_runs import STARTED, Told, has_the_rows_of, host_of, order, run_on
from tests.support.small_executor import SmallExecutor, small_cluster
from tests.support.tables import Reconciliation

BY_KEY = "SELECT l.id, r.id AS other FROM l JOIN r ON l.k = r.k AND l.v <= r.v"
NEAR = "SELECT l.id, r.id AS other FROM l JOIN r ON l.v BETWEEN r.v - 1 AND r.v"
MINUTE = timedelta(minutes=1)
SINGLE = "SELECT l.id, r.id AS other FROM l JOIN r ON l.k = r.k ORDER BY l.id, r.id LIMIT 40"


def given(folder: Path, sql: str = BY_KEY, **options: object) -> Reconciliation:
    books = Reconciliation(folder, sql)
    for name, rows in (("left", 400), ("right", 300)):
        numbers = list(range(rows))
        books.put(
            name,
            pa.table(
                {
                    "id": numbers,
                    "k": [n * 7 % 251 for n in numbers],
                    "v": [n * 13 % 97 for n in numbers],
                }
            ),
        )
    made = replace(books.options, **{"buckets": 5, "partitions": 3, **options})
    return replace(books, options=made)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[tuple[Dispatcher, list[SmallExecutor]]]:
    async with small_cluster(tmp_path / "spools") as (dispatcher, executors):
        yield dispatcher, executors


Cluster = tuple[Dispatcher, list[SmallExecutor]]


@pytest.mark.parametrize("sql", [BY_KEY, NEAR, SINGLE], ids=["copartition", "broadcast", "single"])
async def test_two_executors_bring_out_what_one_machine_does(
    tmp_path: Path, cluster: Cluster, sql: str
) -> None:
    dispatcher, executors = cluster
    books = given(tmp_path, sql)
    told = Told()

    metadata = await run_on(dispatcher, books.recipe(), tmp_path / "out", told)

    local = books.run()
    assert has_the_rows_of(tmp_path / "out", local)
    assert metadata.engine == "cluster"
    assert told.strategies == [local.outcome.strategy]
    assert {worker.executor_id for worker in told.workers} == {"executor-0", "executor-1"}
    assert all(worker.fragments_done > 0 and worker.rows > 0 for worker in told.workers)
    assert all(worker.fragments_running == 0 for worker in told.workers)
    assert metadata.warnings == local.outcome.warnings
    assert all(not executor.folder.held() for executor in executors)


async def test_work_is_spread_over_executors_and_told_stage_by_stage(
    tmp_path: Path, cluster: Cluster
) -> None:
    dispatcher, executors = cluster
    told = Told()

    await run_on(dispatcher, given(tmp_path).recipe(), tmp_path / "out", told)

    joins = [sum(isinstance(x.work, JoinWork) for x in one.launched) for one in executors]
    assert sum(joins) == 5
    assert min(joins) >= 2
    last = {(report.stage, report.source): report for report in told.progress}
    assert [last[Stage.STAGING, name].rows_done for name in ("l", "r")] == [400, 300]
    assert last[Stage.MATCHING, None].rows_done == 700
    assert last[Stage.MATCHING, None].fragments_done == 5
    assert last[Stage.WRITING_RESULTS, None].fragments_done == 1


async def test_an_executor_that_dies_costs_its_own_work_and_no_row(
    tmp_path: Path, cluster: Cluster
) -> None:
    dispatcher, (first, second) = cluster
    books = given(tmp_path)

    def die_at_the_first_join(launch: Launch) -> KallaError | None:
        if isinstance(launch.work, JoinWork):
            asyncio.get_running_loop().call_soon(first.kill)
        return None

    first.sabotage = die_at_the_first_join
    await run_on(dispatcher, books.recipe(), tmp_path / "out")

    assert has_the_rows_of(tmp_path / "out", books.run())
    scans = Counter(x.id.fragment for x in second.launched if isinstance(x.work, ScanWork))
    kept = {x.id.fragment for x in second.launched if x.id.attempt == 1 and x.id.stage == "scan"}
    assert all(scans[number] == 1 for number in kept)


async def test_a_blip_redoes_nothing(tmp_path: Path, cluster: Cluster) -> None:
    dispatcher, (first, second) = cluster
    blips = 0

    def blip(launch: Launch) -> KallaError | None:
        nonlocal blips
        if isinstance(launch.work, JoinWork):
            blips += 1
            first.disconnect()
            asyncio.get_running_loop().call_later(0.05, first.connect)
        return None

    first.sabotage = blip
    await run_on(dispatcher, given(tmp_path).recipe(), tmp_path / "out")

    assert blips
    assert all(launch.id.attempt == 1 for one in (first, second) for launch in one.launched)


@pytest.mark.parametrize(
    "trouble",
    [Crashed("it crashed"), SourceUnavailable("not now"), OutOfMemory("too much at once")],
    ids=lambda error: error.code,
)
async def test_what_may_pass_is_tried_again(
    tmp_path: Path, cluster: Cluster, trouble: KallaError
) -> None:
    dispatcher, executors = cluster
    books = given(tmp_path)

    def fail_once(launch: Launch) -> KallaError | None:
        wanted = isinstance(launch.work, JoinWork) and launch.id.fragment == 0
        return trouble if wanted and launch.id.attempt == 1 else None

    for executor in executors:
        executor.sabotage = fail_once
    await run_on(dispatcher, books.recipe(), tmp_path / "out")

    assert has_the_rows_of(tmp_path / "out", books.run())


async def test_a_join_that_is_too_large_comes_again_in_more_buckets(
    tmp_path: Path, cluster: Cluster
) -> None:
    dispatcher, executors = cluster
    books = given(tmp_path)

    def too_large(launch: Launch) -> KallaError | None:
        join = isinstance(launch.work, JoinWork)
        return OutOfMemory("too much") if join and launch.job.buckets < 20 else None

    for executor in executors:
        executor.sabotage = too_large
    await run_on(dispatcher, books.recipe(), tmp_path / "out")

    assert has_the_rows_of(tmp_path / "out", books.run())
    assert max(launch.job.buckets for one in executors for launch in one.launched) == 20


async def test_a_run_that_fails_says_its_first_cause_and_leaves_nothing(
    tmp_path: Path, cluster: Cluster
) -> None:
    dispatcher, executors = cluster
    for executor in executors:
        executor.sabotage = lambda launch: (
            Crashed(f"try {launch.id.attempt}") if isinstance(launch.work, JoinWork) else None
        )

    with pytest.raises(Crashed, match="try 1"):
        await run_on(dispatcher, given(tmp_path).recipe(), tmp_path / "out")

    assert not (tmp_path / "out").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"left.parquet", "right.parquet", "spools"}
    assert all(not executor.folder.held() for executor in executors)


async def test_what_is_wrong_with_the_data_is_not_tried_again(
    tmp_path: Path, cluster: Cluster
) -> None:
    dispatcher, executors = cluster
    sql = "SELECT l.id, r.id AS other FROM l JOIN r ON l.k = r.k AND 1 / (l.v - l.v) > 0"

    with pytest.raises(InvalidSql, match="zero"):
        await run_on(dispatcher, given(tmp_path, sql).recipe(), tmp_path / "out")

    assert all(launch.id.attempt == 1 for one in executors for launch in one.launched)


async def test_who_cancels_a_run_has_it_stopped_and_its_output_as_it_was(
    tmp_path: Path, cluster: Cluster
) -> None:
    dispatcher, executors = cluster
    joining = asyncio.Event()

    def hang(launch: Launch) -> KallaError | None:
        if isinstance(launch.work, JoinWork):
            joining.set()
        return None

    for executor in executors:
        executor.sabotage = hang
    running = asyncio.create_task(run_on(dispatcher, given(tmp_path).recipe(), tmp_path / "out"))
    async with asyncio.timeout(60):
        await joining.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    assert not (tmp_path / "out").exists()
    assert all(not executor.running for executor in executors)
    assert all(not executor.folder.held() for executor in executors)


async def test_a_run_cancelled_twice_in_a_row_is_forgotten_everywhere_too(
    tmp_path: Path, cluster: Cluster
) -> None:
    dispatcher, executors = cluster
    joining = asyncio.Event()

    def note(launch: Launch) -> KallaError | None:
        if isinstance(launch.work, JoinWork):
            joining.set()
        return None

    for executor in executors:
        executor.sabotage = note
    running = asyncio.create_task(run_on(dispatcher, given(tmp_path).recipe(), tmp_path / "out"))
    async with asyncio.timeout(60):
        await joining.wait()
        running.cancel()
        for _ in range(2):  # it waits for its executors to fall quiet by then
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        occupied = dict(dispatcher.occupied)
        while any(executor.running or executor.folder.held() for executor in executors):
            await asyncio.sleep(0.01)

    assert not occupied


async def test_a_cancel_before_the_commit_wins(tmp_path: Path, cluster: Cluster) -> None:
    dispatcher, _ = cluster

    async def refuse() -> None:
        raise Cancelled("The job was cancelled before its commit.")

    with pytest.raises(Cancelled):
        await host_of(dispatcher).run(
            order(given(tmp_path).recipe(), tmp_path / "out"), Told().watch(refuse)
        )

    assert not (tmp_path / "out").exists()


async def test_a_run_past_its_deadline_says_so(tmp_path: Path, cluster: Cluster) -> None:
    dispatcher, _ = cluster
    recipe = given(tmp_path, timeout=timedelta(seconds=1)).recipe()

    with pytest.raises(DeadlineExceeded, match="timeout of 1 second"):
        await host_of(dispatcher).run(
            order(recipe, tmp_path / "out", deadline=STARTED), Told().watch()
        )


async def test_executors_are_told_how_much_time_is_left_and_not_what_time_it_is(
    tmp_path: Path, cluster: Cluster
) -> None:
    dispatcher, executors = cluster
    soon = order(given(tmp_path).recipe(), tmp_path / "out", deadline=datetime.now(UTC) + MINUTE)

    await host_of(dispatcher).run(soon, Told().watch())

    left = [launch.time_left for one in executors for launch in one.launched]
    assert left
    assert all(time is not None and timedelta(0) < time < MINUTE for time in left)


@dataclass
class Stuck:
    """Starts a program that hears nothing and says nothing in the place of one of ours."""

    command: Sequence[str]
    started: threading.Event = field(default_factory=threading.Event)
    processes: list[ChildProcess] = field(default_factory=list)

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> ChildProcess:
        if tuple(command) != tuple(self.command):
            return spawn(command, environment)
        stuck = (sys.executable, "-c", "import threading; threading.Event().wait()")
        self.processes.append(spawn(stuck, environment))
        self.started.set()
        return self.processes[-1]


async def test_planning_that_does_not_end_is_stopped_at_the_deadline(
    tmp_path: Path, cluster: Cluster
) -> None:
    stuck = Stuck(HOLDER)
    host = ClusterHost(cluster[0], HostSettings(MINUTE, start=stuck.start))
    soon = datetime.now(UTC) + timedelta(seconds=1)

    async with asyncio.timeout(30):
        with pytest.raises(DeadlineExceeded):
            await host.run(
                order(given(tmp_path).recipe(), tmp_path / "out", deadline=soon), Told().watch()
            )

    assert [process.has_ended() for process in stuck.processes] == [True]
    assert not (tmp_path / "out").exists()


async def test_waiting_for_executors_ends_at_the_deadline(tmp_path: Path) -> None:
    async with small_cluster(tmp_path / "spools", executors=0) as (dispatcher, _):
        with pytest.raises(DeadlineExceeded):
            await host_of(dispatcher, patience_s=600).run(
                order(given(tmp_path).recipe(), tmp_path / "out", deadline=STARTED), Told().watch()
            )


async def test_a_cancel_stops_the_merging_of_part_files_too(
    tmp_path: Path, cluster: Cluster
) -> None:
    stuck = Stuck(MERGING)
    host = ClusterHost(cluster[0], HostSettings(MINUTE, start=stuck.start))
    recipe = given(tmp_path, single_file=True).recipe()

    async with asyncio.timeout(60):
        running = asyncio.create_task(host.run(order(recipe, tmp_path / "out"), Told().watch()))
        await asyncio.to_thread(stuck.started.wait, 60)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    assert [process.has_ended() for process in stuck.processes] == [True]
    assert not (tmp_path / "out").exists()


async def test_without_executors_a_run_waits_as_long_as_it_is_told_and_says_what_to_do(
    tmp_path: Path,
) -> None:
    async with small_cluster(tmp_path / "spools", executors=0) as (dispatcher, _):
        with pytest.raises(NoExecutors, match="kallad executor"):
            await host_of(dispatcher, patience_s=0.2).run(
                order(given(tmp_path).recipe(), tmp_path / "out"), Told().watch()
            )


async def test_a_run_that_waits_goes_on_as_soon_as_an_executor_comes(tmp_path: Path) -> None:
    async with small_cluster(tmp_path / "spools", executors=0) as (dispatcher, _):
        late = SmallExecutor(tmp_path / "spools", "late", dispatcher)
        running = asyncio.create_task(
            run_on(dispatcher, given(tmp_path).recipe(), tmp_path / "out")
        )
        await asyncio.sleep(0)
        late.connect()

        metadata = await running
        late.kill()

    assert metadata.matched_count > 0


async def test_one_file_per_output_if_the_recipe_asks_for_it(
    tmp_path: Path, cluster: Cluster
) -> None:
    dispatcher, _ = cluster
    books = given(tmp_path, single_file=True)

    await run_on(dispatcher, books.recipe(), tmp_path / "out")

    assert has_the_rows_of(tmp_path / "out", books.run())
    assert all(path.is_file() for path in (tmp_path / "out").iterdir())


async def test_rows_that_are_settled_later_survive_the_loss_of_marks(
    tmp_path: Path, cluster: Cluster
) -> None:
    dispatcher, (first, second) = cluster
    books = given(tmp_path, NEAR)

    def die_at_the_first_settle(launch: Launch) -> KallaError | None:
        if isinstance(launch.work, SettleWork):
            asyncio.get_running_loop().call_soon(first.kill)
        return None

    first.sabotage = die_at_the_first_settle
    await run_on(dispatcher, books.recipe(), tmp_path / "out")

    assert first.dead
    assert has_the_rows_of(tmp_path / "out", books.run())
    assert any(launch.id.stage == "join" and launch.id.attempt == 2 for launch in second.launched)


async def test_sources_without_rows_are_evidence_too(tmp_path: Path, cluster: Cluster) -> None:
    dispatcher, _ = cluster
    books = Reconciliation(tmp_path, BY_KEY)
    for name in ("left", "right"):
        empty = pa.table({"id": [1], "k": [1], "v": [1]}).slice(0, 0)
        books.put(name, empty)

    await run_on(dispatcher, books.recipe(), tmp_path / "out")

    with read_evidence(tmp_path / "out") as evidence:
        assert evidence.metadata.left.records == 0
        assert evidence.rows("matched.parquet") == 0
