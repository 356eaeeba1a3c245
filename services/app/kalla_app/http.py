"""The HTTP application: its routes and pages, and the gate before them."""

from __future__ import annotations

import time
from importlib.metadata import version

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kalla_app.access.gate import Gate
from kalla_app.api.operate_routes import operate_routes
from kalla_app.api.recipe_routes import recipe_routes
from kalla_app.api.run_routes import run_routes, worker_routes
from kalla_app.api.source_routes import source_routes
from kalla_app.context import App
from kalla_app.metrics import AppMetrics
from kalla_core.serving.answers import answer_errors

_DESCRIPTION = """\
Sources, recipes, runs and exceptions of Kalla.

Errors are `{"error": {"code", "message", "details"}}` with a stable `code`. Where the app has a
token file, send `Authorization: Bearer TOKEN`.
"""


def application(app: App, hosts: frozenset[str]) -> ASGIApp:
    """Return the application; nothing of it blocks the event loop.

    Args:
        hosts: names that the app goes by, beside those of this machine.
    """
    api = FastAPI(
        title="The Kalla App",
        version=version("kalla"),
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
    )
    api.router.redirect_slashes = False
    for routes in (source_routes, recipe_routes, run_routes, worker_routes, operate_routes):
        api.include_router(routes(app))
    answer_errors(api, "app")
    return _Counted(Gate(api, app.people, app.sessions, hosts), app.metrics)


class _Counted:
    """Counts answers, and how long they took to begin."""

    def __init__(self, app: ASGIApp, metrics: AppMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = time.perf_counter()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.requests.labels(str(message["status"])).inc()
                self._metrics.request_seconds.observe(time.perf_counter() - begun)
            await send(message)

        await self._app(scope, receive, sending)
