"""Executors that die while they work on a run."""

from __future__ import annotations

import os
import random
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.check import check
from benchmarks.generate import generate
from benchmarks.generate.dataset import Dataset
from kalla_core.recipe.parse import load_recipe
from tests.support.real_cluster import Cluster, real_cluster, until

SIZE = 20_000
EVERY_ROW_WITH_EVERY_OTHER = """
    SELECT l.invoice_id, r.payment_id FROM left_src l JOIN right_src r
    ON l.amount + r.paid_amount < 0
"""
"""Takes longer than it takes to see that it has begun, however slow the machine is."""
OPTIONS: dict[str, Any] = {"partitions": 4, "buckets": 8}


def given(folder: Path) -> Dataset:
    return generate("one_to_one", SIZE, 7, folder / "data", "csv")


def submitted(cluster: Cluster, dataset: Dataset, output: Path, sql: str | None = None) -> str:
    recipe = load_recipe(dataset.recipe_path)
    recipe = replace(recipe, match_sql=sql or recipe.match_sql)
    return cluster.submit(replace(recipe, options=replace(recipe.options, **OPTIONS)), output)


def after(cluster: Cluster, run_id: str, stage: str, number: int) -> None:
    """Wait until so many fragments of a stage have ended, or the run is over."""

    def there() -> bool:
        ended = cluster.service.events("fragment_ended")
        seen = sum(e["attempt"].startswith(f"{run_id}/1/{stage}/") for e in ended)
        over = cluster.job(run_id)["status"] in ("succeeded", "failed")
        return seen >= number or over

    assert until(there, 120)


@pytest.mark.parametrize(
    ("stage", "number"),
    [
        ("join", 1),
        pytest.param("scan", 2, marks=pytest.mark.full),
        pytest.param("join", 4, marks=pytest.mark.full),
    ],
)
def test_an_executor_that_is_killed_costs_no_row(tmp_path: Path, stage: str, number: int) -> None:
    dataset = given(tmp_path)
    with real_cluster(tmp_path) as cluster:
        run_id = submitted(cluster, dataset, tmp_path / "out")

        after(cluster, run_id, stage, number)
        os.kill(cluster.pids()[0], signal.SIGKILL)
        job = cluster.ended(run_id)

        assert job["status"] == "succeeded", job["error"]
    report = check(tmp_path / "out", dataset.truth)
    assert report.ok, str(report)


def test_with_all_executors_gone_a_run_fails_with_that_reason_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    dataset = given(tmp_path)
    with real_cluster(tmp_path, flags=("--executor-wait=2s", "--restarts=0")) as cluster:
        run_id = submitted(cluster, dataset, tmp_path / "out", EVERY_ROW_WITH_EVERY_OTHER)

        after(cluster, run_id, "scan", 1)
        for pid in cluster.pids():
            os.kill(pid, signal.SIGKILL)
        job = cluster.ended(run_id)

    assert job["error"]["code"] == "no_executors"
    assert not (tmp_path / "out").exists()


@pytest.mark.full
@pytest.mark.parametrize("seed", range(10))
def test_executors_that_are_killed_at_any_moment_cost_no_row_or_the_reason_is_told(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    dataset = given(tmp_path)
    with real_cluster(tmp_path, executors=3) as cluster:
        run_id = submitted(cluster, dataset, tmp_path / "out")

        for _ in range(2):
            after(cluster, run_id, chance.choice(["prove", "scan", "join"]), chance.randint(1, 8))
            os.kill(chance.choice(cluster.pids()), signal.SIGKILL)
        job = cluster.ended(run_id)

    if job["status"] == "succeeded":
        report = check(tmp_path / "out", dataset.truth)
        assert report.ok, str(report)
    else:
        assert job["error"]["code"] in ("executor_lost", "fetch_failed", "no_executors")
        assert not (tmp_path / "out").exists()
