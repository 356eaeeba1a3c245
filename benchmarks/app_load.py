"""Many readers of the app at once: `python -m benchmarks.app_load --rate 200 --seconds 60`.

Starts a coordinator and an app, makes sources, recipes and runs with evidence, and then reads
pages, lists, rows and files in turn at a steady rate, as browsers do that have been here before,
while others watch a run that goes on (200/s and 20 watchers for 60 s; the 99th percentile under
100 ms, the app's memory flat).

The rate is kept whether answers come or not, and an answer is measured from the moment that it was
due. `cpu_ms_per_request` is what all of the app's processes used, over the requests, which says
more on a busy machine than the time it took. All of it stays on this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil

from kalla_core.cli.started import started

TARGET_P99_MS = 100.0
_SECRET = b"benchmark"
_RECIPES = 12
_RUNS_EACH = 5
_TOLD_PER_S = 5.0
_LOOK_S = 0.5
_START_S = 180


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of the app."""

    rate: float
    seconds: float
    watchers: int
    rows: int
    connections: int = 32
    workers: int = 1


@dataclass
class _Measured:
    """What came of the requests; times in seconds, by what was asked."""

    answers: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    wrong: Counter[str] = field(default_factory=Counter)
    told: int = 0
    seen: list[int] = field(default_factory=list)


class _Connection:
    """Keeps one connection and asks over it, with next to nothing spent on it."""

    def __init__(self, host: str, port: int, cookie: str) -> None:
        self._place = host, port
        self._head = f"Host: {host}:{port}\r\nCookie: {cookie}\r\nAccept: text/html, */*\r\n"
        self._head += "Accept-Encoding: gzip\r\n"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str) -> int:
        """Ask, take the whole answer in, and return its status."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._place)
        reader, writer = self._streams
        writer.write(f"GET {path} HTTP/1.1\r\n{self._head}\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = head.partition("content-length: ")[2].partition("\r\n")[0]
        if length:
            await reader.readexactly(int(length))
        else:
            while size := int(await reader.readuntil(b"\r\n"), 16):
                await reader.readexactly(size + 2)
            await reader.readexactly(2)
        if "connection: close" in head:
            self.close()
        return int(head.split(" ", 2)[1])

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


class _Scene:
    """An app with something in it, and what is read of it."""

    def __init__(self, address: str, pid: int, folder: Path, rows: int) -> None:
        self.address = address
        self.process = psutil.Process(pid)
        self._folder = folder
        self._rows = rows
        self._processes: list[psutil.Process] = []

    def fill(self) -> tuple[str, str]:
        """Make sources, recipes and runs; return the ids of a recipe and of a run of it."""
        for side, shift in (("left", 0), ("right", self._rows // 20)):
            lines = (
                f"{n + shift},R-{n + shift},{n % 9973}.{n % 100:02d},2026-05-{n % 28 + 1:02d}"
                for n in range(self._rows)
            )
            text = "\n".join(["id,reference,amount,day", *lines])
            (self._folder / f"{side}.csv").write_text(text)
        with httpx.Client(base_url=self.address, timeout=60) as http:
            for side in ("left", "right"):
                body = {"alias": side, "uri": str(self._folder / f"{side}.csv")}
                http.post("/api/sources", json=body).raise_for_status()
            for number in range(_RECIPES):
                http.post("/api/recipes", json=_recipe(number)).raise_for_status()
            runs = [
                http.post("/api/runs", json={"recipe_id": f"recipe-{number}"}).json()["run_id"]
                for _ in range(_RUNS_EACH)
                for number in range(_RECIPES)
            ]
            until = time.monotonic() + _START_S
            for run in runs:
                while http.get(f"/api/runs/{run}").json()["status"] != "succeeded":
                    if time.monotonic() > until:
                        raise TimeoutError("the runs before the measurement do not end")
                    time.sleep(_LOOK_S)
        return "recipe-0", runs[-_RECIPES]

    def begin_one(self) -> str:
        """Start a run that goes on, since there is no coordinator any more."""
        with httpx.Client(base_url=self.address, timeout=60) as http:
            answer = http.post("/api/runs", json={"recipe_id": "recipe-1"})
            return str(answer.raise_for_status().json()["run_id"])

    def cookie(self) -> str:
        """Come in as a browser does."""
        with httpx.Client(base_url=self.address, timeout=60) as http:
            http.get("/", headers={"Accept": "text/html"}).raise_for_status()
            return "; ".join(f"{name}={value}" for name, value in http.cookies.items())

    def cpu_s(self) -> float:
        """Return what the app's processes have used since they began."""
        return sum(_busy_s(one.cpu_times()) for one in self.processes())

    def memory(self) -> int:
        """Return what the app's processes hold, in bytes."""
        return sum(int(one.memory_info().rss) for one in self.processes())

    def processes(self) -> list[psutil.Process]:
        """Return the app's processes, which stay the same while it is measured."""
        if not self._processes:
            self._processes = [self.process, *self.process.children()]
        return self._processes


def _recipe(number: int) -> dict[str, Any]:
    return {
        "recipe_id": f"recipe-{number}",
        "name": f"Recipe {number}",
        "match_sql": "SELECT l.id, r.id FROM left_src l JOIN right_src r "
        "ON l.reference = r.reference",
        "sources": {side: {"alias": side, "primary_key": ["id"]} for side in ("left", "right")},
    }


def paths_of(recipe: str, run: str) -> dict[str, str]:
    """Return what is read, by a name for each: pages, lists, rows, files."""
    rows = f"/api/runs/{run}/rows/unmatched_left"
    return {
        "today": "/",
        "runs": "/runs",
        "run": f"/runs/{run}",
        "run matched": f"/runs/{run}?set=matched",
        "run filtered": f"/runs/{run}?set=unmatched_right&q=77",
        "window": f"/runs/{run}/window?set=unmatched_left&offset=150",
        "recipes": "/recipes",
        "recipe": f"/recipes/{recipe}",
        "sources": "/sources",
        "exceptions": "/exceptions",
        "match": f"/runs/{run}/match",
        "api runs": "/api/runs?limit=50",
        "api run": f"/api/runs/{run}",
        "api rows": f"{rows}?limit=100&offset=1000",
        "api rows sorted": f"{rows}?limit=100&sort=-amount",
        "api exceptions": f"/api/runs/{run}/exceptions?limit=50",
        "api recipes": "/api/recipes",
        "panel": f"/runs/{run}/panel",
        "css": "/static/app.css?v",
        "htmx": "/static/vendor/htmx.js?v",
        "health": "/health",
    }


async def _ask(
    pool: asyncio.Queue[_Connection], name: str, path: str, due: float, measured: _Measured
) -> None:
    connection = await pool.get()
    try:
        status = await connection.get(path)
        if status >= 400:
            measured.wrong[f"{name}: {status}"] += 1
        measured.answers[name].append(time.perf_counter() - due)
    except (OSError, EOFError, ValueError) as error:
        connection.close()
        measured.wrong[f"{name}: {type(error).__name__}"] += 1
    finally:
        pool.put_nowait(connection)


async def _read(
    pool: asyncio.Queue[_Connection], paths: dict[str, str], load: Load, measured: _Measured
) -> None:
    names = list(paths)
    start = time.perf_counter() + 0.1
    async with asyncio.TaskGroup() as asking:
        for number in range(round(load.rate * load.seconds)):
            due = start + number / load.rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            name = names[number % len(names)]
            asking.create_task(_ask(pool, name, paths[name], due, measured))


async def _watch(scene: _Scene, run: str, measured: _Measured) -> None:
    """Count the events that a watcher is sent, until cancelled."""
    place = len(measured.seen)
    measured.seen.append(0)
    host, port = _place(scene.address)
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET /api/runs/{run}/events HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        while line := await reader.readline():
            measured.seen[place] += line.startswith(b"data: ")
    finally:
        writer.close()


async def _tell(scene: _Scene, run: str, measured: _Measured) -> None:
    """Tell of progress as a coordinator does, until cancelled."""
    async with httpx.AsyncClient(base_url=scene.address, timeout=60) as http:
        while True:
            measured.told += 1
            body = json.dumps(
                {
                    "run_id": run,
                    "stage": "matching",
                    "progress": measured.told % 1000 / 1000,
                    "matched_count": measured.told,
                    "total_left": 10**6,
                    "total_right": 10**6,
                }
            ).encode()
            signature = hmac.new(_SECRET, body, hashlib.sha256).hexdigest()
            headers = {
                "X-Kalla-Signature": f"sha256={signature}",
                "X-Kalla-Delivery": f"{run}/{measured.told}",
                "Content-Type": "application/json",
            }
            answer = await http.post("/api/worker/progress", content=body, headers=headers)
            if answer.status_code >= 400:
                measured.wrong[f"callback: {answer.status_code}"] += 1
            await asyncio.sleep(1 / _TOLD_PER_S)


async def _sample_memory(scene: _Scene, samples: list[int]) -> None:
    while True:
        samples.append(scene.memory())
        await asyncio.sleep(_LOOK_S)


async def _each_alone(scene: _Scene, paths: dict[str, str], cookie: str) -> dict[str, float]:
    """Return the CPU time of each request, nothing else going on; warms everything up as well."""
    connection, spent, times = _Connection(*_place(scene.address), cookie), {}, 20
    for name, path in paths.items():
        await connection.get(path)
        before = scene.cpu_s()
        for _ in range(times):
            await connection.get(path)
        spent[name] = round(1000 * (scene.cpu_s() - before) / times, 1)
    connection.close()
    return spent


async def _loaded(scene: _Scene, paths: dict[str, str], load: Load) -> dict[str, Any]:
    cookie = scene.cookie()
    alone = await _each_alone(scene, paths, cookie)
    live = scene.begin_one()
    pool: asyncio.Queue[_Connection] = asyncio.Queue()
    for _ in range(load.connections):
        pool.put_nowait(_Connection(*_place(scene.address), cookie))
    warm, measured = _Measured(), _Measured()
    tasks = [asyncio.create_task(_watch(scene, live, measured)) for _ in range(load.watchers)]
    tasks.append(asyncio.create_task(_tell(scene, live, measured)))
    await _read(pool, paths, Load(load.rate, 5, 0, 0), warm)
    samples = [scene.memory()]
    tasks.append(asyncio.create_task(_sample_memory(scene, samples)))
    cpu_s, began, idle = scene.cpu_s(), time.perf_counter(), psutil.cpu_times()
    await _read(pool, paths, load, measured)
    cpu_s, took_s = scene.cpu_s() - cpu_s, time.perf_counter() - began
    others_s = _busy_s(psutil.cpu_times()) - _busy_s(idle) - cpu_s
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    every = [one for times in measured.answers.values() for one in times]
    return {
        "rate_per_s": load.rate,
        "answered_per_s": round(len(every) / took_s, 1),
        "watchers": load.watchers,
        "workers": load.workers,
        "wrong": dict(measured.wrong),
        "target_p99_ms": TARGET_P99_MS,
        "answer_ms": percentiles(every),
        "by_path_p99_ms": {
            name: percentiles(times)["p99"] for name, times in sorted(measured.answers.items())
        },
        "cpu_ms_per_request": round(1000 * cpu_s / len(every), 2),
        "cpu_ms_alone": alone,
        "app_cores": round(cpu_s / took_s, 2),
        "all_others_cores": round(others_s / took_s, 2),
        "events_told": measured.told,
        "events_seen_by_each": [min(measured.seen, default=0), max(measured.seen, default=0)],
        "memory_mib": {
            name: round(size / 2**20, 1)
            for name, size in (
                ("begin", samples[0]),
                ("middle", samples[len(samples) // 2]),
                ("end", samples[-1]),
                ("peak", max(samples)),
            )
        },
    }


def measure(load: Load, folder: Path) -> dict[str, Any]:
    """Return what came of the load."""
    secret = folder / "secret"
    secret.write_bytes(_SECRET)
    signed = f"--callback-secret-file={secret}"
    with ExitStack() as stack:
        with started(
            [
                "coordinator", f"--staging-path={folder / 'staging'}", "--http-port=0",
                "--grpc-port=0", "--results-port=0", signed,
            ],
            "coordinator_ready",
        ) as coordinator:  # fmt: skip
            worker = f"http://127.0.0.1:{coordinator.ready['http_port']}"
            app = stack.enter_context(
                started(
                    [
                        "app", f"--data-path={folder / 'data'}", "--port=0",
                        f"--worker-url={worker}", f"--workers={load.workers}", signed,
                    ],
                    "app_ready",
                )
            )  # fmt: skip
            scene = _Scene(str(app.ready["address"]), app.process.pid, folder, load.rows)
            recipe, run = scene.fill()
        return asyncio.run(_loaded(scene, paths_of(recipe, run), load))


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Return some percentiles of times, in ms."""
    ordered = sorted(seconds) or [0.0]

    def at(share: float) -> float:
        return round(1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))], 1)

    return {"p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": at(1.0)}


def _busy_s(times: Any) -> float:
    return float(times.user + times.system)


def _place(address: str) -> tuple[str, int]:
    parts = urlsplit(address)
    return parts.hostname or "", parts.port or 80


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.app_load", description=__doc__)
    parser.add_argument("--rate", type=float, default=200.0, help="requests per second")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long they go on")
    parser.add_argument("--watchers", type=int, default=20, help="who watch a run meanwhile")
    parser.add_argument("--rows", type=int, default=100_000, help="of each side of the runs")
    parser.add_argument("--workers", type=int, default=2, help="processes of the app")
    given = parser.parse_args(arguments)
    load = Load(given.rate, given.seconds, given.watchers, given.rows, workers=given.workers)
    with tempfile.TemporaryDirectory(prefix="kalla-app-load-") as folder:
        print(json.dumps(measure(load, Path(folder)), indent=2))


if __name__ == "__main__":
    main()
