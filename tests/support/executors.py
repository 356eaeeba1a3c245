"""A small coordinator that speaks the real gRPC with executors, and executors as processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import grpc

from kalla_core.fragments.attempt import AttemptId
from kalla_core.fragments.outcome import FragmentEnded, FragmentProgress, Outcome
from kalla_core.fragments.presence import (
    Draining,
    FromExecutor,
    Heartbeat,
    Hello,
    Refusal,
    ToExecutor,
    Welcome,
)
from kalla_core.wire.executors import from_executor, to_executor_message
from kalla_core.wire.generated import executors_pb2 as pb
from kalla_core.wire.generated import executors_pb2_grpc as pb_grpc

PATIENCE_S = 60.0
T = TypeVar("T")

_START = (
    "from kalla_executor.app import run\n"
    "from kalla_core.settings import ExecutorSettings, load\n"
    "run(load(ExecutorSettings))\n"
)


@dataclass
class Line:
    """One executor's stream, as the coordinator has it."""

    hello: Hello
    outbox: asyncio.Queue[pb.ToExecutor | None] = field(default_factory=asyncio.Queue)
    heard: list[FromExecutor] = field(default_factory=list)

    def say(self, said: ToExecutor) -> None:
        self.outbox.put_nowait(to_executor_message(said))

    def say_as_it_is(self, message: pb.ToExecutor) -> None:
        """Say what a coordinator of another version might."""
        self.outbox.put_nowait(message)

    def hang_up(self) -> None:
        self.outbox.put_nowait(None)

    def ended(self, attempt: AttemptId) -> Outcome | None:
        """What became of an attempt, if it was told."""
        told = [s for s in self.heard if isinstance(s, FragmentEnded) and s.id == attempt]
        return told[-1].outcome if told else None

    async def end_of(self, attempt: AttemptId) -> Outcome:
        return await soon(lambda: self.ended(attempt))

    async def beat(self, fits: Callable[[Heartbeat], bool] = lambda _: True) -> Heartbeat:
        return await soon(
            lambda: next((s for s in self.heard if isinstance(s, Heartbeat) and fits(s)), None)
        )

    async def progress_of(self, attempt: AttemptId) -> FragmentProgress:
        return await soon(
            lambda: next(
                (s for s in self.heard if isinstance(s, FragmentProgress) and s.id == attempt),
                None,
            )
        )

    async def draining(self) -> Draining:
        return await soon(lambda: next((s for s in self.heard if isinstance(s, Draining)), None))


class SmallCoordinator(pb_grpc.ExecutorsServicer):
    """Takes whoever comes; a test says what they are told."""

    def __init__(self, answer: Refusal | None = None, token: str | None = None) -> None:
        self.lines: list[Line] = []
        self.port = 0
        self._answer = answer or Welcome(timedelta(milliseconds=200))
        self._token = token

    async def Connect(  # noqa: N802 - as the proto has it
        self, requests: Any, context: Any
    ) -> AsyncIterator[Any]:
        sent = dict(context.invocation_metadata()).get("authorization")
        if self._token is not None and sent != f"Bearer {self._token}":
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no such token")
        hello = from_executor(await anext(requests))
        assert isinstance(hello, Hello)
        line = Line(hello)
        line.say(self._answer)
        listening = asyncio.create_task(_listen(line, requests))
        self.lines.append(line)
        try:
            while (said := await line.outbox.get()) is not None:
                yield said
        finally:
            listening.cancel()

    async def line(self, number: int = 0) -> Line:
        """The stream that was opened as the `number`th."""
        return await soon(lambda: self.lines[number] if len(self.lines) > number else None)


async def _listen(line: Line, requests: Any) -> None:
    with suppress(grpc.aio.UsageError):
        async for message in requests:
            line.heard.append(from_executor(message))


async def soon(look: Callable[[], T | None]) -> T:
    """Look again and again until there is something; fails after a while."""
    async with asyncio.timeout(PATIENCE_S):
        while (found := look()) is None:
            await asyncio.sleep(0.02)
        return found


@asynccontextmanager
async def coordinating(
    answer: Refusal | None = None, token: str | None = None, port: int = 0
) -> AsyncIterator[SmallCoordinator]:
    server = grpc.aio.server()
    service = SmallCoordinator(answer, token)
    pb_grpc.add_ExecutorsServicer_to_server(service, server)  # type: ignore[no-untyped-call]
    service.port = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield service
    finally:
        for line in service.lines:
            line.hang_up()
        await server.stop(0.2)


@dataclass
class ExecutorProcess:
    process: asyncio.subprocess.Process
    log: Path

    async def port(self, which: str) -> int:
        """The port that it said it listens on, by its name in the log."""
        return await soon(lambda: self._port(which))

    def _port(self, which: str) -> int | None:
        for line in self.log.read_text().splitlines():
            if '"executor_started"' in line:
                return int(json.loads(line)[which])
        return None

    def tell(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def exit_code(self) -> int:
        return await asyncio.wait_for(self.process.wait(), PATIENCE_S)


@asynccontextmanager
async def executing(
    port: int, spool: Path, environment: Mapping[str, str] | None = None
) -> AsyncIterator[ExecutorProcess]:
    """Start an executor that looks for a coordinator at `port`; it is killed at the end."""
    spool.mkdir(exist_ok=True)
    log = spool.parent / f"{spool.name}-{uuid.uuid4().hex}.log"
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _START,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            env={
                **os.environ,
                "COORDINATOR_HOST": "127.0.0.1",
                "COORDINATOR_PORT": str(port),
                "BIND_PORT": "0",
                "BIND_GRPC_PORT": "0",
                "EXECUTOR_HTTP_PORT": "0",
                "KALLA_SPOOL_PATH": str(spool),
                "KALLA_SLOTS": "1",
                "KALLA_MEMORY_LIMIT": "1GiB",
                **(environment or {}),
            },
        )
    try:
        yield ExecutorProcess(process, log)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
