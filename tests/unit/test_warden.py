"""Connections that cost and do nothing are ended, whoever their server is."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pyarrow as pa
import pyarrow.flight as flight
import pytest

from kalla_core.warden import HELLO_BYTES, Bounds, Traffic, Watch, bounded, connections

PORT = 7
PATIENCE_S = 30


def came(*counts: int) -> dict[int, Traffic]:
    return {number: Traffic(PORT, count, 0) for number, count in enumerate(counts)}


def test_who_says_nothing_is_ended_and_who_said_hello_is_not() -> None:
    watch = Watch({PORT: Bounds(10, hello_s=15)})

    assert watch.ending(came(0, HELLO_BYTES, 5), 0) == {}
    assert watch.ending(came(0, HELLO_BYTES, 5), 15) == {}
    assert watch.ending(came(0, HELLO_BYTES, 6), 16) == {0: "hello", 2: "hello"}


def test_pings_do_not_keep_a_still_connection() -> None:
    watch = Watch({PORT: Bounds(10, still_s=60)})
    said = 1000
    watch.ending(came(said, said), 0)

    for now in range(1, 61):
        said += 17
        assert watch.ending(came(said, now * 1000), now) == {}

    assert watch.ending(came(said + 17, 61_000), 61) == {0: "still"}


def test_too_many_are_ended_from_those_that_said_nothing_and_the_longest_still() -> None:
    watch = Watch({PORT: Bounds(2)})
    watch.ending(came(1000, 1000, 1000), 0)

    found = watch.ending({**came(1000, 2000, 2000), 3: Traffic(PORT, 0, 0)}, 1)

    assert found == {0: "most", 3: "most"}


def test_a_number_that_the_kernel_gives_again_begins_anew() -> None:
    watch = Watch({PORT: Bounds(10, still_s=60)})
    watch.ending(came(1000), 0)

    assert watch.ending(came(40), 61) == {}


class _Endless(flight.FlightServerBase):  # type: ignore[misc]
    """Rows without end; says when somebody went away."""

    def __init__(self) -> None:
        super().__init__("grpc+tcp://127.0.0.1:0")
        self.sent = 0

    def do_get(self, _: object, __: object) -> flight.FlightDataStream:
        schema = pa.schema([("x", pa.binary())])

        def rows() -> Iterator[pa.RecordBatch]:
            while True:
                self.sent += 1
                yield pa.record_batch([pa.array([b"x" * (1 << 20)])], schema)

        return flight.GeneratorStream(schema, rows())


@contextmanager
def endless() -> Iterator[_Endless]:
    server = _Endless()
    try:
        yield server
    finally:
        server.shutdown()


def connected(stack: ExitStack, port: int) -> socket.socket:
    return stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE_S))


def until_none_is_left(port: int) -> None:
    until = time.monotonic() + PATIENCE_S
    while list(connections({port})):
        assert time.monotonic() < until
        os.sched_yield()


def until_closed(one: socket.socket) -> None:
    """Read to the end, which comes before the patience of the socket has passed."""
    try:
        while one.recv(1 << 16):
            pass
    except ConnectionResetError:
        return


def test_a_flight_server_gets_rid_of_who_says_nothing() -> None:
    with endless() as server, ExitStack() as stack:
        silent = [connected(stack, server.port) for _ in range(5)]
        stack.enter_context(bounded({server.port: Bounds(10, hello_s=0.2)}, 0.05))

        for one in silent:
            until_closed(one)
        until_none_is_left(server.port)

        with flight.connect(f"grpc+tcp://127.0.0.1:{server.port}") as client:
            assert client.do_get(flight.Ticket(b"")).read_chunk().data.num_rows == 1


def test_a_flight_server_has_no_more_connections_than_it_may() -> None:
    with endless() as server, ExitStack() as stack:
        many = [connected(stack, server.port) for _ in range(40)]
        stack.enter_context(bounded({server.port: Bounds(3)}, 0.05))

        until = time.monotonic() + PATIENCE_S
        while len(list(connections({server.port}))) > 3:
            assert time.monotonic() < until
            os.sched_yield()

        assert len(many) == 40


def test_a_stream_of_flight_that_nobody_reads_is_ended_and_one_that_is_read_is_not() -> None:
    with endless() as server, ExitStack() as stack:
        stack.enter_context(bounded({server.port: Bounds(10, still_s=1.0)}, 0.05))
        location = f"grpc+tcp://127.0.0.1:{server.port}"
        unread = stack.enter_context(flight.connect(location)).do_get(flight.Ticket(b""))
        read = stack.enter_context(flight.connect(location)).do_get(flight.Ticket(b""))
        unread.read_chunk()

        until = time.monotonic() + PATIENCE_S
        while len(list(connections({server.port}))) > 1:
            assert time.monotonic() < until
            read.read_chunk()
        for _ in range(20):
            read.read_chunk()
        with pytest.raises(pa.ArrowException):
            unread.read_all()
        read.cancel()


_ELSEWHERE = """
import os, socket, sys
from kalla_core.observe.logs import configure_logs
from kalla_core.settings import LogFormat, LogLevel
configure_logs(LogLevel.INFO, LogFormat.JSON)
if sys.argv[1] == "macos":
    sys.platform = "darwin"
    del socket.TCP_INFO
elif sys.argv[1] == "old-kernel":
    real = socket.socket.getsockopt
    class Socket(socket.socket):
        def getsockopt(self, *asked):
            return real(self, *asked)[:104] if len(asked) == 3 else real(self, *asked)
    socket.socket = Socket
real_list = os.listdir
def listdir(path="."):
    if str(path).startswith("/proc"):
        raise FileNotFoundError(2, "No such file or directory", path)
    return real_list(path)
os.listdir = listdir
from kalla_core.warden import Bounds, bounded, connections
with socket.create_server(("127.0.0.1", 0)) as server:
    port = server.getsockname()[1]
    with bounded({port: Bounds(1)}, interval_s=0.01), bounded({}):
        ours, (theirs, _) = socket.create_connection(("127.0.0.1", port)), server.accept()
        ours.sendall(b"hello")
        print(theirs.recv(5).decode())
        if sys.argv[1] == "no-proc":
            print(len(list(connections([port]))))
"""


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("macos", "that takes Linux, and this is darwin"),
        ("old-kernel", "this kernel does not count the bytes of connections"),
        ("no-proc", None),
    ],
)
def test_where_traffic_cannot_be_seen_a_service_says_so_once_and_serves(
    where: str, why: str | None
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE, where], capture_output=True, text=True, check=True
    )

    said = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.stdout.split() == (["hello"] if why else ["hello", "1"])
    assert [one["event"] for one in said] == (["connections_not_bounded"] if why else [])
    assert [one["reason"] for one in said] == ([why] if why else [])
