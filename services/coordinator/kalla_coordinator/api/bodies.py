"""The bodies of requests: bounded in bytes and in time, and JSON."""

from __future__ import annotations

import asyncio

from fastapi import Request

from kalla_core.errors import RecipeInvalid, RequestRefused, RequestTooLarge
from kalla_core.recipe.jsontext import read_json

MAX_BODY_BYTES = 1 << 20
BODY_PATIENCE_S = 30.0


async def body_of(request: Request) -> bytes:
    """Return the body of a request.

    Raises:
        RequestTooLarge: it has more than `MAX_BODY_BYTES`.
        RequestRefused: it does not arrive.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
        raise _too_large()
    pieces: list[bytes] = []
    held = 0
    try:
        async with asyncio.timeout(BODY_PATIENCE_S):
            async for piece in request.stream():
                held += len(piece)
                if held > MAX_BODY_BYTES:
                    raise _too_large()
                pieces.append(piece)
    except TimeoutError:
        raise RequestRefused(
            f"The body of the request did not arrive within {BODY_PATIENCE_S:g} seconds."
        ) from None
    return b"".join(pieces)


async def json_of(request: Request) -> object:
    """Return the body of a request, which is JSON.

    Raises:
        RecipeInvalid: it is no JSON, or a field is there twice.
        RequestTooLarge, RequestRefused: as `body_of`.
    """
    document, repeated = read_json(await body_of(request))
    if repeated:
        raise RecipeInvalid(repeated, "request")
    return document


def _too_large() -> RequestTooLarge:
    return RequestTooLarge(
        f"The request has more than {MAX_BODY_BYTES >> 20} MiB.", max_bytes=MAX_BODY_BYTES
    )
