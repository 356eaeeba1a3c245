"""What the coordinator counts of runs on executors, with all that can happen to fragments."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from kalla_coordinator.cluster.attempts import StageName
from kalla_coordinator.observe.metrics import CoordinatorMetrics
from kalla_core.errors import Crashed, KallaError, OutOfMemory, SourceUnavailable
from kalla_core.fragments.remote import JoinWork, Launch, ScanWork
from tests.integration.test_cluster_host import given
from tests.support.cluster_runs import run_on
from tests.support.metrics import Scrape, scraped
from tests.support.small_executor import Sabotage, SmallExecutor, small_cluster

ROWS = 700
SCANS = 6


def once(kind: type, error: KallaError) -> Sabotage:
    """Fail the first fragment of a kind."""
    done: list[Launch] = []

    def harm(launch: Launch) -> KallaError | None:
        if isinstance(launch.work, kind) and not done:
            done.append(launch)
            return error
        return None

    return harm


def killing(executors: list[SmallExecutor]) -> Sabotage:
    """Kill the other executor with all that it holds, as the first join begins."""

    def harm(launch: Launch) -> KallaError | None:
        if isinstance(launch.work, JoinWork) and not executors[1].dead:
            executors[1].kill()
        return None

    return harm


async def counted(folder: Path, harm: Sabotage | None) -> Scrape:
    """Run on two executors, harm done on the first, or the second killed; what was counted."""
    metrics = CoordinatorMetrics()
    async with small_cluster(folder / "spools", counts=metrics) as (dispatcher, executors):
        metrics.show_executors(dispatcher.infos)
        if harm is None:
            executors[0].sabotage = killing(executors)
        else:
            executors[0].sabotage = executors[1].sabotage = harm
        await run_on(dispatcher, given(folder).recipe(), folder / "out")
        return scraped(metrics.render().decode())


async def test_a_run_without_trouble_is_counted_row_by_row(tmp_path: Path) -> None:
    value = await counted(tmp_path, lambda _: None)

    assert value["kalla_executors{state=registered}"] == 2
    assert value["kalla_slots"] == 2
    assert value["kalla_fragments_total{outcome=done,stage=scan}"] == SCANS
    assert value["kalla_scanned_rows_total"] == value["kalla_spooled_rows_total"] == ROWS
    assert value["kalla_scanned_bytes_total"] > 0 < value["kalla_spooled_bytes_total"]
    assert not [key for key in value if key.startswith("kalla_fragment_retries_total")]


@pytest.mark.parametrize(
    ("kind", "error", "stage", "cause"),
    [
        (ScanWork, SourceUnavailable("It is busy."), "scan", "transient"),
        (JoinWork, Crashed("It died."), "join", "crashed"),
        (JoinWork, OutOfMemory("It is too large."), "join", "out_of_memory"),
    ],
)
async def test_another_attempt_is_counted_by_its_cause(
    tmp_path: Path, kind: type, error: KallaError, stage: str, cause: str
) -> None:
    value = await counted(tmp_path, once(kind, error))

    assert value[f"kalla_fragments_total{{outcome={cause},stage={stage}}}"] == 1
    assert value[f"kalla_fragment_retries_total{{cause={cause},stage={stage}}}"] >= 1


async def test_what_a_lost_executor_costs_is_counted(tmp_path: Path) -> None:
    value = await counted(tmp_path, None)

    again = sum(
        value[f"kalla_fragment_retries_total{{cause={cause},stage=scan}}"]
        for cause in ("output_lost", "lost")
    )
    done = value["kalla_fragments_total{outcome=done,stage=scan}"]
    assert value["kalla_executors{state=registered}"] == 1
    assert again > 0
    assert done == SCANS + value["kalla_fragment_retries_total{cause=output_lost,stage=scan}"]
    assert value["kalla_scanned_rows_total"] > ROWS


async def test_fragments_wait_where_executors_are_busy_and_none_once_the_run_is_over(
    tmp_path: Path,
) -> None:
    metrics = CoordinatorMetrics()
    waiting: list[float] = []
    wanted: list[float] = []
    async with small_cluster(tmp_path / "spools", counts=metrics) as (dispatcher, executors):
        metrics.show_work(dispatcher.pending, dispatcher.taken)

        def looks(launch: Launch) -> None:
            if isinstance(launch.work, ScanWork):
                waiting.append(_pending(metrics, "scan"))
                wanted.append(_gauge(metrics, "kalla_slots_wanted"))

        executors[0].sabotage = executors[1].sabotage = looks
        await run_on(dispatcher, given(tmp_path).recipe(), tmp_path / "out")
        left = sum(_pending(metrics, stage.value) for stage in StageName)

    assert max(waiting) == SCANS - len(executors)
    assert waiting[-1] == left == 0
    # Those that run and those that wait, but for what ended before an executor looked.
    assert SCANS - len(executors) < max(wanted) <= SCANS
    assert _gauge(metrics, "kalla_slots_wanted") == 0


@pytest.mark.parametrize("comes", [True, False])
async def test_a_run_that_waits_for_the_first_executor_says_that_a_slot_is_wanted(
    tmp_path: Path, comes: bool
) -> None:
    metrics = CoordinatorMetrics()
    async with small_cluster(tmp_path / "spools", executors=0) as (dispatcher, _):
        metrics.show_work(dispatcher.pending, dispatcher.taken)
        waiting = asyncio.create_task(dispatcher.some_executor(timedelta(seconds=30)))
        await asyncio.sleep(0)

        asked = (_pending(metrics, "scan"), _gauge(metrics, "kalla_slots_wanted"))
        if comes:
            executor = SmallExecutor(tmp_path, "first", dispatcher)
            executor.connect()
            assert await waiting
            executor.kill()
        else:
            waiting.cancel()
            await asyncio.wait([waiting])

        assert asked == (1, 1)
        assert _gauge(metrics, "kalla_slots_wanted") == 0


def _pending(metrics: CoordinatorMetrics, stage: str) -> float:
    return _gauge(metrics, f"kalla_fragments_pending{{stage={stage}}}")


def _gauge(metrics: CoordinatorMetrics, name: str) -> float:
    return scraped(metrics.render().decode())[name]
