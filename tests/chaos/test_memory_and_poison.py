"""Fragments that take too much memory, and such that kill whoever runs them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from benchmarks.generate.dataset import Dataset
from tests.chaos.cluster import ends_as, is_as_before, recipe_of
from tests.support.places import JOINING, SCANNING
from tests.support.real_cluster import until
from tests.support.wired_cluster import Given, wired_cluster

pytestmark = pytest.mark.full

BOUND_S = 240
"""What so many tries take at most on a machine that others use as well."""

MOST_TRIES = {SCANNING: 3, JOINING: 7}
"""A scan is tried as often as fragments are that fail by themselves, a join with less each time."""


@pytest.mark.parametrize("place", [SCANNING, JOINING])
def test_a_fragment_that_takes_too_much_memory_everywhere_fails_after_so_many_tries(
    dataset: Dataset, tmp_path: Path, place: str
) -> None:
    with wired_cluster(tmp_path) as cluster:
        for worker in cluster.workers:
            worker.stops.gorge(place)
        began = time.monotonic()
        run_id = cluster.submit(recipe_of(dataset), tmp_path / "out")
        job = ends_as(cluster, run_id, tmp_path / "out", dataset, ("out_of_memory",))
        took = time.monotonic() - began
        tries = sum(worker.stops.victims(place) for worker in cluster.workers)
        for worker in cluster.workers:
            worker.stops.disarm(place)
        assert all(worker.runs for worker in cluster.workers)
        is_as_before(cluster, dataset, tmp_path / "next")

    print(f"{place}: {tries} tries, {took:.1f} s, {job['error']['message']}")
    assert tries >= 1
    assert took < BOUND_S


@pytest.mark.parametrize("place", [SCANNING, JOINING])
def test_a_fragment_that_kills_each_executor_that_runs_it_does_not_kill_them_for_ever(
    dataset: Dataset, tmp_path: Path, place: str
) -> None:
    with wired_cluster(tmp_path, 4, Given(("--executor-wait=5s",))) as cluster:
        for worker in cluster.workers:
            worker.stops.poison(place)
        began = time.monotonic()
        run_id = cluster.submit(recipe_of(dataset), tmp_path / "out")
        job = ends_as(cluster, run_id, tmp_path / "out", dataset, ("executor_lost", "no_executors"))
        took = time.monotonic() - began
        killed = [not worker.runs for worker in cluster.workers]
        for worker in cluster.workers:
            worker.stops.disarm(place)
        if not all(killed):
            is_as_before(cluster, dataset, tmp_path / "next")

    print(f"{place}: {sum(killed)} killed, {took:.1f} s, {job['error']['message']}")
    assert until(lambda: sum(killed) >= 1, 1)
    assert took < BOUND_S
