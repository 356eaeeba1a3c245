"""The HTTP application: its routes and pages, and the gate before them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kalla_app.access.gate import Gate
from kalla_app.api.bench_routes import bench_routes
from kalla_app.api.chat_routes import chat_routes
from kalla_app.api.evidence_routes import evidence_routes
from kalla_app.api.exception_routes import exception_routes
from kalla_app.api.operate_routes import operate_routes
from kalla_app.api.recipe_routes import recipe_routes
from kalla_app.api.run_routes import run_routes, worker_routes
from kalla_app.api.source_routes import source_routes
from kalla_app.api.upload_routes import upload_routes
from kalla_app.context import App
from kalla_app.errors import NotFound
from kalla_app.metrics import AppMetrics
from kalla_app.pages.entry import entry_pages
from kalla_app.pages.exceptions import exception_pages
from kalla_app.pages.jump import jump_pages
from kalla_app.pages.match import match_pages
from kalla_app.pages.recipes import recipe_pages
from kalla_app.pages.reconcile import reconcile_pages
from kalla_app.pages.render import error_page, wants_page
from kalla_app.pages.rows import row_pages
from kalla_app.pages.runs import run_pages
from kalla_app.pages.sources import source_pages
from kalla_app.pages.spread import spread_pages
from kalla_app.pages.static import static_files
from kalla_app.pages.today import today_pages
from kalla_core.errors import KallaError, RequestRefused
from kalla_core.serving.answers import answer_errors

Handler = Callable[[Request, Exception], Awaitable[Response]]

_DESCRIPTION = """\
Sources, recipes, runs and exceptions of Kalla.

Errors are `{"error": {"code", "message", "details"}}` with a stable `code`. Where the app has a
token file, send `Authorization: Bearer TOKEN`.
"""


ROUTES: tuple[Callable[[App], APIRouter], ...] = (
    source_routes,
    recipe_routes,
    run_routes,
    evidence_routes,
    upload_routes,
    exception_routes,
    bench_routes,
    chat_routes,
    worker_routes,
    operate_routes,
)
PAGES: tuple[Callable[[App], APIRouter], ...] = (
    today_pages,
    jump_pages,
    source_pages,
    reconcile_pages,
    recipe_pages,
    run_pages,
    row_pages,
    spread_pages,
    match_pages,
    exception_pages,
    entry_pages,
)


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
    for routes in (*ROUTES, *PAGES):
        api.include_router(routes(app))
    api.include_router(static_files())
    answer_errors(api, "app")
    _show_errors(api, app)
    return _Counted(Gate(api, app.people, app.sessions, hosts), app.metrics)


def _show_errors(api: FastAPI, app: App) -> None:
    """Answer whoever looks at pages with a page, whatever went wrong."""

    async def show(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            missing = error.status_code == 404
            sentence = f"There is nothing at {request.url.path}." if missing else str(error.detail)
            error = NotFound(sentence) if missing else RequestRefused(sentence)
        if isinstance(error, RequestValidationError):
            error = RequestRefused("The address of this page says something that it cannot.")
        assert isinstance(error, KallaError)  # noqa: S101 - that is what it is registered for
        return await error_page(app, request, error)

    for kind in (KallaError, HTTPException, RequestValidationError):
        plain: Any = api.exception_handlers[kind]
        api.add_exception_handler(kind, _either(show, plain))


def _either(show: Handler, plain: Handler) -> Handler:
    async def handle(request: Request, error: Exception) -> Response:
        return await (show if wants_page(request) else plain)(request, error)

    return handle


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
