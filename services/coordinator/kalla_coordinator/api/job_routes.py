"""Jobs over HTTP: submit, list, look, watch, cancel."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from kalla_coordinator.api.auth import caller
from kalla_coordinator.api.context import Api, known_id
from kalla_coordinator.api.documents import (
    AcceptedDocument,
    JobDocument,
    JobPageDocument,
    errors,
)
from kalla_coordinator.api.requests import JOB_BODY
from kalla_coordinator.api.watching import updates
from kalla_core.ids import RunId
from kalla_core.jobs.document import job_document, page_document
from kalla_core.jobs.model import JobStatus
from kalla_core.recipe.job import parse_job_request
from kalla_core.serving.bodies import aside, body_of
from kalla_core.serving.streams import StreamedResponse

MAX_PAGE = 500
_EVENT_STREAM = "text/event-stream"


def job_routes(api: Api) -> APIRouter:
    """Return the routes of jobs."""
    routes = APIRouter(prefix="/api/jobs", tags=["jobs"])

    @routes.post(
        "",
        status_code=202,
        responses={202: {"model": AcceptedDocument}, **errors(400, 403, 409, 413, 422, 429, 503)},
        openapi_extra={"requestBody": JOB_BODY},
    )
    async def submit_job(request: Request) -> Response:
        """Submit a job: its parts, or a whole recipe.

        It is stored before this answers. The same request again has the same answer; another
        request with the same `run_id` is a conflict.
        """
        body = await body_of(request)
        asked = await aside(parse_job_request, body)
        job = await api.service.submit(asked, caller.get())
        return JSONResponse({"run_id": job.run_id, "status": "accepted"}, 202)

    @routes.get("", responses={200: {"model": JobPageDocument}, **errors(422, 503)})
    async def list_jobs(
        status: JobStatus | None = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
        cursor: Annotated[str | None, Query(max_length=512)] = None,
    ) -> Response:
        """List jobs, newest first, a page at a time."""
        return JSONResponse(page_document(await api.service.list(status, limit, cursor)))

    @routes.get("/{run_id}", responses={200: {"model": JobDocument}, **errors(404, 503)})
    async def get_job(run_id: str) -> Response:
        """Show a job: where it stands, how far it has come, what it found."""
        return JSONResponse(job_document(await api.service.get(known_id(run_id))))

    @routes.get(
        "/{run_id}/events",
        responses={200: _EVENTS, **errors(404, 503)},
        response_class=Response,
    )
    async def watch_job(run_id: str) -> Response:
        """Watch a job: server-sent events, each with the job as it then is.

        The first comes at once, the last with the final state. A comment comes when nothing has
        happened for a while.
        """
        job = await api.service.get(known_id(run_id))
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamedResponse(_events(api, job.run_id), _EVENT_STREAM, headers)

    @routes.post(
        "/{run_id}/cancel",
        status_code=202,
        responses={202: {"model": JobDocument}, **errors(404, 409, 503)},
    )
    async def cancel_job(run_id: str) -> Response:
        """Ask a job to stop. It may still be running when this answers."""
        return JSONResponse(job_document(await api.service.cancel(known_id(run_id))), 202)

    return routes


async def _events(api: Api, run_id: RunId) -> AsyncGenerator[bytes, None]:
    changes = updates(api.service.watch(run_id), api.closing, api.heartbeat_s)
    yield b"retry: 1000\n\n"
    number = 0
    async with aclosing(changes):
        async for job in changes:
            if job is None:
                yield b": still here\n\n"
                continue
            data = json.dumps(job_document(job), ensure_ascii=False, separators=(",", ":"))
            yield f"id: {number}\nevent: job\ndata: {data}\n\n".encode()
            number += 1


_EVENTS: dict[str, Any] = {
    "description": "Events named `job`; the data of each is a job.",
    "content": {_EVENT_STREAM: {"schema": {"type": "string"}}},
}
