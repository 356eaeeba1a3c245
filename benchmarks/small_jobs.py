"""How soon a small job is done: `python -m benchmarks.small_jobs`.

Starts a coordinator, submits jobs of 10k x 10k rows of CSV over HTTP one after the other, and
measures from the submission to the arrival of `complete` at a real receiver (bar 4 of the speed
targets: a median of 60 ms on two idle cores). With `--url` it uses a coordinator that runs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks.generate import generate
from kalla_core.recipe.parse import load_recipe
from kalla_core.recipe.write import to_document

TARGET_S = 0.060
_START_S = 60


class _Receiver:
    """Takes callbacks and remembers when the end of each run came."""

    def __init__(self) -> None:
        self.ended: dict[str, asyncio.Future[float]] = {}
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                size = int(head.partition("content-length:")[2].split("\r\n")[0])
                body = json.loads(await reader.readexactly(size))
                came = time.perf_counter()
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
                if not head.startswith("post /progress"):
                    self.ended[body["run_id"]].set_result(came)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@asynccontextmanager
async def _receiver() -> AsyncIterator[_Receiver]:
    receiver = _Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield receiver
    finally:
        server.close()


@asynccontextmanager
async def _coordinator(folder: Path) -> AsyncIterator[str]:
    """Start a coordinator on free ports; its address."""
    program = "from kalla_core.cli.kallad import main; main()"
    ports = ("--http-port", "0", "--grpc-port", "0", "--results-port", "0")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, "coordinator", *ports,
        "--staging-path", str(folder), "--log-format", "json",
        stderr=asyncio.subprocess.PIPE, env=dict(os.environ),
    )  # fmt: skip
    assert process.stderr is not None  # noqa: S101 - it was asked for
    try:
        async with asyncio.timeout(_START_S):
            while b"coordinator_ready" not in (line := await process.stderr.readline()):
                if not line:
                    raise RuntimeError("the coordinator does not start")
        drain = asyncio.create_task(process.stderr.read())
        yield f"http://127.0.0.1:{json.loads(line)['http_port']}"
        process.terminate()
        await process.wait()
        await drain
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def measure(url: str | None, rows: int, count: int, folder: Path) -> dict[str, Any]:
    """Return what `count` jobs took, after three that warm everything up, in seconds."""
    dataset = generate("one_to_one", rows, 7, folder / "data", "csv")
    recipe = to_document(load_recipe(dataset.recipe_path))
    taken: list[float] = []
    stages: list[dict[str, float]] = []
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(_receiver())
        base = url or ""
        if not base:
            base = await stack.enter_async_context(_coordinator(folder / "staging"))
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=base))
        for number in range(count + 3):
            run_id = str(uuid.uuid4())
            ended = receiver.ended[run_id] = asyncio.get_running_loop().create_future()
            body = {"run_id": run_id, "recipe": recipe, "callback_url": receiver.url}
            began = time.perf_counter()
            answer = await client.post("/api/jobs", json=body)
            answer.raise_for_status()
            seconds = await asyncio.wait_for(ended, 60) - began
            job = (await client.get(f"/api/jobs/{run_id}")).json()
            if number >= 3:
                taken.append(seconds)
                stages.append(job.get("durations_s") or {})
    names = sorted({name for one in stages for name in one})
    return {
        "jobs": count,
        "median_s": round(statistics.median(taken), 4),
        "best_s": round(min(taken), 4),
        "p90_s": round(sorted(taken)[int(len(taken) * 0.9)], 4),
        "stages_s": {
            name: round(statistics.median(one.get(name, 0.0) for one in stages), 4)
            for name in names
        },
        "target_s": TARGET_S,
        "cores": os.cpu_count(),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.small_jobs", description=__doc__)
    parser.add_argument("--url", help="a coordinator that runs, instead of one for this")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=20)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="kalla-small-") as folder:
        result = asyncio.run(measure(given.url, given.rows, given.jobs, Path(folder)))
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
