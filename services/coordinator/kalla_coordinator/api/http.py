"""The HTTP application: its routes, who may come in, its OpenAPI description."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from kalla_coordinator.api.auth import Tokens, caller
from kalla_coordinator.api.context import Api
from kalla_coordinator.api.docs import docs_route
from kalla_coordinator.api.evidence_routes import evidence_routes
from kalla_coordinator.api.inspect_routes import inspect_routes
from kalla_coordinator.api.job_routes import job_routes
from kalla_coordinator.api.operate_routes import OPEN_PATHS, operate_routes
from kalla_coordinator.api.requests import request_schemas
from kalla_core.errors import NotAllowed, Unauthenticated
from kalla_core.observe.tracing import HEADER, as_trace, incoming
from kalla_core.serving.answers import answer_errors, error_response
from kalla_core.settings.tokens import Role

_DESCRIPTION = """\
Kalla reconciles two data sets: submit a job, watch it, fetch its evidence.

Errors are `{"error": {"code", "message", "details"}}` with a stable `code`. Where the coordinator
has a token file, send `Authorization: Bearer TOKEN`: what is read needs a token of the role `read`,
all else one of the role `submit`. `/health`, `/ready` and this description need none.
"""


def application(api: Api) -> ASGIApp:
    """Return the application; nothing of it blocks the event loop."""
    app = FastAPI(
        title="Kalla",
        version=version("kalla"),
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=_operation_id,
    )
    app.router.redirect_slashes = False
    for routes in (job_routes, evidence_routes, inspect_routes, operate_routes):
        app.include_router(routes(api))
    app.include_router(docs_route(app))
    answer_errors(app, "coordinator")
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    return _Guarded(app, api.tokens)


def _operation_id(route: APIRoute) -> str:
    """Return the name of a call for programs that are made from the description: `submitJob`."""
    first, *others = route.name.split("_")
    return first + "".join(word.capitalize() for word in others)


class _Guarded:
    """Lets in whoever has a token; also nothing else is told to others, not what is there."""

    def __init__(self, app: ASGIApp, tokens: Tokens) -> None:
        self._app = app
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            try:
                caller.set(self._tokens.check(_authorization(scope), _role(scope["method"])))
                incoming.set(as_trace(_only(scope, HEADER.encode())))
            except (NotAllowed, Unauthenticated) as error:
                await error_response(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _role(method: str) -> Role:
    return Role.READ if method in ("GET", "HEAD", "OPTIONS") else Role.SUBMIT


def _authorization(scope: Scope) -> str | None:
    sent = _only(scope, b"authorization")
    return None if sent is None else sent.decode("latin-1")


def _only(scope: Scope, header: bytes) -> bytes | None:
    """Return the value of a header that was sent once."""
    sent: list[bytes] = [value for name, value in scope["headers"] if name == header]
    return sent[0] if len(sent) == 1 else None


def _described(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI description, made once."""
    if app.openapi_schema:
        return app.openapi_schema
    described = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    schemas = described.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(request_schemas())
    described["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    described["security"] = [{"token": []}, {}]
    app.openapi_schema = described
    return described
