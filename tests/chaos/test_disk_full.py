"""A disk that is full to the last byte, wherever a cluster job writes, at any stage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.generate.dataset import Dataset
from tests.chaos.cluster import SUCCEEDED, ends_as, is_as_before, recipe_of
from tests.support.disks import Disk, small_disk
from tests.support.places import COLLECTING, FETCHING, JOINING, SCANNING
from tests.support.real_cluster import until
from tests.support.wired_cluster import Given, WiredCluster, wired_cluster

DISK_BYTES = 64 << 20
PATIENCE_S = 60

pytestmark = pytest.mark.full


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "small", DISK_BYTES) as made:
        yield made


@pytest.mark.parametrize("place", [SCANNING, FETCHING])
def test_an_executor_whose_spool_is_full_costs_a_job_nothing_but_time(
    dataset: Dataset, tmp_path: Path, disk: Disk, place: str
) -> None:
    with wired_cluster(tmp_path, given=Given(spools={0: disk.used})) as cluster:
        victim = cluster.workers[0]
        victim.stops.arm(place)
        run_id = cluster.submit(recipe_of(dataset), tmp_path / "out")
        with victim.stops.held(place):
            disk.fill()
        ends_as(cluster, run_id, tmp_path / "out", dataset, (SUCCEEDED,))
        ran_out = _ran_out(cluster)
        disk.free()
        is_as_before(cluster, dataset, tmp_path / "next")

    assert ran_out


def test_a_job_whose_executors_all_have_a_full_spool_fails_with_that_reason(
    dataset: Dataset, tmp_path: Path, disk: Disk
) -> None:
    spools = {place: disk.used / str(place) for place in range(2)}
    with wired_cluster(tmp_path, given=Given(spools=spools)) as cluster:
        victim = cluster.workers[0]
        victim.stops.arm(SCANNING)
        run_id = cluster.submit(recipe_of(dataset), tmp_path / "out")
        with victim.stops.held(SCANNING):
            disk.fill()
        job = ends_as(cluster, run_id, tmp_path / "out", dataset, ("out_of_disk",))
        disk.free()
        is_as_before(cluster, dataset, tmp_path / "next")

    assert "no space left" in job["error"]["message"].lower()


@pytest.mark.parametrize("place", [SCANNING, JOINING, COLLECTING])
def test_a_job_whose_output_is_on_a_full_disk_fails_with_that_reason_and_leaves_nothing(
    dataset: Dataset, tmp_path: Path, disk: Disk, place: str
) -> None:
    output = disk.used / "out"
    with wired_cluster(tmp_path) as cluster:
        stops = cluster.stops_at(place)
        stops.arm(place)
        run_id = cluster.submit(recipe_of(dataset), output)
        with stops.held(place):
            disk.fill()
        ends_as(cluster, run_id, output, dataset, ("out_of_disk",))
        disk.free()
        is_as_before(cluster, dataset, disk.used / "next")


@pytest.mark.parametrize("place", [SCANNING, JOINING, COLLECTING])
def test_a_coordinator_whose_store_is_on_a_full_disk_goes_on_once_there_is_room(
    dataset: Dataset, tmp_path: Path, disk: Disk, place: str
) -> None:
    with wired_cluster(tmp_path, given=Given(staging=disk.used / "staging")) as cluster:
        stops = cluster.stops_at(place)
        stops.arm(place)
        run_id = cluster.submit(recipe_of(dataset), tmp_path / "out")
        with stops.held(place):
            disk.fill()
        assert until(lambda: not _is_ready(cluster), PATIENCE_S)
        disk.free()
        assert until(lambda: _is_ready(cluster), PATIENCE_S)
        ends_as(cluster, run_id, tmp_path / "out", dataset, (SUCCEEDED,))
        is_as_before(cluster, dataset, tmp_path / "next")


def _is_ready(cluster: WiredCluster) -> bool:
    return httpx.get(f"{cluster.url}/ready", timeout=60).is_success


def _ran_out(cluster: WiredCluster) -> bool:
    """Whether the first executor told of a fragment that found no room."""
    failed = cluster.workers[0].service.events("fragment_failed")
    return any("no space left" in one["traceback"].lower() for one in failed)
