"""A coordinator that is killed in any state of a job: the next one ends the job rightly."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from benchmarks.generate.dataset import Dataset
from kalla_core.evidence.names import FINAL_NAMES
from tests.chaos.cluster import SUCCEEDED, ends_as, is_as_before, recipe_of
from tests.support.places import (
    CANCELLING,
    COLLECTING,
    COMMITTED,
    COMMITTING,
    FETCHING,
    JOINING,
    PLANNING,
    SCANNING,
    SETTLING,
)
from tests.support.processes import children_of, ends_soon
from tests.support.real_cluster import until
from tests.support.receiver import Received, Receiver, receiving_apart
from tests.support.s3 import TestBucket, s3_server
from tests.support.wired_cluster import Given, WiredCluster, wired_cluster

PATIENCE_S = 60


@dataclass(frozen=True)
class State:
    """Where a job is when its coordinator is killed.

    Attributes:
        attempt: at the whole job that counts in the end; one that had its evidence is not
            carried out again.
    """

    place: str
    attempt: int = 2
    end: str = SUCCEEDED


STATES: Mapping[str, State] = {
    "is planned": State(PLANNING),
    "is scanned": State(SCANNING),
    "is shuffled": State(FETCHING),
    "is joined": State(JOINING),
    "is put together": State(COLLECTING),
    "commits": State(COMMITTING),
    "has committed": State(COMMITTED, attempt=1),
    "has told its caller": State(SETTLING, attempt=1),
    "is cancelled": State(CANCELLING, attempt=1, end="cancelled"),
}
SAMPLE = "commits"


def _every() -> list[object]:
    return [pytest.param(name, marks=() if name == SAMPLE else pytest.mark.full) for name in STATES]


@pytest.mark.parametrize("name", _every())
def test_a_coordinator_that_is_killed_while_a_job(
    dataset: Dataset, tmp_path: Path, name: str
) -> None:
    state, output = STATES[name], tmp_path / "out"
    with receiving_apart() as receiver, wired_cluster(tmp_path) as cluster:
        stops = cluster.stops_at(state.place)
        stops.arm(state.place)
        run_id = cluster.submit(recipe_of(dataset), output, callback_url=receiver.url)
        with _cancelled_if(cluster, run_id, state), stops.held(state.place):
            shown = output.exists()
            children = _killed(cluster)
        cluster.start_again()
        job = ends_as(cluster, run_id, output, dataset, (state.end,))
        assert until(lambda: _ends(receiver), PATIENCE_S)
        assert until(lambda: _owed(cluster) == 0, PATIENCE_S)
        assert all(ends_soon(child) for child in children)
        is_as_before(cluster, dataset, tmp_path / "next")

    assert shown == (state.place in (COMMITTED, SETTLING))
    assert job["attempt"] == state.attempt
    told = _ends(receiver)
    assert {one.kind for one in told} == {"complete" if state.end == SUCCEEDED else "error"}
    assert len({one.headers["x-kalla-delivery"] for one in told}) == 1
    assert len({one.body for one in told}) == 1
    assert len(told) == (2 if state.place == SETTLING else 1)


@pytest.mark.full
@pytest.mark.parametrize("name", ["has committed", "is cancelled"])
def test_a_coordinator_that_is_killed_leaves_nothing_in_a_bucket_while_a_job(
    dataset: Dataset, tmp_path: Path, name: str
) -> None:
    state, bucket = STATES[name], s3_server().new_bucket()
    given = Given(variables=s3_server().environment())
    with wired_cluster(tmp_path, given=given) as cluster:
        stops = cluster.stops_at(state.place)
        stops.arm(state.place)
        run_id = cluster.submit(recipe_of(dataset), f"s3://{bucket.name}/runs/1")
        with _cancelled_if(cluster, run_id, state), stops.held(state.place):
            left = bucket.keys(), bucket.uploads()
            _killed(cluster)
        cluster.start_again()
        job = cluster.ended(run_id)
        tidied = until(lambda: not _beside_evidence(bucket), PATIENCE_S)
        is_as_before(cluster, dataset, tmp_path / "next")

    assert "runs/1/.kalla/claim.json" in left[0]
    assert (job["status"], job["attempt"]) == (state.end, state.attempt)
    assert tidied, _beside_evidence(bucket)
    shown = bucket.keys()
    assert ("runs/1/metadata.json" in shown) == bool(shown) == (state.end == SUCCEEDED)


@pytest.mark.full
def test_a_coordinator_that_is_killed_while_a_job_waits_forgets_neither_it_nor_who_was_before_it(
    dataset: Dataset, tmp_path: Path
) -> None:
    with wired_cluster(tmp_path, given=Given(("--max-jobs=1",))) as cluster:
        cluster.stops.arm(PLANNING)
        first = cluster.submit(recipe_of(dataset), tmp_path / "first")
        with cluster.stops.held(PLANNING):
            second = cluster.submit(recipe_of(dataset), tmp_path / "second")
            waiting = cluster.job(second)
            _killed(cluster)
        cluster.start_again()
        jobs = [
            ends_as(cluster, run_id, output, dataset)
            for run_id, output in ((first, tmp_path / "first"), (second, tmp_path / "second"))
        ]
        is_as_before(cluster, dataset, tmp_path / "next")

    assert waiting["status"] == "queued"
    assert [job["attempt"] for job in jobs] == [2, 1]


@pytest.mark.full
def test_a_coordinator_that_is_killed_again_and_again_tries_a_job_until_it_is_done(
    dataset: Dataset, tmp_path: Path
) -> None:
    kills = (SCANNING, COMMITTING, JOINING, PLANNING)
    with wired_cluster(tmp_path) as cluster:
        at = {place: cluster.stops_at(place) for place in kills}
        at[kills[0]].arm(kills[0])
        run_id = cluster.submit(recipe_of(dataset), tmp_path / "out")
        for place, following in pairwise((*kills, None)):
            with at[place].held(place):
                _killed(cluster)
                if following is not None:  # before the next coordinator is past it
                    at[following].arm(following)
            cluster.start_again()
        job = ends_as(cluster, run_id, tmp_path / "out", dataset)
        is_as_before(cluster, dataset, tmp_path / "next")

    assert job["attempt"] == len(kills) + 1


def _beside_evidence(bucket: TestBucket) -> set[str]:
    """Return keys that are of no evidence, and uploads that are not complete."""
    keys = bucket.keys()
    of_none = {key for key in keys if key.split("/")[2] not in FINAL_NAMES}
    return of_none | {str(one) for one in bucket.uploads()}


def _killed(cluster: WiredCluster) -> list[int]:
    """Kill the coordinator; return the processes that it had started."""
    process = cluster.coordinator.process
    below = [one for each in children_of(process.pid) for one in (each, *children_of(each))]
    cluster.coordinator.kill()
    assert process.returncode == -signal.SIGKILL
    return below


@contextmanager
def _cancelled_if(cluster: WiredCluster, run_id: str, state: State) -> Iterator[None]:
    """Ask for a cancel while the block runs, if the state is about that; nobody answers."""
    if state.place != CANCELLING:
        yield
        return

    def ask() -> None:
        with suppress(httpx.HTTPError):
            httpx.post(f"{cluster.url}/api/jobs/{run_id}/cancel", timeout=PATIENCE_S)

    cluster.workers[0].stops.arm(SCANNING)
    with cluster.workers[0].stops.held(SCANNING):
        asking = threading.Thread(target=ask)
        asking.start()
        yield
    asking.join()


def _ends(receiver: Receiver) -> list[Received]:
    return [one for one in receiver.got if one.kind != "progress"]


def _owed(cluster: WiredCluster) -> float:
    said = httpx.get(f"{cluster.url}/metrics", timeout=30).text
    (line,) = (one for one in said.splitlines() if one.startswith("kalla_callbacks_owed "))
    return float(line.split()[1])
