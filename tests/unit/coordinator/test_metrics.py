"""What the coordinator counts."""

from __future__ import annotations

from datetime import UTC, datetime

from kalla_coordinator.cluster.attempts import StageName
from kalla_coordinator.jobs.model import ExecutorInfo
from kalla_coordinator.observe.metrics import CoordinatorMetrics
from kalla_core.engine.progress import Progress, Stage
from kalla_core.errors import FetchFailed
from kalla_core.fragments.outcome import (
    BucketSize,
    BucketSizes,
    JoinDone,
    ScanDone,
    SettleDone,
    failed,
)
from kalla_core.matching.sql.query import Side
from tests.support.metrics import Scrape, scraped

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def shown(metrics: CoordinatorMetrics) -> Scrape:
    return scraped(metrics.render().decode())


def executor(name: str, state: str, busy: int) -> ExecutorInfo:
    return ExecutorInfo(name, "h:1", "1", state, 4, busy, NOW, NOW, 0, 0)


def test_what_was_scanned_is_counted_once_however_often_it_is_reported() -> None:
    metrics = CoordinatorMetrics()
    reports = [
        Progress(Stage.STAGING, "left", rows_done=rows, bytes_done=10 * rows, fragments_done=done)
        for rows, done in ((0, 0), (5, 0), (5, 0), (9, 1))
    ]

    for before, now in zip([None, *reports], reports, strict=False):
        metrics.count_progress(before, now)
    metrics.count_progress(None, Progress(Stage.MATCHING, rows_done=9, fragments_done=2))

    value = shown(metrics)
    assert value["kalla_scanned_rows_total"] == 9
    assert value["kalla_scanned_bytes_total"] == 90
    assert value["kalla_fragments_total{outcome=done,stage=scan}"] == 1
    assert value["kalla_fragments_total{outcome=done,stage=join}"] == 2


def test_what_a_run_here_spooled_and_spilled_is_counted() -> None:
    metrics = CoordinatorMetrics()

    scanned = Progress(Stage.STAGING, "left", rows_done=9)
    spooled = Progress(Stage.STAGING, "left", rows_done=9, spooled_rows=9, spooled_bytes=70)
    metrics.count_progress(scanned, spooled)
    metrics.count_progress(None, Progress(Stage.WRITING_RESULTS, spilled_bytes=5))

    value = shown(metrics)
    assert value["kalla_spooled_rows_total"] == 9
    assert value["kalla_spooled_bytes_total"] == 70
    assert value["kalla_spilled_bytes_total"] == 5


def test_fragments_on_executors_are_counted_by_how_they_ended() -> None:
    metrics = CoordinatorMetrics()
    rows = {Side.LEFT: 3, Side.RIGHT: 4}

    metrics.fragment_ended(
        "scan", ScanDone(7, None, 0, BucketSizes.of([BucketSize(0, 7, 700, 70)]), 80)
    )
    metrics.fragment_ended("join", JoinDone((), rows, rows, rows, {}, 60, 50, 40))
    metrics.fragment_ended("settle", SettleDone((), rows, rows, 6, 5))
    metrics.fragment_ended("join", failed(FetchFailed("It is gone.")))
    metrics.fragment_lost("join")

    value = shown(metrics)
    ended = {key: n for key, n in value.items() if key.startswith("kalla_fragments_total")}
    assert ended == {
        "kalla_fragments_total{outcome=done,stage=scan}": 1,
        "kalla_fragments_total{outcome=done,stage=join}": 1,
        "kalla_fragments_total{outcome=done,stage=settle}": 1,
        "kalla_fragments_total{outcome=fetch_failed,stage=join}": 1,
        "kalla_fragments_total{outcome=lost,stage=join}": 1,
    }
    assert (value["kalla_scanned_rows_total"], value["kalla_scanned_bytes_total"]) == (7, 700)
    assert (value["kalla_spooled_rows_total"], value["kalla_spooled_bytes_total"]) == (7, 120)
    assert (value["kalla_fetched_bytes_total"], value["kalla_spilled_bytes_total"]) == (66, 55)


def test_executors_are_shown_as_they_are_when_somebody_looks() -> None:
    metrics = CoordinatorMetrics()
    there: list[ExecutorInfo] = []
    metrics.show_executors(lambda: there)

    before = shown(metrics)
    there += [
        executor("a", "registered", 3),
        executor("b", "registered", 0),
        executor("c", "suspect", 1),
    ]
    after = shown(metrics)

    assert before["kalla_executors{state=registered}"] == 0
    assert before["kalla_slots"] == 0
    assert after["kalla_executors{state=registered}"] == 2
    assert after["kalla_executors{state=suspect}"] == 1
    assert after["kalla_executors{state=draining}"] == 0
    assert (after["kalla_slots"], after["kalla_slots_busy"]) == (12, 4)


def test_what_waits_for_slots_is_shown_as_it_is_when_somebody_looks() -> None:
    metrics = CoordinatorMetrics()
    waiting: dict[StageName, int] = {}
    metrics.show_work(lambda: waiting, lambda: 3)

    before = shown(metrics)
    waiting[StageName.JOIN] = 7
    after = shown(metrics)

    stages = [f"kalla_fragments_pending{{stage={stage.value}}}" for stage in StageName]
    assert [before[stage] for stage in stages] == [0] * len(stages)
    assert {stage: after[stage] for stage in stages if after[stage]} == {
        "kalla_fragments_pending{stage=join}": 7
    }
    assert (before["kalla_slots_wanted"], after["kalla_slots_wanted"]) == (3, 10)
