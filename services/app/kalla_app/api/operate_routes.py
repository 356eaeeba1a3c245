"""The app itself over HTTP: alive, ready, its metrics, its audit trail."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from kalla_app.api.requests import Cursor, Limit
from kalla_app.context import App
from kalla_app.runs.life import RunStatus
from kalla_app.store import audit, runs
from kalla_app.store.cursors import cursor as cursor_of
from kalla_app.store.cursors import place_of
from kalla_core.errors import KallaError


def operate_routes(app: App) -> APIRouter:
    """Return the routes for whoever operates an app."""
    routes = APIRouter(tags=["operation"])

    @routes.get("/health")
    async def health() -> Response:
        """Say that the app is alive. Needs no token."""
        return JSONResponse({"status": "ok"})

    @routes.get("/ready")
    async def ready() -> Response:
        """Say whether the app can remember something. Needs no token."""
        try:
            async with app.database.reading() as connection:
                await runs.next_due(connection)
        except KallaError as error:
            body = {"ready": False, "reason": error.message}
            return JSONResponse(body, 503, {"Retry-After": "5"})
        return JSONResponse({"ready": True, "reason": None})

    @routes.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Show metrics as Prometheus reads them."""
        async with app.database.reading() as connection:
            counted = await runs.by_status(connection)
        for status in RunStatus:
            app.metrics.runs.labels(status.value).set(counted.get(status.value, 0))
        return Response(app.metrics.shown(), media_type=CONTENT_TYPE_LATEST)

    @routes.get("/api/audit")
    async def list_audit(
        limit: Limit = 100,
        cursor: Cursor = None,
        subject: Annotated[str | None, Query(max_length=600)] = None,
    ) -> Response:
        """List who did what, newest first; for admins."""
        before: Any = None if cursor is None else place_of(cursor, (int,))[0]
        async with app.database.reading() as connection:
            found = await audit.page(connection, limit + 1, before, subject)
        more = len(found) > limit
        following = cursor_of(found[limit - 1]["number"]) if more else None
        return JSONResponse({"entries": found[:limit], "cursor": following})

    @routes.get("/api/audit/check")
    async def check_audit() -> Response:
        """Say whether the trail is whole: each entry names a hash over all before it."""
        async with app.database.reading() as connection:
            broken = await audit.broken_at(connection)
        return JSONResponse({"whole": broken is None, "broken_at": broken})

    return routes
