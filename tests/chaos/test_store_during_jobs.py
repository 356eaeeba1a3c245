"""A job store that goes away while executors work on a job."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import pytest

from benchmarks.generate.dataset import Dataset
from kalla_coordinator.jobs.allowed import STORE
from tests.chaos.cluster import ends_as, is_as_before, recipe_of
from tests.support.places import COLLECTING, COMMITTED, JOINING, SCANNING
from tests.support.postgres import new_database, shared_server
from tests.support.real_cluster import until
from tests.support.wired_cluster import Given, wired_cluster
from tests.support.wires import Wire, wire

pytestmark = pytest.mark.full

PATIENCE_S = 90


def _broken(over: Wire) -> None:
    over.cut()
    assert over.snap()


CUTS: Mapping[str, Callable[[Wire], object]] = {"silent": Wire.cut, "broken": _broken}


@pytest.mark.parametrize("how", [*CUTS])
@pytest.mark.parametrize("place", [SCANNING, JOINING, COMMITTED])
def test_a_database_with_the_jobs_that_is_away_for_a_while_costs_a_job_only_time(
    dataset: Dataset, tmp_path: Path, how: str, place: str
) -> None:
    database = new_database()
    with wire(("127.0.0.1", shared_server().port)) as over:
        url = f"postgresql://kalla@127.0.0.1:{over.port}/{database.name}"
        with wired_cluster(tmp_path, given=Given(variables={"DATABASE_URL": url})) as cluster:
            stops = cluster.stops_at(place)
            stops.arm(place)
            run_id = cluster.submit(recipe_of(dataset), tmp_path / "out")
            with stops.held(place):
                CUTS[how](over)
            assert over.held_up.wait(PATIENCE_S)
            assert until(lambda: not _is_ready(cluster.url), PATIENCE_S)
            over.mend()
            ends_as(cluster, run_id, tmp_path / "out", dataset)
            assert until(lambda: _is_ready(cluster.url), PATIENCE_S)
            is_as_before(cluster, dataset, tmp_path / "next")


@pytest.mark.parametrize("place", [SCANNING, JOINING, COLLECTING])
def test_a_store_whose_files_are_gone_commits_nothing_and_the_next_coordinator_is_fine(
    dataset: Dataset, tmp_path: Path, place: str
) -> None:
    with wired_cluster(tmp_path, given=Given(("--grace=1s",))) as cluster:
        stops = cluster.stops_at(place)
        stops.arm(place)
        cluster.submit(recipe_of(dataset), tmp_path / "out")
        with stops.held(place):
            gone = list((tmp_path / "staging").glob(f"{STORE}*"))
            for file in gone:
                file.unlink()
        assert until(lambda: not _is_ready(cluster.url), PATIENCE_S)
        cluster.coordinator.process.send_signal(signal.SIGTERM)
        code = cluster.coordinator.process.wait(PATIENCE_S)
        shown = (tmp_path / "out").exists()
        cluster.start_again()
        is_as_before(cluster, dataset, tmp_path / "next")

    assert gone
    assert code == 0
    assert not shown


def _is_ready(url: str) -> bool:
    return httpx.get(f"{url}/ready", timeout=60).is_success
