"""Executors against Sail's workers, and against one machine: `python -m benchmarks.clusters`.

Starts `kallad cluster` with executors of one slot each and, where `pysail` is installed
(`pip install '.[bench]'`), Sail in its local-cluster mode with as many workers of one slot. Both
stay for all rounds. In each round the same full job is done by Kalla's executors, by Sail, and by
Kalla's local engine on the same coordinator; each result is compared with the truth. Medians of
wall and CPU time, ratios (bar 2: no slower than Sail at 5M, 1.2 times its time at 1M, at most 1.2
times Kalla's own local time) and the peak memory of the coordinator's process and of each executor
with its slots are printed and added to `.bench/results/clusters.jsonl`. With `--executors 1` and
then 2 it gives the figures of bar 6; with `--size 20m --no-sail --no-local`, what a large job
leaves of the memory limit.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from operator import attrgetter
from pathlib import Path
from typing import IO, Annotated, Any, cast

import httpx
import typer

from benchmarks.check import check, check_outputs
from benchmarks.generate import DEFAULT_SEED, Dataset, Format, PatternName
from benchmarks.processes import children, command_of, tree, tree_cpu_s
from benchmarks.run import add_result, data_for, parse_size
from benchmarks.shapes import LEFT_KEY, RIGHT_KEY
from kalla_core.engine.processes.vitals import private_bytes
from kalla_core.recipe.parse import load_recipe
from kalla_core.recipe.write import to_document

_START_S = 120.0
_SAMPLE_S = 0.1
_KALLAD = (sys.executable, "-c", "from kalla_core.cli.kallad import main; main()")


@dataclass(frozen=True, slots=True)
class Party:
    """One that does the job.

    Attributes:
        do: does it into a folder and returns the seconds that it took.
        process: with all below it does the work.
    """

    do: Callable[[Path], float]
    process: int


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds from start to end, and of CPU time."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Running:
    """A cluster of Kalla's that runs."""

    process: subprocess.Popen[str]
    url: str

    def job(self, dataset: Dataset, engine: str, out: Path) -> float:
        """Submit the job and wait for its end."""
        document = {**to_document(load_recipe(dataset.recipe_path)), "options": {"engine": engine}}
        run_id = str(uuid.uuid4())
        body = {"run_id": run_id, "recipe": document, "output_path": str(out)}
        with httpx.Client(base_url=self.url, timeout=30) as client:
            began = time.perf_counter()
            client.post("/api/jobs", json=body).raise_for_status()
            while True:
                job = client.get(f"/api/jobs/{run_id}").json()
                if job["status"] == "succeeded":
                    return time.perf_counter() - began
                if job["status"] in ("failed", "cancelled"):
                    raise RuntimeError(f"{engine}: {job['error']}")
                threading.Event().wait(0.02)


class Peaks:
    """The most memory that the parts of a cluster hold while a block runs, in bytes.

    What a process alone holds is counted, without pages of files that the kernel takes back when
    it needs room; an executor has its slots' processes with it.
    """

    def __init__(self, cluster: int) -> None:
        self.bytes: dict[str, int] = {}
        self._cluster = cluster
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> Peaks:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._end.wait(_SAMPLE_S):
            self._note("coordinator", [self._cluster])
            started = [pid for pid in children(self._cluster) if " executor " in command_of(pid)]
            for number, pid in enumerate(started):
                self._note(f"executor {number}", tree(pid))

    def _note(self, name: str, pids: list[int]) -> None:
        now = sum(map(private_bytes, pids))
        self.bytes[name] = max(self.bytes.get(name, 0), now)


def main(
    size: Annotated[str, typer.Option(help="Invoices: small, 250k, 5m, ...")] = "1m",
    format: Annotated[Format, typer.Option(help="csv or parquet.")] = Format.PARQUET,
    executors: Annotated[int, typer.Option(help="Executors and workers.", min=1)] = 2,
    rounds: Annotated[int, typer.Option(help="Counted rounds.", min=1)] = 5,
    memory: Annotated[str, typer.Option(help="Of the whole cluster.")] = "8GiB",
    sail: Annotated[bool, typer.Option(help="Also measure Sail.")] = True,
    local: Annotated[bool, typer.Option(help="Also measure the local engine.")] = True,
    work: Annotated[Path, typer.Option(help="Folder for data and results.")] = Path(".bench"),
) -> None:
    """Measure a cluster of Kalla's, Sail's, and one machine."""
    dataset = data_for(work, PatternName.ONE_TO_ONE, parse_size(size), format, DEFAULT_SEED)
    scratch = (work / "clusters").absolute()
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    with ExitStack() as stack:
        kalla = stack.enter_context(_kalla(executors, memory, scratch))
        engines = ("cluster", "local") if local else ("cluster",)
        contenders = {
            engine: Party(partial(kalla.job, dataset, engine), kalla.process.pid)
            for engine in engines
        }
        if not sail or find_spec("pysail") is None:
            typer.echo("Sail is not measured: it takes `pip install '.[bench]'`.")
        else:
            try:
                contenders["sail"] = stack.enter_context(_sail(executors, dataset))
            except RuntimeError as error:  # its driver stops at once on some machines
                typer.echo(f"Sail is not measured, for it did not start: {error}")
        with Peaks(kalla.process.pid) as peaks:
            times = _rounds(contenders, rounds, dataset, scratch)
    _report(
        times,
        peaks.bytes,
        {"size": dataset.size, "format": str(format), "executors": executors},
        work,
    )


def _rounds(
    contenders: Mapping[str, Party], rounds: int, dataset: Dataset, scratch: Path
) -> dict[str, list[Took]]:
    """Take turns: a round to warm up, then those that count."""
    times: dict[str, list[Took]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, party in contenders.items():
            out = scratch / f"{name}-{number}"
            before = tree_cpu_s(party.process)
            wall = party.do(out)
            took = Took(wall, tree_cpu_s(party.process) - before)
            _check(name, out, dataset)
            shutil.rmtree(out)
            typer.echo(f"{name} {number or 'warm-up'}: {took.wall:.2f} s, {took.cpu:.2f} s of CPU")
            if number:
                times[name].append(took)
    return times


def _check(name: str, out: Path, dataset: Dataset) -> None:
    if name == "sail":
        keys = (LEFT_KEY, RIGHT_KEY)
        report = check_outputs(out, dataset.truth, pair_keys=keys, record_keys=keys)
    else:
        report = check(out, dataset.truth)
    if not report.ok:
        raise RuntimeError(f"{name} is wrong: {report}")


def _report(
    times: Mapping[str, list[Took]], peaks: Mapping[str, int], what: Mapping[str, Any], work: Path
) -> None:
    peers = [name for name in times if name != "cluster"]

    def of_peer(name: str, cost: Callable[[Took], float]) -> float:
        rounds = zip(times["cluster"], times[name], strict=True)
        return round(statistics.median(cost(ours) / cost(theirs) for ours, theirs in rounds), 3)

    def medians(cost: Callable[[Took], float]) -> dict[str, float]:
        return {name: round(statistics.median(map(cost, took)), 3) for name, took in times.items()}

    result = {
        **what,
        "median_s": medians(attrgetter("wall")),
        "median_cpu_s": medians(attrgetter("cpu")),
        "ratios": {f"cluster / {name}": of_peer(name, attrgetter("wall")) for name in peers},
        "cpu_ratios": {f"cluster / {name}": of_peer(name, attrgetter("cpu")) for name in peers},
        "peak_mib": {name: size >> 20 for name, size in peaks.items()},
    }
    add_result(work, "clusters", result)
    typer.echo(json.dumps(result, indent=2))


@contextmanager
def _kalla(executors: int, memory: str, scratch: Path) -> Iterator[Running]:
    command = [
        *(*_KALLAD, "cluster", f"--executors={executors}", f"--slots={executors}"),
        *("--http-port=0", "--grpc-port=0", "--results-port=0", "--max-jobs=1"),
        *(f"--memory-limit={memory}", f"--staging-path={scratch / 'staging'}"),
    ]
    environment = {"KALLA_LOG_FORMAT": "json", "KALLA_SPOOL_PATH": str(scratch / "spools")}
    with _process(command, environment, subprocess.PIPE) as process:
        _, _, stderr = _pipes(process)
        ready = _first(stderr, process, lambda line: "cluster_ready" in line)
        threading.Thread(target=_drain, args=(stderr,), daemon=True).start()
        yield Running(process, f"http://127.0.0.1:{json.loads(ready)['http_port']}")


@contextmanager
def _sail(workers: int, dataset: Dataset) -> Iterator[Party]:
    command = [sys.executable, "-m", "benchmarks.peers.sail_peer", "--workers", str(workers)]
    with _process(command, {}, None) as process:
        stdin, stdout, _ = _pipes(process)
        _first(stdout, process, lambda line: "ready" in line)

        def do(out: Path) -> float:
            asked = {
                "left": str(dataset.left.absolute()),
                "right": str(dataset.right.absolute()),
                "pattern": str(dataset.pattern),
                "format": str(dataset.format),
                "out": str(out),
            }
            stdin.write(json.dumps(asked) + "\n")
            stdin.flush()
            answer = json.loads(_first(stdout, process, lambda line: line.startswith("{")))
            if "error" in answer:
                raise RuntimeError(f"sail: {answer['error']}")
            return float(answer["seconds"])

        yield Party(do, process.pid)


@contextmanager
def _process(
    command: list[str], environment: Mapping[str, str], errors: int | None
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env={**os.environ, **environment},
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str], IO[str]]:
    """Return the pipes of a process; the last is not one where it was not asked for."""
    return cast("tuple[IO[str], IO[str], IO[str]]", (process.stdin, process.stdout, process.stderr))


def _first(said: IO[str], process: subprocess.Popen[str], wanted: Callable[[str], bool]) -> str:
    """Return the first line that is wanted; kills a process that does not say it in time."""
    guard = threading.Timer(10 * _START_S, process.kill)
    guard.start()
    try:
        for line in said:
            if wanted(line):
                return line
    finally:
        guard.cancel()
    raise RuntimeError(f"{process.args!r} ended without a word")


def _drain(said: IO[str]) -> None:
    for _ in said:
        continue


if __name__ == "__main__":
    typer.run(main)
