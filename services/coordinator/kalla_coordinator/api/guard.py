"""What stands around gRPC calls: tokens for all, errors as statuses for our own service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, NoReturn, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from kalla_coordinator.api.auth import Tokens, caller
from kalla_core.errors import (
    EngineFailure,
    KallaError,
    NotAllowed,
    RecipeInvalid,
    RequestRefused,
    Unauthenticated,
)
from kalla_core.observe.logs import get_logger
from kalla_core.observe.tracing import HEADER, as_trace, incoming
from kalla_core.serving.bodies import aside
from kalla_core.serving.connections import STUCK_PATIENCE_S
from kalla_core.settings.tokens import Role
from kalla_core.wire.status import grpc_details, statuses

_PARTING_S = 1.0
_OPEN = "/grpc.health.v1.Health/"
_OF_EXECUTORS = "/kalla.v1.Executors/"
_OF_REFLECTION = "/grpc.reflection."
_READING = frozenset(
    {f"/kalla.v1.Jobs/{name}" for name in ("GetJob", "ListJobs", "WatchJob", "ListExecutors")}
    | {f"/kalla.v1.Evidence/{name}" for name in ("GetMetadata", "GetRows", "GetFile", "GetWhy")}
)

Call = grpc.HandlerCallDetails
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class TokenGuard(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Lets in whoever has a token; health is open, for probes cannot send one."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def intercept_service(
        self, continuation: Callable[[Call], Awaitable[Handler]], call: Call
    ) -> Handler:
        """Return the handler of a call, or one that refuses it."""
        handler = await continuation(call)
        if handler is None or call.method.startswith(_OPEN):
            return handler
        try:
            caller.set(self._tokens.check(_only(call, "authorization"), _role(call.method)))
            incoming.set(as_trace(_only(call, HEADER)))
        except (NotAllowed, Unauthenticated) as error:
            return _refusing(handler, error)
        return handler


def _only(call: Call, name: str) -> str | None:
    """Return the metadata of a name that was sent once."""
    sent = [value for key, value in call.invocation_metadata or () if key == name]
    return str(sent[0]) if len(sent) == 1 else None


class ErrorGuard(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Lets the calls of our services end with the statuses of our errors, whatever happens.

    A request that is no message of its kind is the caller's error, not ours.
    """

    def __init__(self, *services: str) -> None:
        self._prefixes = tuple(f"/{service}/" for service in services)

    async def intercept_service(
        self, continuation: Callable[[Call], Awaitable[Handler]], call: Call
    ) -> Handler:
        """Return the handler of a call, guarded if it is one of ours."""
        handler = await continuation(call)
        if handler is None or not call.method.startswith(self._prefixes):
            return handler
        read = _reader(handler.request_deserializer)
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                _guarded_stream(handler.unary_stream), read, handler.response_serializer
            )
        return grpc.unary_unary_rpc_method_handler(
            _guarded(handler.unary_unary), read, handler.response_serializer
        )


async def abort(context: Context, error: KallaError) -> NoReturn:
    """End a call with an error of ours."""
    many = isinstance(error, RecipeInvalid)  # a hundred faults, which fit only if they are cut
    details = await aside(grpc_details, error) if many else grpc_details(error)
    await context.abort(statuses(error).grpc, error.message, details)


def _role(method: str) -> Role | None:
    """Return what a token must be good for; None if any will do."""
    if method.startswith(_OF_EXECUTORS):
        return Role.EXECUTOR
    if method.startswith(_OF_REFLECTION):
        return None
    return Role.READ if method in _READING else Role.SUBMIT


def _guarded(behaviour: Any) -> Any:
    async def call(request: Any, context: Context) -> Any:
        try:
            return await behaviour(_demanded(request), context)
        except KallaError as error:
            await abort(context, error)
        except Exception as error:
            await _abort_unknown(context, error)

    return call


def _guarded_stream(behaviour: Any) -> Any:
    async def call(request: Any, context: Context) -> None:
        try:
            async with aclosing(behaviour(_demanded(request), context)) as messages:
                async for message in messages:
                    await _taken(context, message)
        except _NothingTaken:
            await _part(context)
        except KallaError as error:
            await abort(context, error)
        except Exception as error:
            await _abort_unknown(context, error)

    return call


class _NothingTaken(Exception):
    """Whoever called takes nothing of what is there for them."""


async def _taken(context: Context, message: Any) -> None:
    try:
        async with asyncio.timeout(STUCK_PATIENCE_S):
            await context.write(message)
    except TimeoutError:
        raise _NothingTaken from None


async def _part(context: Context) -> None:
    """Leave the status behind what was not taken, for gRPC ends no call without one.

    It arrives if ever the rest is taken; until then the call holds one message, and nobody waits.
    """
    try:
        async with asyncio.timeout(_PARTING_S):
            await context.abort(
                grpc.StatusCode.DEADLINE_EXCEEDED,
                f"Nothing of the stream was taken for {STUCK_PATIENCE_S:g} s.",
            )
    except TimeoutError:
        raise asyncio.CancelledError from None


async def _abort_unknown(context: Context, error: Exception) -> NoReturn:
    if isinstance(error, grpc.aio.AbortError):
        raise error
    get_logger().error("request_failed", exc_info=error)
    failure = EngineFailure("The coordinator failed in a way it does not know; its log says where.")
    await abort(context, failure)


def _reader(deserialize: Any) -> Callable[[bytes], Any]:
    def read(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError as error:
            return RequestRefused(f"The request is no message of its kind: {error}.")

    return read


def _demanded(request: Any) -> Any:
    if isinstance(request, RequestRefused):
        raise request
    return request


def _refusing(handler: Handler, error: KallaError) -> Handler:
    """Return a handler of the same kind that refuses every call."""

    async def refuse(_: object, context: Context) -> NoReturn:
        await abort(context, error)

    async def refuse_stream(_: object, context: Context) -> AsyncIterator[object]:
        await abort(context, error)
        yield  # makes it a stream

    kinds: dict[tuple[bool, bool], Callable[..., Handler]] = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    kind = kinds[handler.request_streaming, handler.response_streaming]
    return kind(refuse_stream if handler.response_streaming else refuse)
