"""A flood of connections, and few descriptors: the coordinator says little and answers again."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pyarrow.flight as flight
import pytest

from tests.support.coordinators import Process, coordinator_process, select_pause

DESCRIPTORS, FLOOD = 256, 400
PATIENCE_S = 40


@contextmanager
def few_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    with ExitStack() as stack:
        with few_descriptors():
            process = stack.enter_context(coordinator_process(tmp_path / "staging"))
        yield process


def answers(process: Process) -> bool:
    try:
        ready = httpx.get(f"{process.url}/ready", timeout=5).status_code == 200
        with flight.connect(f"grpc+tcp://127.0.0.1:{process.results}") as client:
            list(client.list_flights(options=flight.FlightCallOptions(timeout=5)))
    except (httpx.HTTPError, flight.FlightError, OSError):
        return False
    return ready


@pytest.mark.parametrize("which", ["grpc", "results"])
def test_a_flood_of_connections_that_say_nothing_passes(which: str, process: Process) -> None:
    before = process.log.stat().st_size
    with ExitStack() as stack:
        for _ in range(FLOOD):
            port = getattr(process, which)
            stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE_S))

        until = time.monotonic() + PATIENCE_S
        while not answers(process):
            assert time.monotonic() < until, process.log.read_text()[-2000:]
            select_pause()

    said = process.log.read_text()[before:]
    assert "connections_ended" in said
    assert len(said) < 20_000
