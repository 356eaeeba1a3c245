"""What a coordinator answers while another owns its job store: alive, and not ready."""

from __future__ import annotations

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from kalla_core.errors import StoreUnavailable
from kalla_core.serving.answers import error_response
from kalla_core.wire.status import RETRY_AFTER_S

REASON = "waiting: another coordinator owns the job store; this one takes over when that is gone"


async def waiting_application(scope: Scope, receive: Receive, send: Send) -> None:
    """An ASGI application; it asks for no token, for it tells nothing about jobs."""
    if scope["type"] != "http":
        return
    answers = {
        "/health": JSONResponse({"status": "ok"}),
        "/ready": JSONResponse(
            {"ready": False, "reason": REASON}, 503, {"Retry-After": str(RETRY_AFTER_S)}
        ),
    }
    failure = StoreUnavailable("This coordinator waits: another owns the job store.")
    answer = answers.get(scope["path"]) or error_response(failure)
    await answer(scope, receive, send)
