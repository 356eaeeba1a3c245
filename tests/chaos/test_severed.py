"""Executors that are there, and do not reach each other."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from benchmarks.generate.dataset import Dataset
from tests.chaos.cluster import ends_as, is_as_before, recipe_of
from tests.support.wired_cluster import WiredCluster, wired_cluster

SILENCE_S = 30
CALM_S = 60
"""What a run takes at most on a machine that others use as well."""


CUTS: Mapping[str, Callable[[WiredCluster], object]] = {
    "from each other": lambda cluster: [worker.inward.cut() for worker in cluster.workers],
    "on the way there": lambda cluster: cluster.workers[0].inward.cut(back=False),
    "on the way back": lambda cluster: cluster.workers[0].inward.cut(there=False),
}
"""One way each but the first: the other one is reached, and does not reach."""


@pytest.mark.full  # half a minute of silence each; `test_dispatch_in_time` does the same at once
@pytest.mark.parametrize("how", [*CUTS])
def test_two_executors_that_are_cut_for_good_cost_one_silence(
    dataset: Dataset, tmp_path: Path, how: str
) -> None:
    with wired_cluster(tmp_path) as cluster:
        CUTS[how](cluster)
        began = time.monotonic()
        run_id = cluster.submit(recipe_of(dataset), tmp_path / "out")
        job = ends_as(cluster, run_id, tmp_path / "out", dataset)
        took = time.monotonic() - began
        again = time.monotonic()
        is_as_before(cluster, dataset, tmp_path / "next")
        took_again = time.monotonic() - again

    assert job["status"] == "succeeded", job["error"]
    assert any(worker.inward.held_up.is_set() for worker in cluster.workers)
    assert cluster.told("executors_apart")
    assert SILENCE_S <= took < SILENCE_S + CALM_S
    assert took_again < SILENCE_S
