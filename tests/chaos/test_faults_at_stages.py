"""Every fault at every stage of a job: the truth or the stated error, and the next job is fine."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from benchmarks.generate.dataset import Dataset
from tests.chaos.cluster import ends_well, is_as_before, reaches, recipe_of
from tests.chaos.faults import FAULTS
from tests.support.wired_cluster import wired_cluster

STAGES = {"as it starts": ("scan", 0), "while it scans": ("scan", 2), "while it joins": ("join", 1)}
SAMPLE = {("killed", "while it joins")}


def _every() -> list[object]:
    return [
        pytest.param(fault, stage, marks=() if (fault, stage) in SAMPLE else pytest.mark.full)
        for fault, stage in product(FAULTS, STAGES)
    ]


@pytest.mark.parametrize(("fault", "stage"), _every())
def test_a_job_whose_executor_is(dataset: Dataset, tmp_path: Path, fault: str, stage: str) -> None:
    with wired_cluster(tmp_path) as cluster:
        worker = cluster.workers[0]
        run_id = cluster.submit(recipe_of(dataset), tmp_path / "out")
        reaches(cluster, run_id, *STAGES[stage])
        FAULTS[fault].happens(cluster, worker, run_id)
        ends_well(cluster, run_id, tmp_path / "out", dataset, FAULTS[fault].errors)
        FAULTS[fault].mended(worker)
        is_as_before(cluster, dataset, tmp_path / "next")
