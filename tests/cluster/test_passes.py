"""Recipes with passes on a real cluster: the evidence of one machine, whoever dies meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import httpx
import pyarrow as pa
import pyarrow.flight as flight
import pytest

from kalla_core.client import Client
from kalla_core.evidence.reader import read_evidence
from kalla_core.ids import RunId
from kalla_core.jobs.document import job_of
from kalla_core.jobs.passes import pass_document
from kalla_core.recipe.parse import parse_recipe
from kalla_core.wire.generated import jobs_pb2, jobs_pb2_grpc
from kalla_core.wire.jobs import job_message
from tests.support.pass_recipes import RULES, given
from tests.support.places import IN_PASSES
from tests.support.real_cluster import Cluster, real_cluster, until
from tests.support.receiver import receiving_apart
from tests.support.reconciled import TwoTables, Wrote
from tests.support.s3 import s3_server
from tests.support.tables import sorted_rows
from tests.support.wired_cluster import WiredExecutor, wired_cluster

EVERYTHING = "passes, one that proposes, sums"
RESTS = "matches in part"
OPTIONS = {"partitions": 3, "buckets": 5}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> TwoTables:
    return given(tmp_path_factory.mktemp("passes"))


def is_the_evidence_of(output: Path, local: Wrote) -> None:
    with read_evidence(output) as evidence:
        assert evidence.metadata.reconciliation == local.told
        assert {name.removesuffix(".parquet") for name in evidence.outputs} == set(local.tables)
        for name, expected in local.tables.items():
            assert without_moment(evidence.table(f"{name}.parquet")) == without_moment(expected)


def without_moment(table: pa.Table) -> pa.Table:
    return sorted_rows(table.drop_columns([c for c in table.column_names if c == "matched_at"]))


def runs_alike(cluster: Cluster, two: TwoTables, name: str, output: Path) -> dict[str, object]:
    local = two.run(RULES[name])

    job = cluster.run(parse_recipe(two.document(RULES[name], **OPTIONS)), output)

    assert job["engine"] == "cluster"
    is_the_evidence_of(output, local)
    return job


def waits_there(worker: WiredExecutor) -> bool:
    return (worker.stops.folder / f"{IN_PASSES}.here").exists()


def test_all_that_passes_write_is_the_same_on_a_cluster_and_is_fetched(
    cluster: Cluster, two: TwoTables, tmp_path: Path
) -> None:
    job = runs_alike(cluster, two, EVERYTHING, tmp_path / "out")

    local = two.run(RULES[EVERYTHING])
    for name in ("suggested", "ambiguous"):
        answer = httpx.get(f"{cluster.url}/api/jobs/{job['run_id']}/evidence/{name}", timeout=30)
        assert len(answer.json()) == local.tables[name].num_rows > 0
    asyncio.run(fetched(cluster, job, tmp_path / "fetched"))
    is_the_evidence_of(tmp_path / "fetched", local)
    for name, expected in local.tables.items():
        assert without_moment(over_flight(cluster, job, name)) == without_moment(expected)


def test_what_each_pass_did_on_a_cluster_is_told_as_by_one_machine_through_every_door(
    cluster: Cluster, two: TwoTables, tmp_path: Path
) -> None:
    local = two.run(RULES[RESTS])
    expected = [pass_document(one) for one in local.told.passes]
    recipe = parse_recipe(two.document(RULES[RESTS], **OPTIONS))

    with receiving_apart() as receiver:
        run_id = cluster.submit(recipe, tmp_path / "out", callback_url=receiver.url)
        job = cluster.ended(run_id)
        calls = until(lambda: [o for o in list(receiver.got) if o.kind == "complete"], 60)
    message = asyncio.run(over_grpc(cluster, run_id))

    assert job["passes"] == expected
    assert [call.document["passes"] for call in calls] == [expected]
    assert list(message.passes) == list(job_message(job_of(job)).passes)
    assert message.passes[0].accepted == local.told.passes[0].accepted > 0
    is_the_evidence_of(tmp_path / "out", local)
    for name, rows in local.tables.items():
        assert without_moment(over_flight(cluster, job, name)) == without_moment(rows)
    assert all(local.tables[f"partly_matched_{side}"].num_rows for side in ("left", "right"))


async def over_grpc(cluster: Cluster, run_id: str) -> jobs_pb2.Job:
    port = cluster.service.event("cluster_ready")["grpc_port"]
    async with asyncio.timeout(60), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        jobs: Any = jobs_pb2_grpc.JobsStub(channel)  # type: ignore[no-untyped-call]
        found: jobs_pb2.Job = await jobs.GetJob(jobs_pb2.GetJobRequest(run_id=run_id))
        return found


async def fetched(cluster: Cluster, job: Mapping[str, object], folder: Path) -> None:
    async with Client(cluster.url) as kalla:
        await kalla.fetch(RunId(str(job["run_id"])), folder)


def over_flight(cluster: Cluster, job: Mapping[str, object], name: str) -> pa.Table:
    port = cluster.service.event("cluster_ready")["results_port"]
    with flight.connect(f"grpc+tcp://127.0.0.1:{port}") as client:
        wanted = flight.FlightDescriptor.for_path(str(job["run_id"]), name)
        ends = client.get_flight_info(wanted).endpoints
        return pa.concat_tables([client.do_get(end.ticket).read_all() for end in ends])


@pytest.mark.full
@pytest.mark.parametrize("name", [name for name in RULES if name not in (EVERYTHING, RESTS)])
def test_rules_of_every_kind_have_the_same_evidence_on_a_cluster(
    cluster: Cluster, two: TwoTables, name: str, tmp_path: Path
) -> None:
    runs_alike(cluster, two, name, tmp_path / "out")


@pytest.mark.full
def test_an_executor_that_is_killed_in_the_middle_of_passes_costs_nothing(
    two: TwoTables, tmp_path: Path
) -> None:
    recipe = parse_recipe(two.document(RULES[EVERYTHING], **OPTIONS))
    with wired_cluster(tmp_path) as cluster:
        for worker in cluster.workers:
            worker.stops.arm(IN_PASSES)
        run_id = cluster.submit(recipe, tmp_path / "out")

        victim = until(lambda: next(filter(waits_there, cluster.workers), None), 90)
        assert victim is not None
        for worker in cluster.workers:
            worker.stops.disarm(IN_PASSES)
        os.kill(victim.pid, signal.SIGKILL)
        job = cluster.ended(run_id)

    assert job["status"] == "succeeded", job["error"]
    is_the_evidence_of(tmp_path / "out", two.run(RULES[EVERYTHING]))


@pytest.mark.full
def test_passes_that_are_cancelled_in_the_middle_leave_nothing_and_their_slot_is_free(
    two: TwoTables, tmp_path: Path
) -> None:
    recipe = parse_recipe(two.document(RULES[EVERYTHING], **OPTIONS))
    with wired_cluster(tmp_path) as cluster:
        for worker in cluster.workers:
            worker.stops.arm(IN_PASSES)
        run_id = cluster.submit(recipe, tmp_path / "out")

        assert until(lambda: any(map(waits_there, cluster.workers)), 90)
        for worker in cluster.workers:
            worker.stops.disarm(IN_PASSES)
        httpx.post(f"{cluster.url}/api/jobs/{run_id}/cancel", timeout=30)
        job = cluster.ended(run_id)
        following = cluster.run(recipe, tmp_path / "next")

    assert job["status"] == "cancelled"
    assert not (tmp_path / "out").exists()
    assert following["attempt"] == 1


@pytest.mark.full
def test_passes_that_are_not_done_at_their_deadline_fail_and_leave_nothing(
    two: TwoTables, tmp_path: Path
) -> None:
    late = parse_recipe(two.document(RULES[EVERYTHING], **OPTIONS, timeout_s=15))
    recipe = parse_recipe(two.document(RULES[EVERYTHING], **OPTIONS))
    with wired_cluster(tmp_path) as cluster:
        for worker in cluster.workers:
            worker.stops.arm(IN_PASSES)
        run_id = cluster.submit(late, tmp_path / "out")

        assert until(lambda: any(map(waits_there, cluster.workers)), 90)
        job = cluster.ended(run_id)
        for worker in cluster.workers:
            worker.stops.disarm(IN_PASSES)
        following = cluster.run(recipe, tmp_path / "next")

    assert (job["status"], job["error"]["code"]) == ("failed", "deadline_exceeded")
    assert not (tmp_path / "out").exists()
    assert following["attempt"] == 1


@pytest.mark.full
def test_evidence_of_passes_in_a_bucket_is_what_one_machine_writes_and_is_fetched(
    two: TwoTables, tmp_path: Path
) -> None:
    recipe = parse_recipe(two.document(RULES[EVERYTHING], **OPTIONS))
    bucket = s3_server().new_bucket()
    with real_cluster(tmp_path, more=s3_server().environment()) as cluster:
        job = cluster.ended(cluster.submit(recipe, f"s3://{bucket.name}/march"))
        assert job["status"] == "succeeded", job["error"]
        asyncio.run(fetched(cluster, job, tmp_path / "fetched"))

    local = two.run(RULES[EVERYTHING])
    is_the_evidence_of(tmp_path / "fetched", local)
    files = bucket.keys()
    written = {key.split("/")[1] for key in files if key.startswith("march/")}
    assert {f"{name}.parquet" for name in local.tables} <= written
    assert bucket.uploads() == set()
