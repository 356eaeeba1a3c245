"""A quota, or a limit on the size of files, reached wherever a cluster job writes."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from benchmarks.generate.dataset import Dataset
from tests.chaos.cluster import SUCCEEDED, ends_as, is_as_before, recipe_of
from tests.support.ceilings import ceiling
from tests.support.places import COLLECTING, FETCHING, JOINING, SCANNING
from tests.support.real_cluster import until
from tests.support.wired_cluster import WiredCluster, wired_cluster

SMALL_BYTES = 16 << 10
"""Less than any spool, and more than what a service has logged by then."""
PATIENCE_S = 60
SAMPLE = JOINING


def _every(*places: str) -> list[object]:
    return [pytest.param(one, marks=() if one == SAMPLE else pytest.mark.full) for one in places]


@pytest.mark.full
@pytest.mark.parametrize("place", [SCANNING, FETCHING])
def test_an_executor_that_may_write_no_larger_file_costs_a_job_nothing_but_time(
    dataset: Dataset, tmp_path: Path, place: str
) -> None:
    with wired_cluster(tmp_path) as cluster:
        victim = cluster.workers[0]
        victim.stops.arm(place)
        run_id = cluster.submit(recipe_of(dataset), tmp_path / "out")
        with ExitStack() as limited:
            with victim.stops.held(place):
                limited.enter_context(ceiling(victim.pid, SMALL_BYTES))
            ends_as(cluster, run_id, tmp_path / "out", dataset, (SUCCEEDED,))
            ran_out = _ran_out(cluster)
        is_as_before(cluster, dataset, tmp_path / "next")

    assert ran_out


@pytest.mark.full
@pytest.mark.parametrize("place", [SCANNING, JOINING])
def test_a_job_whose_executors_may_all_write_no_larger_file_fails_with_that_reason(
    dataset: Dataset, tmp_path: Path, place: str
) -> None:
    with wired_cluster(tmp_path) as cluster:
        one, other = cluster.workers
        one.stops.arm(place)
        run_id = cluster.submit(recipe_of(dataset), tmp_path / "out")
        with ExitStack() as limited:
            with one.stops.held(place):
                limited.enter_context(ceiling(one.pid, SMALL_BYTES))
                limited.enter_context(ceiling(other.pid, SMALL_BYTES))
            job = ends_as(cluster, run_id, tmp_path / "out", dataset, ("out_of_disk",))
        is_as_before(cluster, dataset, tmp_path / "next")

    assert "file too large" in job["error"]["message"].lower()


@pytest.mark.parametrize("place", _every(SCANNING, JOINING, COLLECTING))
def test_a_coordinator_that_may_write_no_larger_file_says_so_and_goes_on_once_it_may(
    dataset: Dataset, tmp_path: Path, place: str
) -> None:
    with wired_cluster(tmp_path) as cluster:
        stops = cluster.stops_at(place)
        stops.arm(place)
        run_id = cluster.submit(recipe_of(dataset), tmp_path / "out")
        with ExitStack() as limited:
            with stops.held(place):
                limited.enter_context(ceiling(cluster.coordinator.process.pid, 0))
            assert until(lambda: _reason(cluster) is not None, PATIENCE_S)
            reason = _reason(cluster)
            refused = cluster.offer(recipe_of(dataset), tmp_path / "refused")
        assert until(lambda: _reason(cluster) is None, PATIENCE_S)
        ends_as(cluster, run_id, tmp_path / "out", dataset, (SUCCEEDED,))
        is_as_before(cluster, dataset, tmp_path / "next")

    assert reason == "disk_full: the staging path has no room for 1 MiB"
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "store_unavailable"


def _reason(cluster: WiredCluster) -> str | None:
    reason: str | None = httpx.get(f"{cluster.url}/ready", timeout=60).json()["reason"]
    return reason


def _ran_out(cluster: WiredCluster) -> bool:
    """Whether the coordinator told of a fragment that found no room."""
    return '"code": "out_of_disk"' in cluster.coordinator.log.read_text()
