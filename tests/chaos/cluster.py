"""Runs on a cluster that faults happen to, and what has to be so afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.check import check
from benchmarks.generate.dataset import Dataset
from kalla_core.evidence.lock import LOCK
from kalla_core.recipe.model import Recipe
from kalla_core.recipe.parse import load_recipe
from tests.support.real_cluster import until
from tests.support.wired_cluster import WiredCluster

PATIENCE_S = 60
SUCCEEDED = "succeeded"


def recipe_of(dataset: Dataset, **options: Any) -> Recipe:
    """Return the recipe, spread over enough fragments for all executors."""
    recipe = load_recipe(dataset.recipe_path)
    return replace(recipe, options=replace(recipe.options, partitions=4, buckets=8, **options))


def ends_as(
    cluster: WiredCluster,
    run_id: str,
    output: Path,
    dataset: Dataset,
    ends: Sequence[str] = (SUCCEEDED,),
) -> dict[str, Any]:
    """Wait for the end of a job: the truth, or one of these errors and no trace of evidence."""
    job = cluster.ended(run_id)
    if job["status"] == SUCCEEDED:
        assert SUCCEEDED in ends, "it succeeded"
        is_true(output, dataset)
    else:
        assert job["error"]["code"] in ends, job["error"]
        assert not output.exists()
    return job


def is_true(output: Path, dataset: Dataset) -> None:
    """The evidence is the truth."""
    report = check(output, dataset.truth)
    assert report.ok, str(report)


def is_as_before(cluster: WiredCluster, dataset: Dataset, output: Path) -> None:
    """The next job is fine, and afterwards nothing is left of any."""
    run_id = cluster.submit(recipe_of(dataset), output)
    job = ends_as(cluster, run_id, output, dataset)
    assert job["attempt"] == 1, job
    assert until(lambda: not left_over(cluster), PATIENCE_S), left_over(cluster)
    beside = {path.name for path in output.parent.iterdir() if path.name.startswith(".")}
    assert not beside


def left_over(cluster: WiredCluster) -> list[str]:
    """Return the files in the spools of the executors that are there, and busy slots."""
    found = [
        str(path)
        for worker in cluster.workers
        if worker.runs and worker.spool.exists()
        for path in worker.spool.rglob("*")
        if path.is_file() and path.name != LOCK
    ]
    return found + [f"{one['executor_id']} is busy" for one in cluster.executors() if _busy(one)]


def _busy(executor: dict[str, Any]) -> bool:
    return bool(executor.get("slots_busy"))
