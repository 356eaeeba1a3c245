"""Errors as answers: always `{"error": {"code", "message", "details"}}`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from kalla_core.error_json import answer
from kalla_core.errors import KallaError, RecipeInvalid
from kalla_core.observe.logs import get_logger
from kalla_core.observe.secrets import mask
from kalla_core.recipe.paths import path_text
from kalla_core.serving.bodies import aside
from kalla_core.settings.tokens import CHALLENGE
from kalla_core.wire.status import http_status, retry_after_s

_WORDS = {404: "not_found", 405: "method_not_allowed", 406: "not_acceptable"}


def error_response(error: KallaError) -> Response:
    """Return the answer to a request that failed with an error of ours."""
    headers = {}
    wait = retry_after_s(error)
    if wait is not None:
        headers["Retry-After"] = str(wait)
    status = http_status(error)
    if status == 401:
        headers["WWW-Authenticate"] = CHALLENGE
    return JSONResponse({"error": mask(answer(error))}, status, headers)


def plain_error(
    status: int,
    code: str,
    message: str,
    details: Sequence[Mapping[str, Any]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an answer for what has no error of ours."""
    body = {"code": code, "message": message, "details": list(details)}
    return JSONResponse({"error": body}, status, headers)


def answer_errors(app: FastAPI, service: str) -> None:
    """Let an application answer every error in our form; `service` is what it calls itself."""
    app.add_exception_handler(KallaError, _kalla_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _parameter_error)
    app.add_exception_handler(Exception, _unknown_error_of(service))


async def _kalla_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, KallaError)  # noqa: S101 - that is what it is registered for
    if isinstance(error, RecipeInvalid):  # a hundred faults, each with texts to mask
        return await aside(error_response, error)
    return error_response(error)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - likewise
    code = _WORDS.get(error.status_code, "invalid_request")
    messages = {
        404: f"There is nothing at {request.url.path}.",
        405: f"{request.url.path} does not take {request.method}.",
    }
    message = messages.get(error.status_code, str(error.detail))
    return plain_error(error.status_code, code, message, headers=error.headers)


async def _parameter_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - likewise
    faults = [
        {
            "code": "invalid_parameter",
            "path": path_text([step for step in fault["loc"] if isinstance(step, str | int)]),
            "message": f"{fault['msg']}.",
            "details": {},
        }
        for fault in error.errors()
    ]
    lines = " ".join(f"{fault['path']}: {fault['message']}" for fault in faults)
    return plain_error(422, "invalid_request", f"A parameter is wrong. {lines}", faults)


def _unknown_error_of(service: str) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def unknown_error(request: Request, error: Exception) -> Response:
        get_logger().error(
            "request_failed", method=request.method, path=request.url.path, exc_info=error
        )
        message = f"The {service} failed in a way it does not know; its log says where."
        return plain_error(500, "internal", message)

    return unknown_error
