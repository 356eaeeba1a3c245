"""Every fault at every stage of a job: the truth or the stated error, and the next job is fine."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.generate.dataset import Dataset
from tests.chaos.cluster import ends_as, is_as_before, recipe_of
from tests.chaos.faults import FAULTS
from tests.chaos.stages import JOINS, STAGES, Scene, armed, held_at
from tests.support.wired_cluster import wired_cluster

SAMPLE = {("killed", JOINS)}


def _every() -> list[object]:
    return [
        pytest.param(name, stage, marks=() if (name, stage) in SAMPLE else pytest.mark.full)
        for name, fault in FAULTS.items()
        for stage in fault.stages
    ]


@pytest.mark.parametrize(("name", "stage"), _every())
def test_a_job_whose_executor_is(dataset: Dataset, tmp_path: Path, name: str, stage: str) -> None:
    fault, output = FAULTS[name], tmp_path / "out"
    with wired_cluster(tmp_path) as cluster:
        victim, other = cluster.workers
        stops = armed(STAGES[stage], victim, other)
        scene = Scene(cluster, victim, cluster.submit(recipe_of(dataset), output))
        with held_at(stops, STAGES[stage]):
            fault.happens(scene)
        ends_as(cluster, scene.run_id, output, dataset, fault.ends)
        assert fault.struck(scene)
        fault.mended(scene)
        is_as_before(cluster, dataset, tmp_path / "next")
