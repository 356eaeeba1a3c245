"""The coordinator itself over HTTP: alive, ready, its executors, its metrics."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from kalla_coordinator.api.context import Api
from kalla_coordinator.api.documents import (
    ExecutorsDocument,
    HealthDocument,
    ReadinessDocument,
    errors,
)
from kalla_core.jobs.document import executor_document
from kalla_core.wire.status import RETRY_AFTER_S

OPEN_PATHS = frozenset({"/", "/health", "/ready", "/docs", "/openapi.json"})
"""What needs no token: probes cannot send one, and the description holds no secrets."""


def operate_routes(api: Api) -> APIRouter:
    """Return the routes for whoever operates a coordinator."""
    routes = APIRouter(tags=["operation"])

    @routes.get("/health", responses={200: {"model": HealthDocument}})
    async def get_health() -> Response:
        """Say that the coordinator is alive. Needs no token."""
        return JSONResponse({"status": "ok"})

    @routes.get(
        "/ready",
        responses={200: {"model": ReadinessDocument}, 503: {"model": ReadinessDocument}},
    )
    async def get_readiness() -> Response:
        """Say whether a job could be taken now, and if not, why. Needs no token."""
        found = await api.service.readiness()
        body = {"ready": found.ready, "reason": found.reason}
        if found.ready:
            return JSONResponse(body)
        return JSONResponse(body, 503, {"Retry-After": str(RETRY_AFTER_S)})

    @routes.get("/metrics", responses={200: _METRICS, **errors()}, response_class=Response)
    async def get_metrics() -> Response:
        """Show metrics as Prometheus reads them."""
        return Response(generate_latest(api.registry), media_type=CONTENT_TYPE_LATEST)

    @routes.get(
        "/api/executors",
        tags=["executors"],
        responses={200: {"model": ExecutorsDocument}, **errors(503)},
    )
    async def list_executors() -> Response:
        """List the executors that are registered, their slots and their load."""
        listed = await api.service.executors()
        return JSONResponse({"executors": [executor_document(one) for one in listed]})

    return routes


_METRICS: dict[str, Any] = {
    "description": "Metrics, as text.",
    "content": {"text/plain": {"schema": {"type": "string"}}},
}
