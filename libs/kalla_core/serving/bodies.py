"""The bodies of requests: bounded in bytes and in time, and JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from traceback import clear_frames
from typing import ParamSpec, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from kalla_core.errors import KallaError, RecipeInvalid, RequestRefused, RequestTooLarge
from kalla_core.recipe.jsontext import read_json

P = ParamSpec("P")
T = TypeVar("T")

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
    except ClientDisconnect:
        raise RequestRefused("The body of the request was cut off by its sender.") from None
    return b"".join(pieces)


async def made_of(request: Request, make: Callable[[object], T]) -> T:
    """Return what is made of the JSON in the body of a request.

    Raises:
        RecipeInvalid: it is no JSON, a field is there twice, or it cannot be made.
        RequestTooLarge, RequestRefused: as `body_of`.
    """
    body = await body_of(request)
    return await aside(made_from, body, make)


async def aside(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what `work` makes of what a caller sent; not on the loop, however little that is.

    A few kilobytes of names that nobody knows are compared with all that are known.
    """
    return await asyncio.to_thread(_leaving_nothing, partial(work, *args, **kwargs))


def _leaving_nothing(work: Callable[[], T]) -> T:
    """Do the work; an error takes nothing along that whoever hears of it would have to free."""
    try:
        return work()
    except KallaError as error:
        behind: BaseException | None = error
        while behind is not None:
            clear_frames(behind.__traceback__)
            behind = behind.__cause__ or behind.__context__
        raise


def made_from(body: bytes | str, make: Callable[[object], T]) -> T:
    """Return what is made of JSON; `made_of` tells of the errors."""
    document, repeated = read_json(body)
    if repeated:
        raise RecipeInvalid(repeated, "request")
    return make(document)


def _too_large() -> RequestTooLarge:
    return RequestTooLarge(
        f"The request has more than {MAX_BODY_BYTES >> 20} MiB.", max_bytes=MAX_BODY_BYTES
    )
