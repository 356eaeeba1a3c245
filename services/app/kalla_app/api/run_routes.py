"""Runs over HTTP, and what the coordinator tells of them."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, Response

from kalla_app.access.gate import who
from kalla_app.api.requests import Cursor, Limit, document_of
from kalla_app.context import App
from kalla_app.runs.callbacks import is_signed, news_of
from kalla_app.runs.life import RunStatus
from kalla_app.runs.service import run_json
from kalla_core.errors import KallaError, RequestRefused, Unauthenticated
from kalla_core.observe.logs import get_logger
from kalla_core.serving.bodies import body_of
from kalla_core.serving.streams import StreamedResponse

Text = Annotated[str | None, Header(max_length=512)]


def run_routes(app: App) -> APIRouter:
    """Return the routes of runs."""
    routes = APIRouter(prefix="/api/runs", tags=["runs"])

    @routes.get("")
    async def list_runs(
        limit: Limit = 50,
        cursor: Cursor = None,
        status: RunStatus | None = None,
        recipe_id: Annotated[str | None, Query(max_length=500)] = None,
    ) -> Response:
        """List runs, newest first, a page at a time."""
        found, following = await app.runs.page(limit, cursor, status=status, recipe_id=recipe_id)
        return JSONResponse({"runs": [run_json(run) for run in found], "cursor": following})

    @routes.post("", status_code=202)
    async def start_run(request: Request) -> Response:
        """Start a run of a saved recipe, or of one that comes along; it is on disk by then.

        The same request with the same `run_id` again is the same run.
        """
        run = await app.runs.start(await document_of(request), who().name)
        return JSONResponse({"run_id": run.run_id, "status": RunStatus.SUBMITTED.value}, 202)

    @routes.get("/{run_id}")
    async def get_run(run_id: str) -> Response:
        """Show a run, and the recipe it was started with."""
        run = await app.runs.get(run_id)
        return JSONResponse({**run_json(run), "recipe": await app.runs.recipe(run_id)})

    @routes.get("/{run_id}/events", response_class=Response)
    async def watch_run(run_id: str) -> Response:
        """Watch a run: server-sent events, each with the run as it then is, until it has ended."""
        await app.runs.get(run_id)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamedResponse(app.watches.events(run_id), "text/event-stream", headers)

    @routes.post("/{run_id}/cancel", status_code=202)
    async def cancel_run(run_id: str) -> Response:
        """Ask a run to end. It may go on for a while."""
        return JSONResponse(run_json(await app.runs.cancel(run_id, who().name)), 202)

    return routes


def worker_routes(app: App) -> APIRouter:
    """Return the routes that the coordinator calls back."""
    routes = APIRouter(prefix="/api/worker", tags=["callbacks"])

    @routes.post("/{kind}")
    async def take_callback(
        kind: Literal["progress", "complete", "error"],
        request: Request,
        x_kalla_signature: Text = None,
        x_kalla_delivery: Text = None,
    ) -> Response:
        """Take what the coordinator tells of a run; in any order, any number of times."""
        body = await body_of(request)
        secret = app.callback_secret
        if secret is not None and not is_signed(body, x_kalla_signature, secret):
            app.metrics.callbacks.labels("forged").inc()
            raise Unauthenticated("This callback is not signed with the secret of this app.")
        try:
            run_id, news = news_of(kind, body, x_kalla_delivery)
        except RequestRefused:
            app.metrics.callbacks.labels("refused").inc()
            raise
        if secret is not None:
            await app.dispatcher.tell(run_id, news)
        else:
            await _ask(app, run_id)
        app.metrics.callbacks.labels("taken").inc()
        return JSONResponse({"status": "ok"})

    return routes


async def _ask(app: App, run_id: str) -> None:
    """Look at a run of which somebody says there is news; nobody knows who."""
    try:
        run = await app.runs.get(run_id)
        if not run.state.status.final:
            await app.dispatcher.look(run_id)
    except KallaError as error:
        get_logger().info("look_postponed", run_id=run_id, cause=error.code)
