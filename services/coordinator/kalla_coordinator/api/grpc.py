"""All services over gRPC, `kalla.v1.Jobs` among them, with health and reflection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
from grpc_health.v1 import _async as aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from kalla_coordinator.api.auth import caller
from kalla_coordinator.api.context import Api, known_id
from kalla_coordinator.api.grpc_evidence import EVIDENCE, RECIPES, add_evidence
from kalla_coordinator.api.guard import ErrorGuard, TokenGuard
from kalla_coordinator.api.watching import updates
from kalla_core.errors import InvalidSetting
from kalla_core.inspection.request import Kind
from kalla_core.jobs.model import JobStatus
from kalla_core.recipe.write import to_document
from kalla_core.serving.bodies import aside
from kalla_core.settings.tls import Certificate
from kalla_core.wire import jobs
from kalla_core.wire.generated import jobs_pb2, jobs_pb2_grpc
from kalla_core.wire.server_options import SERVER_OPTIONS

SERVICE = "kalla.v1.Jobs"
_OURS = (SERVICE, EVIDENCE, RECIPES)
MAX_REQUEST_BYTES = 8 << 20
MAX_CALLS = 2000
_DEFAULT_PAGE = 50
_MAX_PAGE = 500

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


@dataclass(frozen=True, slots=True)
class ExtraServicer:
    """Another service on the same port.

    Attributes:
        name: with its package, as `kalla.v1.Executors`.
        add: adds its servicer to the server.
    """

    name: str
    add: Callable[[grpc.aio.Server], None]


class GrpcServer:
    """The server; made on the event loop it runs on."""

    def __init__(self, api: Api, extra: Sequence[ExtraServicer]) -> None:
        self._server = grpc.aio.server(
            interceptors=(TokenGuard(api.tokens), ErrorGuard(*_OURS)),
            options=(
                ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
                *SERVER_OPTIONS,
            ),
            maximum_concurrent_rpcs=MAX_CALLS,
        )
        add_jobs: Any = jobs_pb2_grpc.add_JobsServicer_to_server  # generated without types
        add_jobs(_Jobs(api), self._server)
        add_evidence(self._server, api)
        for one in extra:
            one.add(self._server)
        self._health = aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._names = (*_OURS, *(one.name for one in extra))
        reflection.enable_server_reflection(
            (*self._names, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
        )

    async def start(self, host: str, port: int, certificate: Certificate | None = None) -> int:
        """Listen, with a certificate over TLS only; return the port.

        Raises:
            InvalidSetting: the address cannot be taken.
        """
        try:
            if certificate is None:
                bound = self._server.add_insecure_port(f"{host}:{port}")
            else:
                shown = grpc.ssl_server_credentials([(certificate.key, certificate.chain)])
                bound = self._server.add_secure_port(f"{host}:{port}", shown)
        except RuntimeError as error:
            raise InvalidSetting(
                f"The gRPC port {host}:{port} cannot be taken: {error}."
            ) from error
        await self._server.start()
        for name in ("", *self._names):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        return bound

    async def stop(self, grace_s: float) -> None:
        """Take no new calls, and end those that go on after the grace period."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)


class _Jobs(jobs_pb2_grpc.JobsServicer):
    """The calls; errors become statuses in `guard`."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def SubmitJob(  # noqa: N802 - as the proto has it
        self, request: jobs_pb2.SubmitJobRequest, _: Context
    ) -> jobs_pb2.SubmitJobResponse:
        job = await self._api.service.submit(
            await aside(jobs.submit_request, request), caller.get()
        )
        return jobs_pb2.SubmitJobResponse(run_id=job.run_id, status="accepted")

    async def GetJob(  # noqa: N802
        self, request: jobs_pb2.GetJobRequest, _: Context
    ) -> jobs_pb2.Job:
        return jobs.job_message(await self._api.service.get(known_id(request.run_id)))

    async def ListJobs(  # noqa: N802
        self, request: jobs_pb2.ListJobsRequest, _: Context
    ) -> jobs_pb2.ListJobsResponse:
        limit = request.limit or _DEFAULT_PAGE
        if limit > _MAX_PAGE:
            raise InvalidSetting(f"limit can be at most {_MAX_PAGE}, not {limit}.")
        page = await self._api.service.list(_status(request.status), limit, request.cursor or None)
        return jobs.page_message(page)

    async def WatchJob(  # noqa: N802
        self, request: jobs_pb2.WatchJobRequest, _: Context
    ) -> AsyncIterator[jobs_pb2.Job]:
        watch = self._api.service.watch(known_id(request.run_id))
        async with aclosing(updates(watch, self._api.closing, self._api.heartbeat_s)) as changes:
            async for job in changes:
                if job is not None:
                    yield jobs.job_message(job)

    async def CancelJob(  # noqa: N802
        self, request: jobs_pb2.CancelJobRequest, _: Context
    ) -> jobs_pb2.Job:
        return jobs.job_message(await self._api.service.cancel(known_id(request.run_id)))

    async def ExplainJob(  # noqa: N802
        self, request: jobs_pb2.ExplainJobRequest, _: Context
    ) -> jobs_pb2.ExplainJobResponse:
        recipe = await aside(jobs.explain_request, request)
        found = await self._api.inspector.ask(Kind.EXPLAIN, to_document(recipe))
        return jobs.explanation_message(found)

    async def ListExecutors(  # noqa: N802
        self, _: jobs_pb2.ListExecutorsRequest, __: Context
    ) -> jobs_pb2.ListExecutorsResponse:
        return jobs.executors_message(await self._api.service.executors())


def _status(word: str) -> JobStatus | None:
    if not word:
        return None
    try:
        return JobStatus(word)
    except ValueError:
        known = ", ".join(JobStatus)
        raise InvalidSetting(f"There is no status {word!r}; there are {known}.") from None
