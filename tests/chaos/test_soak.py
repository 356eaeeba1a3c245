"""Faults by chance for as long as one likes: `make soak SECONDS=600`, `SEED=...` to repeat one."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from benchmarks.generate.dataset import Dataset
from tests.chaos.cluster import ends_well, is_as_before, reaches, recipe_of
from tests.chaos.faults import FAULTS
from tests.chaos.test_faults_at_stages import STAGES
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
            workers = chance.sample(cluster.workers, 2)  # one is left alone
            for job in range(3):
                output = folder / f"out-{job}"
                fault, stage = chance.choice(list(FAULTS)), chance.choice(list(STAGES))
                worker = chance.choice(workers)
                if worker.service.process.poll() is not None:
                    continue
                with capsys.disabled():
                    print(f"  {number}.{job}: {fault}, {stage}")
                run_id = cluster.submit(recipe_of(dataset), output)
                reaches(cluster, run_id, *STAGES[stage])
                FAULTS[fault].happens(cluster, worker, run_id)
                ends_well(cluster, run_id, output, dataset, FAULTS[fault].errors)
                FAULTS[fault].mended(worker)
            is_as_before(cluster, dataset, folder / "next")
