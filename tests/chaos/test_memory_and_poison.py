"""Fragments that take too much memory, and such that kill whoever runs them."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.generate.dataset import Dataset
from kalla_core.recipe.parse import load_recipe
from tests.chaos.cluster import ends_as, is_as_before, recipe_of
from tests.support.places import JOINING, SCANNING
from tests.support.wired_cluster import wired_cluster

pytestmark = pytest.mark.full

MOST_DEATHS = 4
BOUND_S = 240
"""What so many tries take at most on a machine that others use as well."""

MOST_TRIES = {SCANNING: 4, JOINING: 7}
"""For each of the two that are under way at a time: a scan as often as fragments that fail by
themselves, a join with less each time."""


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
    assert 1 <= tries <= 2 * MOST_TRIES[place]
    assert took < BOUND_S


def test_a_fragment_that_kills_each_executor_that_runs_it_is_given_to_four(
    dataset: Dataset, tmp_path: Path
) -> None:
    recipe = load_recipe(dataset.recipe_path)
    recipe = replace(recipe, options=replace(recipe.options, partitions=1, buckets=1))
    with wired_cluster(tmp_path, executors=MOST_DEATHS + 1) as cluster:
        for worker in cluster.workers:
            worker.stops.poison(JOINING)
        began = time.monotonic()
        run_id = cluster.submit(recipe, tmp_path / "out")
        job = ends_as(cluster, run_id, tmp_path / "out", dataset, ("executor_lost",))
        took = time.monotonic() - began
        killed = [worker for worker in cluster.workers if not worker.runs]
        for worker in cluster.workers:
            worker.stops.disarm(JOINING)
        is_as_before(cluster, dataset, tmp_path / "next")

    print(f"{len(killed)} killed, {took:.1f} s, {job['error']['message']}")
    assert len(killed) == MOST_DEATHS
    assert took < BOUND_S
