"""Faults by chance for as long as one likes: `make soak SECONDS=600`, `SEED=...` to repeat one."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from benchmarks.generate.dataset import Dataset
from tests.chaos.cluster import ends_as, is_as_before, recipe_of
from tests.chaos.faults import FAULTS
from tests.chaos.stages import STAGES, Scene, armed, held_at
from tests.support.wired_cluster import wired_cluster

SECONDS = float(os.environ.get("SOAK_SECONDS") or 60)
SEED = int(os.environ.get("SOAK_SEED") or time.time())


@pytest.mark.full
def test_jobs_go_on_whatever_happens(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chance, until, number = random.Random(SEED), time.monotonic() + SECONDS, 0
    with capsys.disabled():
        print(f"\nsoak of {SECONDS:g} s, SEED={SEED}")
    while time.monotonic() < until:
        number += 1
        folder = tmp_path / f"cluster-{number}"
        folder.mkdir()
        with wired_cluster(folder, executors=3) as cluster:
            lonely, *workers = chance.sample(cluster.workers, 3)  # one is left alone
            for job in range(3):
                output = folder / f"out-{job}"
                name = chance.choice(list(FAULTS))
                fault, victim = FAULTS[name], chance.choice(workers)
                stage = chance.choice(fault.stages)
                if not victim.runs:
                    continue
                with capsys.disabled():
                    print(f"  {number}.{job}: {name}, {stage}")
                stops = armed(STAGES[stage], victim, lonely)
                scene = Scene(cluster, victim, cluster.submit(recipe_of(dataset), output))
                with held_at(stops, STAGES[stage]):
                    fault.happens(scene)
                ends_as(cluster, scene.run_id, output, dataset, fault.ends)
                assert fault.struck(scene)
                fault.mended(scene)
            is_as_before(cluster, dataset, folder / "next")
