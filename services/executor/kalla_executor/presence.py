"""The stream to the coordinator: opened by the executor, and opened again whenever it breaks.

What is to be told waits while there is no stream. What was told on a stream that broke may be
lost; the coordinator sees from the next `Hello` what is still in hand and what is held, and asks
again for the rest.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from typing import Any

import grpc

from kalla_core.errors import (
    CoordinatorUnavailable,
    EngineFailure,
    KallaError,
    Unauthenticated,
)
from kalla_core.fragments.outcome import FragmentEnded, FragmentProgress, failed
from kalla_core.fragments.presence import (
    CancelFragment,
    Draining,
    ForgetJob,
    FromExecutor,
    Heartbeat,
    Hello,
    PeerGone,
    Refusal,
    ToExecutor,
    Welcome,
)
from kalla_core.fragments.remote import Launch
from kalla_core.observe.logs import get_logger
from kalla_core.wire.attempts import attempt_of
from kalla_core.wire.executors import from_executor_message, to_executor
from kalla_core.wire.generated import executors_pb2 as pb
from kalla_core.wire.generated import executors_pb2_grpc as pb_grpc

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0
_WELCOME_PATIENCE_S = 10.0
_OPTIONS = [
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
]


@dataclass(frozen=True, slots=True)
class Ears:
    """What is done about what the coordinator says; all return at once."""

    welcome: Callable[[Welcome], None]
    launch: Callable[[Launch], None]
    cancel: Callable[[CancelFragment], None]
    forget: Callable[[ForgetJob], None]
    gone: Callable[[PeerGone], None]


class Refused(KallaError):
    """The coordinator does not want this executor as it is."""

    code = "refused"


class Presence:
    """Keeps a stream open until it is cancelled; all on one event loop.

    Args:
        hello: what to register with, as things stand.
        beat: how the executor is.
        authorities: by which the coordinator is known over TLS, as PEM; None without TLS.
    """

    def __init__(
        self,
        address: str,
        token: str | None,
        hello: Callable[[], Awaitable[Hello]],
        beat: Callable[[], Awaitable[Heartbeat]],
        ears: Ears,
        authorities: bytes | None = None,
    ) -> None:
        self._authorities = authorities
        self._address = address
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._hello = hello
        self._beat = beat
        self._ears = ears
        self._unsaid: deque[FromExecutor] = deque()
        self._more = asyncio.Event()
        self._draining = False
        self.registered = False

    def tell(self, said: FragmentProgress | FragmentEnded) -> None:
        """Tell the coordinator; progress is worth nothing once the stream is broken."""
        if isinstance(said, FragmentEnded) or self.registered:
            self._say(said)

    def drain(self) -> None:
        """Say that no new fragment is wanted, now and on every new stream."""
        if not self._draining:
            self._draining = True
            self._say(Draining())

    async def said_all(self, patience: timedelta) -> None:
        """Wait until nothing is left to be told, for a while."""
        until = asyncio.get_running_loop().time() + patience.total_seconds()
        while self._unsaid and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.02)

    async def stay(self) -> None:
        """Be present until cancelled.

        Raises:
            Refused: the coordinator wants no executor like this one.
            Unauthenticated: it does not know the token.
        """
        pause = _FIRST_PAUSE_S
        while True:
            try:
                await self._stream()
                pause = _FIRST_PAUSE_S
            except CoordinatorUnavailable as error:
                get_logger().warning("coordinator_unavailable", reason=error.message)
            finally:
                self.registered = False
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads, no secret
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _channel(self) -> grpc.aio.Channel:
        if self._authorities is None:
            return grpc.aio.insecure_channel(self._address, options=_OPTIONS)
        trusted = grpc.ssl_channel_credentials(root_certificates=self._authorities)
        return grpc.aio.secure_channel(self._address, trusted, options=_OPTIONS)

    async def _stream(self) -> None:
        async with self._channel() as channel:
            stub: Any = pb_grpc.ExecutorsStub(channel)  # type: ignore[no-untyped-call]
            call = stub.Connect(self._sayings(), metadata=self._metadata)
            beating: asyncio.Task[None] | None = None
            try:
                incoming = aiter(call)
                welcome = await self._welcomed(incoming)
                beating = asyncio.create_task(self._keep_beating(welcome.heartbeat_interval))
                async for message in incoming:
                    self._understand(message)
            except grpc.aio.AioRpcError as error:
                raise _unavailable(error, self._address) from error
            finally:
                if beating is not None:
                    beating.cancel()
                call.cancel()

    async def _welcomed(self, incoming: AsyncIterator[pb.ToExecutor]) -> Welcome:
        try:
            first = await asyncio.wait_for(anext(incoming, None), _WELCOME_PATIENCE_S)
        except TimeoutError as error:
            raise CoordinatorUnavailable(
                f"The coordinator at {self._address} does not answer."
            ) from error
        said = None if first is None else to_executor(first)
        match said:
            case Welcome():
                self._ears.welcome(said)
                self.registered = True
                get_logger().info("registered", coordinator=self._address)
                return said
            case Refusal():
                raise Refused(f"The coordinator refuses this executor: {said.message}")
            case _:
                raise CoordinatorUnavailable(f"The coordinator at {self._address} hung up.")

    async def _sayings(self) -> AsyncIterator[pb.FromExecutor]:
        """Yield what is to be told on one stream, the registration first."""
        yield from_executor_message(await self._hello())
        if self._draining and not any(isinstance(said, Draining) for said in self._unsaid):
            yield from_executor_message(Draining())
        while True:
            while self._unsaid:
                said = self._unsaid[0]
                yield from_executor_message(said)
                if self._unsaid and self._unsaid[0] is said:
                    self._unsaid.popleft()
            self._more.clear()
            await self._more.wait()

    async def _keep_beating(self, interval: timedelta) -> None:
        while True:
            self._say(await self._beat())
            await asyncio.sleep(interval.total_seconds())

    def _say(self, said: FromExecutor) -> None:
        if isinstance(said, Heartbeat | FragmentProgress):
            self._drop_superseded(said)
        self._unsaid.append(said)
        self._more.set()

    def _drop_superseded(self, newer: Heartbeat | FragmentProgress) -> None:
        """Keep no two reports of one thing: a slow stream must not fill the memory."""
        for index, said in enumerate(self._unsaid):
            same = isinstance(said, Heartbeat) and isinstance(newer, Heartbeat)
            same |= (
                isinstance(said, FragmentProgress)
                and isinstance(newer, FragmentProgress)
                and said.id == newer.id
            )
            if same and index > 0:  # the first may be on its way
                del self._unsaid[index]
                return

    def _understand(self, message: pb.ToExecutor) -> None:
        """Do as a message says; what a newer coordinator means by it fails, and nothing else."""
        try:
            said = to_executor(message)
        except KallaError as error:
            get_logger().warning("message_not_understood", reason=error.message)
            if message.HasField("launch"):
                why = EngineFailure(
                    f"This executor (version {version('kalla')}) does not understand what it is to "
                    "do: install the same version of Kalla on the coordinator and on all "
                    f"executors. {error.message}"
                )
                self._say(FragmentEnded(attempt_of(message.launch.id), 0.0, failed(why)))
            return
        self._hear(said)

    def _hear(self, said: ToExecutor) -> None:
        match said:
            case Launch():
                self._ears.launch(said)
            case CancelFragment():
                self._ears.cancel(said)
            case ForgetJob():
                self._ears.forget(said)
            case PeerGone():
                self._ears.gone(said)
            case Welcome():
                self._ears.welcome(said)
            case Refusal():
                raise Refused(f"The coordinator refuses this executor: {said.message}")


def _unavailable(error: grpc.aio.AioRpcError, address: str) -> KallaError:
    if error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        return Unauthenticated(f"The coordinator at {address} says: {error.details()}")
    return CoordinatorUnavailable(
        f"The coordinator at {address} cannot be reached: {error.code().name.lower()}: "
        f"{error.details()}"
    )
