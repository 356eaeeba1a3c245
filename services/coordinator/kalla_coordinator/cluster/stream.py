"""The gRPC service that executors connect to: one stream each, for as long as they live."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from kalla_coordinator.cluster.dispatch import Dispatcher
from kalla_coordinator.cluster.line import Line
from kalla_core.errors import EngineFailure
from kalla_core.fragments.presence import Hello
from kalla_core.observe.logs import get_logger
from kalla_core.wire.executors import from_executor, to_executor_message
from kalla_core.wire.generated import executors_pb2 as pb
from kalla_core.wire.generated import executors_pb2_grpc as pb_grpc

SERVICE = "kalla.v1.Executors"
_REGISTRATION_PATIENCE_S = 30.0
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_HOST = re.compile(r"[A-Za-z0-9._:%\[\]-]{1,255}")
_LONGEST_VERSION = 100
_MOST_SLOTS = 1024

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class ExecutorsServicer(pb_grpc.ExecutorsServicer):
    """Passes on what executors say, and what they are told."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    async def Connect(  # noqa: N802 - as the proto has it
        self, requests: AsyncIterator[pb.FromExecutor], context: Context
    ) -> AsyncIterator[pb.ToExecutor]:
        """Serve one stream until either side ends it."""
        hello = await _registration(requests)
        if hello is None:
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, "The first message of a stream registers."
            )
            return
        line = self._dispatcher.connected(hello)
        listening = asyncio.create_task(self._listen(hello.executor_id, line, requests))
        try:
            while (said := await line.outbox.get()) is not None:
                yield to_executor_message(said)
        finally:
            listening.cancel()
            self._dispatcher.disconnected(hello.executor_id, line)
            with suppress(asyncio.CancelledError):
                await listening

    async def _listen(
        self, executor: str, line: Line, requests: AsyncIterator[pb.FromExecutor]
    ) -> None:
        try:
            async for message in requests:
                self._dispatcher.heard(executor, line, from_executor(message))
        except (EngineFailure, ValueError) as error:
            get_logger().warning("executor_not_understood", executor=executor, error=str(error))
        except grpc.aio.UsageError:  # the stream was ended under us
            get_logger().debug("executor_stream_ended", executor=executor)
        finally:
            line.close()


async def _registration(requests: AsyncIterator[pb.FromExecutor]) -> Hello | None:
    """Return what a stream begins with; None if that is something else, or nothing for long."""
    try:
        async with asyncio.timeout(_REGISTRATION_PATIENCE_S):
            first = await anext(requests, None)
        said = None if first is None else from_executor(first)
    except (EngineFailure, ValueError, TimeoutError):
        return None
    return said if isinstance(said, Hello) and _plausible(said) else None


def _plausible(hello: Hello) -> bool:
    """Whether an executor could be like that; what it says of itself is shown and logged."""
    return (
        _ID.fullmatch(hello.executor_id) is not None
        and _HOST.fullmatch(hello.host) is not None
        and len(hello.version) <= _LONGEST_VERSION
        and 0 < hello.port < 1 << 16
        and 0 < hello.slots <= _MOST_SLOTS
    )


def add_executors(dispatcher: Dispatcher, server: grpc.aio.Server) -> None:
    """Add the service to a server."""
    connect = grpc.stream_stream_rpc_method_handler(
        ExecutorsServicer(dispatcher).Connect,
        request_deserializer=_read,
        response_serializer=pb.ToExecutor.SerializeToString,
    )
    handlers = grpc.method_handlers_generic_handler(SERVICE, {"Connect": connect})
    server.add_generic_rpc_handlers((handlers,))


def _read(data: bytes) -> pb.FromExecutor:
    """Return a message; an empty one, which nobody understands, for what is none."""
    try:
        return pb.FromExecutor.FromString(data)
    except DecodeError:
        return pb.FromExecutor()
