"""Reading results takes memory within a bound: that of a coordinator, seen from outside."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pyarrow.flight as flight
import pytest

from kalla_core.wire.flight_errors import error_from_flight
from tests.support.coordinators import Process, coordinator_process, select_pause

ROWS, ROW_BYTES = 250, 200_000
MIB = 1 << 20
STREAMS, SOME = 24, 4
MANY = 80
"""More than are served at a time."""
PATIENCE_S = 90


@dataclass
class Wide:
    """A coordinator with a run that left rows of 200 kB."""

    process: Process

    @property
    def rows(self) -> str:
        return f"{self.process.url}/api/jobs/wide/evidence/unmatched_left"

    @property
    def peak_bytes(self) -> int:
        return self._status("VmHWM:")

    @property
    def used_bytes(self) -> int:
        return self._status("VmRSS:")

    def _status(self, name: str) -> int:
        text = Path(f"/proc/{self.process.process.pid}/status").read_text()
        return next(int(line.split()[1]) << 10 for line in text.splitlines() if name in line)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wide]:
    folder = tmp_path_factory.mktemp("wide")
    with (folder / "left.csv").open("w") as file:
        file.write("id,text\n")
        file.writelines(f"{number},{number}{'x' * ROW_BYTES}\n" for number in range(ROWS))
    (folder / "right.csv").write_text("id\n-1\n")
    body = {
        "run_id": "wide",
        "match_sql": "SELECT l.id, r.id FROM left_src l JOIN right_src r ON l.id = r.id",
        "sources": [
            {"alias": "invoices", "uri": str(folder / "left.csv")},
            {"alias": "payments", "uri": str(folder / "right.csv")},
        ],
        "primary_keys": {"invoices": ["id"], "payments": ["id"]},
    }
    with coordinator_process(folder / "staging") as process:
        httpx.post(f"{process.url}/api/jobs", json=body, timeout=60).raise_for_status()
        until = time.monotonic() + PATIENCE_S
        while (job := httpx.get(f"{process.url}/api/jobs/wide", timeout=60).json())[
            "ended_at"
        ] is None:
            assert time.monotonic() < until
            select_pause()
        assert job["status"] == "succeeded", job
        yield Wide(process)


def test_a_limit_is_a_bound_on_what_is_read(wide: Wide) -> None:
    httpx.get(wide.rows, params={"limit": 1}, timeout=PATIENCE_S)
    before = wide.used_bytes

    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(lambda _: httpx.get(wide.rows, params={"limit": 1}, timeout=60), range(6))
        )

    assert [len(answer.json()) for answer in answers] == [1] * 6
    assert wide.peak_bytes - before < 64 * MIB


def test_streams_that_nobody_reads_share_one_budget_and_let_go_of_it(wide: Wide) -> None:
    before, come, over = wide.used_bytes, threading.Semaphore(0), threading.Event()
    ticket = json.dumps(["wide", "unmatched_left", _part(wide)]).encode()

    def read_a_little() -> int:
        with flight.connect(f"grpc+tcp://127.0.0.1:{wide.process.results}") as client:
            reader = client.do_get(flight.Ticket(ticket))
            rows: int = reader.read_chunk().data.num_rows
            come.release()
            over.wait(PATIENCE_S)
            reader.cancel()
            return rows

    with ThreadPoolExecutor(STREAMS) as pool:
        reading = [pool.submit(read_a_little) for _ in range(STREAMS)]
        for _ in range(SOME):
            assert come.acquire(timeout=PATIENCE_S)
        waiting = [one for one in reading if not one.done()]
        health = httpx.get(f"{wide.process.url}/health", timeout=10)
        over.set()
        rows = [one.result() for one in reading]

    assert len(waiting) == STREAMS
    assert min(rows) > 0
    assert health.status_code == 200
    answer = httpx.get(wide.rows, timeout=PATIENCE_S)
    assert len(answer.json()) == ROWS
    assert wide.peak_bytes - before < 300 * MIB


@pytest.mark.full
def test_of_eighty_streams_that_nobody_reads_those_beyond_the_bounds_are_told_so(
    wide: Wide,
) -> None:
    before, over = wide.used_bytes, threading.Event()
    answered: list[str | None] = []
    ticket = json.dumps(["wide", "unmatched_left", _part(wide)]).encode()

    def read_a_little() -> None:
        with flight.connect(f"grpc+tcp://127.0.0.1:{wide.process.results}") as client:
            try:
                reader = client.do_get(flight.Ticket(ticket))
                assert reader.read_chunk().data.num_rows > 0
            except flight.FlightError as error:
                answered.append(error_from_flight(error).code)
                return
            answered.append(None)
            over.wait(PATIENCE_S)
            reader.cancel()

    with ThreadPoolExecutor(MANY) as pool:
        reading = [pool.submit(read_a_little) for _ in range(MANY)]
        until = time.monotonic() + PATIENCE_S
        while len(answered) < MANY:
            assert time.monotonic() < until, Counter(answered)
            select_pause()
        taken = wide.peak_bytes - before
        health = httpx.get(f"{wide.process.url}/health", timeout=10)
        over.set()
        for one in reading:
            one.result()

    codes = Counter(answered)
    assert set(codes) == {None, "results_busy", "queue_full"}, codes
    assert codes[None] >= SOME
    assert health.status_code == 200
    assert taken < 300 * MIB
    answer = httpx.get(wide.rows, timeout=PATIENCE_S)
    assert len(answer.json()) == ROWS


def _part(wide: Wide) -> str:
    metadata = httpx.get(f"{wide.process.url}/api/jobs/wide/metadata", timeout=60).json()
    names = [file["name"] for file in metadata["files"]]
    return next(name for name in names if name.startswith("unmatched_left"))
