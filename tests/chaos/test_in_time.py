"""Cancels and deadlines at every stage of a cluster job, and clocks that are far apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest

from benchmarks.generate.dataset import Dataset
from tests.chaos.cluster import SUCCEEDED, ends_as, is_as_before, recipe_of
from tests.support.places import (
    COLLECTING,
    COMMITTING,
    FETCHING,
    JOINING,
    PLANNING,
    SCANNING,
)
from tests.support.real_cluster import until
from tests.support.wired_cluster import Given, wired_cluster

pytestmark = pytest.mark.full

TIMEOUT = timedelta(seconds=30)
PATIENCE_S = 60
APART = timedelta(minutes=16)


@dataclass(frozen=True)
class Moment:
    """Where a job is when it is to end.

    Attributes:
        waits: what is under way is not stopped, but waited for.
        too_late: the job succeeds all the same.
    """

    place: str
    waits: bool = False
    too_late: bool = False


MOMENTS: Mapping[str, Moment] = {
    "as it is planned": Moment(PLANNING),
    "as it is scanned": Moment(SCANNING),
    "as it is shuffled": Moment(FETCHING),
    "as it is joined": Moment(JOINING),
    "as it is put together": Moment(COLLECTING, waits=True),
    "as it commits": Moment(COMMITTING, waits=True, too_late=True),
}


@pytest.mark.parametrize("when", [*MOMENTS])
def test_a_cluster_job_that_is_cancelled(dataset: Dataset, tmp_path: Path, when: str) -> None:
    moment, output = MOMENTS[when], tmp_path / "out"
    with wired_cluster(tmp_path) as cluster:
        stops = cluster.stops_at(moment.place)
        stops.arm(moment.place)
        run_id = cluster.submit(recipe_of(dataset), output)
        with stops.held(moment.place):
            answer = httpx.post(f"{cluster.url}/api/jobs/{run_id}/cancel", timeout=30)
            ended = moment.waits or until(
                lambda: cluster.job(run_id)["status"] == "cancelled", PATIENCE_S
            )
        end = SUCCEEDED if moment.too_late else "cancelled"
        ends_as(cluster, run_id, output, dataset, (end,))
        is_as_before(cluster, dataset, tmp_path / "next")

    assert answer.status_code == (409 if moment.too_late else 202)
    assert ended


@pytest.mark.parametrize("when", [*MOMENTS])
def test_a_cluster_job_whose_deadline_comes(dataset: Dataset, tmp_path: Path, when: str) -> None:
    moment, output = MOMENTS[when], tmp_path / "out"
    with wired_cluster(tmp_path) as cluster:
        stops = cluster.stops_at(moment.place)
        stops.arm(moment.place)
        run_id = cluster.submit(recipe_of(dataset, timeout=TIMEOUT), output)
        with stops.held(moment.place):
            began = cluster.job(run_id)["started_at"]
            assert until(lambda: _passed(began), PATIENCE_S)
            ended = moment.waits or until(
                lambda: cluster.job(run_id)["status"] == "failed", PATIENCE_S
            )
        end = SUCCEEDED if moment.too_late else "deadline_exceeded"
        ends_as(cluster, run_id, output, dataset, (end,))
        is_as_before(cluster, dataset, tmp_path / "next")

    assert ended


def test_clocks_that_are_sixteen_minutes_apart_change_nothing(
    dataset: Dataset, tmp_path: Path
) -> None:
    apart = {"CLOCK_AHEAD_S": str(APART.total_seconds())}
    behind = {"CLOCK_AHEAD_S": str(-APART.total_seconds())}
    given = Given(worker_variables={0: apart, 1: behind})
    with wired_cluster(tmp_path, given=given) as cluster:
        run_id = cluster.submit(recipe_of(dataset, timeout=timedelta(minutes=5)), tmp_path / "out")
        ends_as(cluster, run_id, tmp_path / "out", dataset)
        is_as_before(cluster, dataset, tmp_path / "next")
        clocks = [
            datetime.fromisoformat(worker.service.event("executor_started")["at"])
            for worker in cluster.workers
        ]

    assert clocks[0] - clocks[1] > 2 * APART - timedelta(minutes=2)


def _passed(began: str) -> bool:
    return datetime.now().astimezone() > datetime.fromisoformat(began) + TIMEOUT
