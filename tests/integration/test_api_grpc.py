from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from kalla_coordinator.api.grpc import ExtraServicer
from kalla_coordinator.cluster.dispatch import Dispatcher
from kalla_coordinator.cluster.stream import SERVICE, add_executors
from kalla_core.errors import JobEnded, JobNotFound, QueueFull, RecipeInvalid
from kalla_core.fragments.presence import Hello
from kalla_core.recipe.job import parse_job_request
from kalla_core.wire.executors import from_executor_message
from kalla_core.wire.generated import executors_pb2_grpc, jobs_pb2, jobs_pb2_grpc
from kalla_core.wire.jobs import submit_message, submit_request
from kalla_core.wire.status import error_from_grpc
from tests.support.api import Served, absolute_recipe, eventually, parts, served
from tests.support.books import make_books
from tests.support.small_executor import TIMING

GUEST = "a-good-token"
METHODS = {
    "SubmitJob": jobs_pb2.SubmitJobRequest,
    "GetJob": jobs_pb2.GetJobRequest,
    "ListJobs": jobs_pb2.ListJobsRequest,
    "CancelJob": jobs_pb2.CancelJobRequest,
    "ExplainJob": jobs_pb2.ExplainJobRequest,
    "ListExecutors": jobs_pb2.ListExecutorsRequest,
}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as one:
        yield one


@pytest.fixture
async def channel(api: Served) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(api.grpc) as one:
        yield one


@pytest.fixture
def jobs(channel: grpc.aio.Channel) -> Any:
    return jobs_pb2_grpc.JobsStub(channel)  # type: ignore[no-untyped-call]


async def test_a_job_is_submitted_once_however_often_it_is_sent(api: Served, jobs: Any) -> None:
    message = submit_message(parts("run-1"))

    answers = [await jobs.SubmitJob(message) for _ in range(2)]

    assert [(one.run_id, one.status) for one in answers] == [("run-1", "accepted")] * 2
    assert api.jobs.requests["run-1"] == parse_job_request(parts("run-1"))


def test_a_message_asks_for_the_same_as_the_json_it_mirrors(tmp_path: Path) -> None:
    recipe = absolute_recipe(make_books(tmp_path))
    filters = [{"column": "amount", "op": "between", "value": [1, "2.50"]}]
    whole = parts(
        "run-2",
        extras=[{"alias": "fx", "type": "file", "uri": "/data/fx.csv", "types": {"rate": "text"}}],
        groups="members",
        options={"buckets": 7, "timeout_s": 1.5, "overwrite": True, "engine": "local"},
        output_path="/out",
        callback_url="http://app/x",
    )
    whole["sources"][0]["filters"] = filters
    whole["sources"][1]["format"] = {"delimiter": "tab", "null": ["-", ""], "header": True}

    for request in (whole, parts("run-1"), {"run_id": "run-3", "recipe": recipe}):
        assert submit_request(submit_message(request)) == parse_job_request(request)


async def test_jobs_are_shown_and_listed(api: Served, jobs: Any) -> None:
    for name in ("a", "b"):
        await api.submit(name)
    await api.jobs.begin("b")

    shown = await jobs.GetJob(jobs_pb2.GetJobRequest(run_id="b"))
    first = await jobs.ListJobs(jobs_pb2.ListJobsRequest(limit=1))
    second = await jobs.ListJobs(jobs_pb2.ListJobsRequest(limit=1, cursor=first.cursor))

    assert (shown.status, shown.stage, shown.progress) == ("running", "matching", 0.3)
    assert [stage.source for stage in shown.stages] == ["invoices", "payments", ""]
    assert shown.counts.matched_count == 2
    assert [(one.executor_id, one.rows) for one in shown.workers] == [("east", 900), ("west", 100)]
    assert shown.shuffled_bytes == 4096
    assert not shown.counts.HasField("unmatched_left_count")
    assert [job.run_id for page in (first, second) for job in page.jobs] == ["b", "a"]
    assert second.cursor == ""


async def test_a_watch_tells_each_change_and_ends_with_the_final_state(
    api: Served, jobs: Any
) -> None:
    await api.submit("run-1")

    statuses = []
    async for job in jobs.WatchJob(jobs_pb2.WatchJobRequest(run_id="run-1")):
        statuses.append(job.status)
        if job.status == "queued":
            await api.jobs.begin("run-1")
        elif job.status == "running":
            await api.jobs.fail("run-1", JobEnded("It was too much."))

    assert statuses == ["queued", "running", "failed"]
    assert job.error.failure.code == "job_ended"


async def test_a_watcher_that_goes_away_leaves_nothing(api: Served, jobs: Any) -> None:
    await api.submit("run-1")
    watch = jobs.WatchJob(jobs_pb2.WatchJobRequest(run_id="run-1"))
    await watch.read()
    assert api.jobs.watchers == 1

    watch.cancel()

    await eventually(lambda: api.jobs.watchers == 0)


async def test_an_error_arrives_as_the_class_it_was(api: Served, jobs: Any) -> None:
    api.jobs.queue_limit = 0

    with pytest.raises(grpc.RpcError) as full:
        await jobs.SubmitJob(submit_message(parts("run-1")))
    with pytest.raises(grpc.RpcError) as unknown:
        await jobs.GetJob(jobs_pb2.GetJobRequest(run_id="nobody"))
    with pytest.raises(grpc.RpcError) as lost:
        await jobs.WatchJob(jobs_pb2.WatchJobRequest(run_id="nobody")).read()

    error = error_from_grpc(full.value)
    assert full.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert isinstance(error, QueueFull)
    assert error.retry_after_s == 7
    for one in (unknown, lost):
        assert one.value.code() is grpc.StatusCode.NOT_FOUND
        assert isinstance(error_from_grpc(one.value), JobNotFound)


async def test_everything_wrong_with_a_request_is_told_with_its_place(jobs: Any) -> None:
    message = submit_message(parts("run-1"))
    message.parts.match_sql = ""
    message.parts.sources[0].filters.add(column="a", op="eq", value_json="{")
    wrong = jobs_pb2.SubmitJobRequest(run_id="../x", recipe_json='{"name": 1, "name": 2}')

    with pytest.raises(grpc.RpcError) as first:
        await jobs.SubmitJob(message)
    with pytest.raises(grpc.RpcError) as second:
        await jobs.SubmitJob(wrong)
    with pytest.raises(grpc.RpcError) as third:
        await jobs.SubmitJob(jobs_pb2.SubmitJobRequest())

    told = [error_from_grpc(one.value) for one in (first, second, third)]
    assert all(isinstance(one, RecipeInvalid) for one in told)
    places = [
        [fault.path for fault in one.faults] for one in told if isinstance(one, RecipeInvalid)
    ]
    assert places[0] == ["sources[0].filters[0].value"]
    assert places[1] == ["recipe.name"]
    assert {"run_id", "match_sql", "sources"} <= set(places[2])


async def test_no_bytes_at_all_make_the_service_fail(
    channel: grpc.aio.Channel, api: Served
) -> None:
    texts = [b"\xff" * 9, b"\x0a\x02\xff\xfe", b"\x0a\x7f", b"\x22\x02\x08\x01", b"\x00", b""]
    texts += [bytes([tag]) + b"\x05hello" for tag in range(0, 256, 5)]

    codes = set()
    for method in METHODS:
        call = channel.unary_unary(f"/kalla.v1.Jobs/{method}")
        for text in texts:
            try:
                await call(text)
            except grpc.aio.AioRpcError as error:
                codes.add(error.code())

    assert codes <= {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}
    assert (await api.http.get("/health")).status_code == 200


async def test_a_message_of_another_kind_or_too_large_is_refused(
    channel: grpc.aio.Channel, jobs: Any
) -> None:
    with pytest.raises(grpc.RpcError) as large:
        await jobs.GetJob(jobs_pb2.GetJobRequest(run_id="x" * (9 << 20)))
    with pytest.raises(grpc.RpcError) as unknown:
        await channel.unary_unary("/kalla.v1.Jobs/Nothing")(b"")

    assert large.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert unknown.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_what_nobody_foresaw_says_nothing_of_the_inside(api: Served, jobs: Any) -> None:
    api.jobs.broken = ZeroDivisionError("secret")

    with pytest.raises(grpc.RpcError) as failed:
        await jobs.GetJob(jobs_pb2.GetJobRequest(run_id="x"))

    assert failed.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in str(failed.value)


async def test_health_and_reflection_answer(channel: grpc.aio.Channel) -> None:
    health: Any = health_pb2_grpc.HealthStub(channel)
    reflection: Any = reflection_pb2_grpc.ServerReflectionStub(channel)

    checked = await health.Check(health_pb2.HealthCheckRequest(service="kalla.v1.Jobs"))
    listing = reflection_pb2.ServerReflectionRequest(list_services="")
    listed = [one async for one in reflection.ServerReflectionInfo(iter([listing]))]

    assert checked.status == health_pb2.HealthCheckResponse.SERVING
    names = [service.name for service in listed[0].list_services_response.service]
    assert "kalla.v1.Jobs" in names


async def test_a_token_is_good_for_what_its_roles_say(tmp_path: Path) -> None:
    async with (
        served(tmp_path, token=GUEST) as api,
        grpc.aio.insecure_channel(api.grpc) as channel,
    ):
        jobs: Any = jobs_pb2_grpc.JobsStub(channel)  # type: ignore[no-untyped-call]

        async def refused(call: Any, request: Any, token: str) -> bool:
            try:
                await call(request, metadata=(("authorization", f"Bearer {token}"),))
            except grpc.RpcError as error:
                return bool(error.code() is grpc.StatusCode.PERMISSION_DENIED)
            return False

        listing, cancelling = jobs_pb2.ListJobsRequest(), jobs_pb2.CancelJobRequest(run_id="r")
        found = {
            token: (
                await refused(jobs.ListJobs, listing, token),
                await refused(jobs.CancelJob, cancelling, token),
            )
            for token in ("reads", "submits", "executes", "decides", GUEST)
        }

    assert found == {
        "reads": (False, True),
        "submits": (True, False),
        "executes": (True, True),
        "decides": (False, False),
        GUEST: (False, False),
    }


@pytest.mark.parametrize("token", [GUEST, "decides", "reads", "submits", "executes"])
async def test_only_a_token_of_executors_opens_their_stream(tmp_path: Path, token: str) -> None:
    dispatcher = Dispatcher(TIMING, b"key")
    joins = ExtraServicer(SERVICE, partial(add_executors, dispatcher))
    async with (
        served(tmp_path, token=GUEST, extra_servicers=[joins]) as api,
        grpc.aio.insecure_channel(api.grpc) as channel,
    ):
        stub = executors_pb2_grpc.ExecutorsStub(channel)  # type: ignore[no-untyped-call]
        call = stub.Connect(metadata=(("authorization", f"Bearer {token}"),))
        with suppress(grpc.aio.AioRpcError):
            await call.write(from_executor_message(Hello("e", "1", "h", 1, 1, 1)))
            await call.read()
        members = [info.executor_id for info in dispatcher.infos()]
        dispatcher.close()
        code = await call.code()

    executor = token in {"executes"}
    assert members == (["e"] if executor else [])
    assert code is (grpc.StatusCode.OK if executor else grpc.StatusCode.PERMISSION_DENIED)


async def test_without_its_token_nobody_comes_in(tmp_path: Path) -> None:
    async with (
        served(tmp_path, token=GUEST) as api,
        grpc.aio.insecure_channel(api.grpc) as channel,
    ):
        jobs: Any = jobs_pb2_grpc.JobsStub(channel)  # type: ignore[no-untyped-call]
        health: Any = health_pb2_grpc.HealthStub(channel)
        listing = jobs_pb2.ListJobsRequest()
        for metadata in (None, (("authorization", "Bearer wrong"),)):
            with pytest.raises(grpc.RpcError) as refused:
                await jobs.ListJobs(listing, metadata=metadata)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
            with pytest.raises(grpc.RpcError) as unwatched:
                await jobs.WatchJob(jobs_pb2.WatchJobRequest(), metadata=metadata).read()
            assert unwatched.value.code() is grpc.StatusCode.UNAUTHENTICATED
        let_in = await jobs.ListJobs(listing, metadata=(("authorization", f"Bearer {GUEST}"),))
        checked = await health.Check(health_pb2.HealthCheckRequest())

    assert len(let_in.jobs) == 0
    assert checked.status == health_pb2.HealthCheckResponse.SERVING
