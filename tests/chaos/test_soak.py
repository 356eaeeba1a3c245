"""Faults by chance for as long as one likes: `make soak SECONDS=600`, `SEED=...` to repeat one."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.generate.dataset import Dataset
from tests.chaos.cluster import SUCCEEDED, ends_as, is_as_before, recipe_of
from tests.chaos.faults import FAULTS
from tests.chaos.stages import STAGES, Scene, armed, held_at
from tests.support.places import (
    COLLECTING,
    COMMITTED,
    COMMITTING,
    FETCHING,
    JOINING,
    OF_EXECUTORS,
    PLANNING,
    SCANNING,
)
from tests.support.wired_cluster import WiredCluster, WiredExecutor, wired_cluster

SECONDS = float(os.environ.get("SOAK_SECONDS") or 60)
SEED = int(os.environ.get("SOAK_SEED") or time.time())
JOBS = 3
COORDINATOR_KILLED = "coordinator killed"
PLACES = (PLANNING, SCANNING, FETCHING, JOINING, COLLECTING, COMMITTING, COMMITTED)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Soak:
    """A cluster that faults happen to by chance; one executor, the lonely, is left alone."""

    cluster: WiredCluster
    dataset: Dataset
    chance: random.Random
    lonely: WiredExecutor
    say: Say

    def job(self, output: Path) -> None:
        """Run a job that something happens to."""
        victims = [one for one in self.cluster.workers if one is not self.lonely and one.runs]
        name = self.chance.choice([*FAULTS, COORDINATOR_KILLED])
        if name == COORDINATOR_KILLED:
            self._killed(output, self.chance.choice(PLACES))
        elif victims:
            self._struck(output, name, self.chance.choice(victims))

    def _killed(self, output: Path, place: str) -> None:
        self.say(f"{COORDINATOR_KILLED}, {place.partition(':')[2]}")
        stops = self.lonely.stops if place in OF_EXECUTORS else self.cluster.stops
        stops.arm(place)
        run_id = self.cluster.submit(recipe_of(self.dataset), output)
        with stops.held(place):
            self.cluster.coordinator.kill()
        self.cluster.start_again()
        ends_as(self.cluster, run_id, output, self.dataset, (SUCCEEDED,))

    def _struck(self, output: Path, name: str, victim: WiredExecutor) -> None:
        fault = FAULTS[name]
        stage = self.chance.choice(fault.stages)
        self.say(f"{name}, {stage}")
        stops = armed(STAGES[stage], victim, self.lonely)
        run_id = self.cluster.submit(recipe_of(self.dataset), output)
        scene = Scene(self.cluster, victim, run_id)
        with held_at(stops, STAGES[stage]):
            fault.happens(scene)
        ends_as(self.cluster, run_id, output, self.dataset, fault.ends)
        assert fault.struck(scene)
        fault.mended(scene)


@pytest.mark.full
def test_jobs_go_on_whatever_happens(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chance, until, number = random.Random(SEED), time.monotonic() + SECONDS, 0

    def say(text: str) -> None:
        with capsys.disabled():
            print(f"  {number}: {text}")

    say(f"soak of {SECONDS:g} s, SEED={SEED}")
    while time.monotonic() < until:
        number += 1
        folder = tmp_path / f"cluster-{number}"
        folder.mkdir()
        with wired_cluster(folder, executors=3) as cluster:
            soak = Soak(cluster, dataset, chance, chance.choice(cluster.workers), say)
            for job in range(JOBS):
                soak.job(folder / f"out-{job}")
            is_as_before(cluster, dataset, folder / "next")
    say(f"{number} clusters")
