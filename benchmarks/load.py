"""Many submissions at once: `python -m benchmarks.load --rate 200 --seconds 60`.

Starts a coordinator, submits tiny jobs over gRPC at a steady rate from many clients while earlier
ones run, and waits until all have ended (bar 7 of the speed targets: 200/s for 60 s from 32
clients; none lost, none run twice, the 99th percentile of the accept under 100 ms, the
coordinator's memory flat).

The rate is kept whether answers come or not, and an accept is measured from the moment that it was
due: a coordinator that hesitates is charged for everybody who waits behind. `unsent_ms` says how
late the clients themselves were, which on a machine that is too busy is part of the same figure.
Jobs are then asked for one by one: each has to have succeeded, in its first attempt.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
import psutil

from kalla_core.wire.generated import jobs_pb2, jobs_pb2_grpc

TARGET_ACCEPT_MS = 100.0
_START_S = 180
_WARM_JOBS = 8
_LOOK_S = 0.25
_PAGE = 500
_COMPLETED = "kalla_runner_jobs_completed_total"
_ENDED = (_COMPLETED, "kalla_runner_jobs_failed_total", "kalla_runner_jobs_cancelled_total")
_OPTIONS = [("grpc.use_local_subchannel_pool", 1)]  # a connection of its own for each client


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of the coordinator."""

    rate: float
    seconds: float
    clients: int
    max_jobs: int
    drain_s: float

    @property
    def jobs(self) -> int:
        """How many jobs are submitted."""
        return round(self.rate * self.seconds)


@dataclass
class _Measured:
    """What came of the submissions; times in seconds."""

    accepts: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Coordinator:
    http: str
    grpc: str
    process: psutil.Process


@asynccontextmanager
async def _coordinator(folder: Path, load: Load) -> AsyncIterator[_Coordinator]:
    """Start a coordinator on free ports, its queue long enough for all jobs."""
    program = "from kalla_core.cli.kallad import main; main()"
    flags = {
        "http-port": 0, "grpc-port": 0, "results-port": 0, "staging-path": folder,
        "log-format": "json", "log-level": "info", "max-jobs": load.max_jobs,
        "queue-limit": load.jobs + _WARM_JOBS,
    }  # fmt: skip
    command = [f"--{name}={value}" for name, value in flags.items()]
    with (folder.with_suffix(".log")).open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, "coordinator", *command, stderr=log
        )
    try:
        ready = await _ready(folder.with_suffix(".log"), process)
        yield _Coordinator(
            f"http://127.0.0.1:{ready['http_port']}",
            f"127.0.0.1:{ready['grpc_port']}",
            psutil.Process(process.pid),
        )
        process.terminate()
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _ready(log: Path, process: asyncio.subprocess.Process) -> dict[str, Any]:
    async with asyncio.timeout(_START_S):
        while True:
            for line in log.read_text().splitlines():
                if '"coordinator_ready"' in line:
                    ready: dict[str, Any] = json.loads(line)
                    return ready
            if process.returncode is not None:
                raise RuntimeError(f"the coordinator does not start: {log.read_text()}")
            await asyncio.sleep(0.05)


def _recipe(folder: Path) -> str:
    """Write two tables of three rows, and return a recipe over them."""
    folder.mkdir()
    for name, key in (("left", "invoice_id"), ("right", "payment_id")):
        rows = "".join(f"{name}-{n},R-{n},{n}.50\n" for n in range(3))
        (folder / f"{name}.csv").write_text(f"{key},reference,amount\n{rows}")
    return json.dumps(
        {
            "recipe_id": "tiny",
            "name": "Tiny",
            "match_sql": "SELECT l.invoice_id, r.payment_id FROM left_src l "
            "JOIN right_src r ON l.reference = r.reference AND l.amount = r.amount",
            "sources": {
                side: {
                    "alias": side,
                    "type": "file",
                    "uri": str(folder / f"{side}.csv"),
                    "primary_key": [key],
                }
                for side, key in (("left", "invoice_id"), ("right", "payment_id"))
            },
        }
    )


async def _submit(stub: Any, recipe: str, due: float, measured: _Measured) -> None:
    run_id = str(uuid.uuid4())
    request = jobs_pb2.SubmitJobRequest(run_id=run_id, recipe_json=recipe)
    measured.late.append(time.perf_counter() - due)
    try:
        await stub.SubmitJob(request, timeout=60)
    except grpc.aio.AioRpcError as error:
        measured.refused[error.code().name] += 1
        return
    measured.accepts.append(time.perf_counter() - due)
    measured.accepted.append(run_id)


async def _client(stub: Any, recipe: str, dues: Sequence[float], measured: _Measured) -> None:
    """Submit at these moments, whether or not earlier ones have been answered."""
    async with asyncio.TaskGroup() as open_calls:
        for due in dues:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            open_calls.create_task(_submit(stub, recipe, due, measured))


async def _flood(stubs: Sequence[Any], recipe: str, load: Load) -> _Measured:
    measured = _Measured()
    start = time.perf_counter() + 0.1
    dues = [start + number / load.rate for number in range(load.jobs)]
    async with asyncio.TaskGroup() as clients:
        for number, stub in enumerate(stubs):
            mine = dues[number :: len(stubs)]
            clients.create_task(_client(stub, recipe, mine, measured))
    return measured


async def _sample_memory(process: psutil.Process, samples: list[int]) -> None:
    while True:
        samples.append(process.memory_info().rss)
        await asyncio.sleep(_LOOK_S)


async def _metrics(http: httpx.AsyncClient) -> dict[str, float]:
    lines = (await http.get("/metrics")).raise_for_status().text.splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)
            if not name.startswith("#")}  # fmt: skip


async def _all_ended(http: httpx.AsyncClient, jobs: int, patience_s: float) -> bool:
    until = time.perf_counter() + patience_s
    while time.perf_counter() < until:
        found = await _metrics(http)
        if sum(found[name] for name in _ENDED) >= jobs:
            return True
        await asyncio.sleep(1.0)
    return False


async def _fates(http: httpx.AsyncClient) -> dict[str, tuple[str, int]]:
    """Return the state and the attempts of every job."""
    fates: dict[str, tuple[str, int]] = {}
    cursor = ""
    while True:
        wanted: dict[str, str | int] = {"limit": _PAGE, **({"cursor": cursor} if cursor else {})}
        page = (await http.get("/api/jobs", params=wanted)).raise_for_status().json()
        fates |= {job["run_id"]: (job["status"], job["attempt"]) for job in page["jobs"]}
        cursor = page.get("cursor") or page.get("next_cursor") or ""
        if not cursor:
            return fates


async def measure(load: Load, folder: Path) -> dict[str, Any]:
    """Return what came of the load."""
    recipe = _recipe(folder / "data")
    async with AsyncExitStack() as stack:
        coordinator = await stack.enter_async_context(_coordinator(folder / "staging", load))
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=coordinator.http, timeout=60)
        )
        channels = [
            await stack.enter_async_context(
                grpc.aio.insecure_channel(coordinator.grpc, options=_OPTIONS)
            )
            for _ in range(load.clients)
        ]
        stubs: list[Any] = [
            jobs_pb2_grpc.JobsStub(channel)  # type: ignore[no-untyped-call]
            for channel in channels
        ]
        warm = Load(_WARM_JOBS, 1.0, load.clients, load.max_jobs, load.drain_s)
        await _flood(stubs, recipe, warm)
        await _all_ended(http, _WARM_JOBS, _START_S)
        samples = [coordinator.process.memory_info().rss]
        sampling = asyncio.create_task(_sample_memory(coordinator.process, samples))
        began = time.perf_counter()
        measured = await _flood(stubs, recipe, load)
        submitted_s, submitted_at = time.perf_counter() - began, len(samples)
        done_meanwhile = (await _metrics(http))[_COMPLETED] - _WARM_JOBS
        expected = len(measured.accepted) + _WARM_JOBS
        ended = await _all_ended(http, expected, load.drain_s)
        ended_s = time.perf_counter() - began
        sampling.cancel()
        fates, found = await _fates(http), await _metrics(http)
    mine = [fates.get(run_id, ("lost", 0)) for run_id in measured.accepted]
    return {
        "rate_per_s": load.rate,
        "seconds": load.seconds,
        "clients": load.clients,
        "cores": os.cpu_count(),
        "submitted": load.jobs,
        "accepted": len(measured.accepted),
        "refused": dict(measured.refused),
        "accepted_per_s": round(len(measured.accepted) / submitted_s, 1),
        "accept_ms": _percentiles(measured.accepts),
        "unsent_ms": _percentiles(measured.late),
        "target_accept_p99_ms": TARGET_ACCEPT_MS,
        "done_while_submitting": int(done_meanwhile),
        "all_ended": ended,
        "ended_after_s": round(ended_s, 1),
        "jobs_per_s": round(found[_COMPLETED] / ended_s, 1),
        "lost": sum(status == "lost" for status, _ in mine),
        "statuses": dict(Counter(status for status, _ in mine)),
        "run_twice": sum(attempt > 1 for _, attempt in mine),
        "completed_by_metrics": int(found[_COMPLETED]) - _WARM_JOBS,
        "memory_mib": {
            "before": _mib(samples[0]),
            "all_submitted": _mib(samples[min(submitted_at, len(samples) - 1)]),
            "peak": _mib(max(samples)),
            "all_ended": _mib(samples[-1]),
        },
        "memory_growth_bytes_per_job": (max(samples) - samples[0]) // max(load.jobs, 1),
    }


def _percentiles(seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(seconds) or [0.0]

    def at(share: float) -> float:
        return round(1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))], 1)

    return {"p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": at(1.0)}


def _mib(size: int) -> float:
    return round(size / 2**20, 1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--rate", type=float, default=200.0, help="submissions per second")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long they go on")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--max-jobs", type=int, default=4, help="jobs that run at once")
    parser.add_argument("--drain", type=float, default=3600.0, help="most seconds until all ended")
    given = parser.parse_args(arguments)
    load = Load(given.rate, given.seconds, given.clients, given.max_jobs, given.drain)
    with tempfile.TemporaryDirectory(prefix="kalla-load-") as folder:
        result = asyncio.run(measure(load, Path(folder)))
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
