"""The stream between executors and the coordinator, over a real connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from typing import Any

import grpc
import pytest

from kalla_coordinator.cluster.dispatch import Dispatcher
from kalla_coordinator.cluster.members import MemberState
from kalla_coordinator.cluster.stream import add_executors
from kalla_core.fragments.presence import (
    PROTOCOL,
    Draining,
    FromExecutor,
    Heartbeat,
    Hello,
    Refusal,
    Welcome,
)
from kalla_core.wire.executors import from_executor_message, to_executor
from kalla_core.wire.generated import executors_pb2 as pb
from kalla_core.wire.generated import executors_pb2_grpc as pb_grpc
from tests.support.small_executor import TIMING

PATIENCE_S = 60.0


def hello(protocol: int = PROTOCOL) -> Hello:
    return Hello("executor-1", "0.1.0", "10.0.0.7", 50051, 2, 1 << 30, protocol)


@asynccontextmanager
async def served() -> AsyncIterator[tuple[Dispatcher, Any]]:
    dispatcher = Dispatcher(TIMING, b"key")
    server = grpc.aio.server()
    add_executors(dispatcher, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    watching = asyncio.create_task(dispatcher.watch_over())
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            yield dispatcher, pb_grpc.ExecutorsStub(channel)  # type: ignore[no-untyped-call]
        finally:
            watching.cancel()
            dispatcher.close()
            await server.stop(1.0)


async def say(call: Any, said: FromExecutor) -> None:
    await call.write(from_executor_message(said))


async def until(condition: Any) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


async def test_an_executor_registers_and_shows_among_the_executors() -> None:
    async with served() as (dispatcher, stub):
        call = stub.Connect()
        await say(call, hello())

        answer = to_executor(await call.read())
        await say(call, Heartbeat(slots_busy=1, spool_bytes=7))
        await until(lambda: dispatcher.infos()[0].slots_busy == 1)

        (info,) = dispatcher.infos()
        assert answer == Welcome(TIMING.heartbeat)
        assert (info.address, info.slots, info.spool_bytes) == ("10.0.0.7:50051", 2, 7)
        assert dispatcher.slots() == 2


async def test_an_executor_of_another_version_is_told_so_and_its_stream_ends() -> None:
    async with served() as (dispatcher, stub):
        call = stub.Connect()
        await say(call, hello(PROTOCOL + 1))

        answer = to_executor(await call.read())

        assert isinstance(answer, Refusal)
        assert answer.code == "protocol_mismatch"
        assert await call.read() == grpc.aio.EOF
        assert dispatcher.infos() == ()


async def test_a_stream_that_does_not_begin_with_a_name_is_an_error() -> None:
    async with served() as (_, stub):
        call = stub.Connect()
        await say(call, Heartbeat())

        with pytest.raises(grpc.aio.AioRpcError, match="registers"):
            await call.read()


async def test_a_stream_that_begins_with_garbage_is_a_wrong_argument_and_no_fault_of_ours(
    capfd: pytest.CaptureFixture[str],
) -> None:
    dispatcher = Dispatcher(TIMING, b"key")
    server = grpc.aio.server()
    add_executors(dispatcher, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: Any = channel.stream_stream("/kalla.v1.Executors/Connect")()
        await call.write(b"\xff\xff garbage")

        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call.read()
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    await server.stop(1.0)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    "said",
    [
        {"executor_id": "x" * 3_000_000},
        {"executor_id": ""},
        {"executor_id": "line\nbreak"},
        {"host": "a b"},
        {"slots": 1 << 30},
        {"port": 0},
    ],
)
async def test_an_executor_that_none_can_be_is_not_taken_on(said: dict[str, Any]) -> None:
    async with served() as (dispatcher, stub):
        call = stub.Connect()
        await say(call, replace(hello(), **said))

        with pytest.raises(grpc.aio.AioRpcError, match="registers"):
            await call.read()
        assert dispatcher.infos() == ()


async def test_nobody_takes_the_place_of_an_executor_that_lives() -> None:
    mine = replace(hello(), secret=b"mine")
    async with served() as (dispatcher, stub):
        call = stub.Connect()
        await say(call, mine)
        welcome = to_executor(await call.read())
        thief = stub.Connect()
        await say(thief, replace(mine, secret=b"a guess", host="10.6.6.6"))
        refusal = to_executor(await thief.read())
        again = stub.Connect()
        await say(again, mine)
        back = to_executor(await again.read())

        assert isinstance(welcome, Welcome)
        assert isinstance(refusal, Refusal)
        assert refusal.code == "id_taken"
        assert back == welcome
        assert dispatcher.infos()[0].address == "10.0.0.7:50051"


async def test_a_stream_that_begins_with_nothing_we_know_is_an_error() -> None:
    async with served() as (dispatcher, stub):
        call = stub.Connect()
        await call.write(pb.FromExecutor())

        with pytest.raises(grpc.aio.AioRpcError, match="registers"):
            await call.read()
        assert dispatcher.infos() == ()


async def test_a_clock_that_is_set_forward_loses_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    async with served() as (dispatcher, stub):
        call = stub.Connect()
        await say(call, hello())
        await call.read()
        before = dispatcher.infos()[0].last_seen_at

        monkeypatch.setattr("kalla_core.serving.clock.datetime", _Tomorrow)
        await say(call, Heartbeat(slots_busy=1))
        await until(lambda: dispatcher.infos()[0].slots_busy == 1)

        (info,) = dispatcher.infos()
        assert info.state == MemberState.REGISTERED
        assert timedelta(0) <= info.last_seen_at - before < timedelta(hours=1)


class _Tomorrow(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return datetime.now(tz) + timedelta(days=1)


async def test_an_executor_that_breaks_off_is_suspect_and_then_gone() -> None:
    async with served() as (dispatcher, stub):
        call = stub.Connect()
        await say(call, hello())
        await call.read()

        call.cancel()
        await until(lambda: dispatcher.infos()[0].state == MemberState.SUSPECT)
        await until(lambda: not dispatcher.infos())

        assert dispatcher.slots() == 0


async def test_an_executor_that_drains_gets_no_more_work() -> None:
    async with served() as (dispatcher, stub):
        call = stub.Connect()
        await say(call, hello())
        await call.read()

        await say(call, Draining())
        await until(lambda: dispatcher.infos()[0].state == MemberState.DRAINING)
        await call.done_writing()

        assert dispatcher.slots() == 0
        await until(lambda: not dispatcher.infos())
