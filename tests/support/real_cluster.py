"""A cluster of real processes on this machine, as `kallad cluster` starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import httpx

from kalla_core.recipe.model import EngineChoice, Recipe
from kalla_core.recipe.write import to_document
from tests.support.processes import children_of

KALLAD = (sys.executable, "-c", "from kalla_core.cli.kallad import main; main()")
START_PATIENCE_S = 120.0
RUN_PATIENCE_S = 180.0
END_PATIENCE_S = 60.0


@dataclass
class Service:
    """A process of `kallad`, and what it and its children said, line by line."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    @classmethod
    @contextmanager
    def started(
        cls, *command: str, prefix: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> Iterator[Service]:
        process = subprocess.Popen(
            [*prefix, *KALLAD, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "KALLA_LOG_FORMAT": "json", **(environment or {})},
            text=True,
            start_new_session=True,
        )
        service = cls(process)
        listening = threading.Thread(target=service._listen)
        listening.start()
        try:
            yield service
        finally:
            service.end()
            listening.join()

    def event(self, name: str) -> dict[str, Any]:
        """Wait for a line of the log with this event, and return it."""

        def told() -> dict[str, Any] | None:
            if self.process.poll() is not None:
                raise AssertionError("it has ended: " + "".join(self.lines[-20:]))
            return next(iter(self.events(name)), None)

        found = until(told, START_PATIENCE_S)
        assert found is not None
        return found

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the lines of the log with this event so far."""
        return [json.loads(line) for line in list(self.lines) if f'"event": "{name}"' in line]

    def end(self) -> None:
        """End it as an operator would; kill it and its children if it does not."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(END_PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as said:
            self.lines.extend(said)


@dataclass
class Cluster:
    """A coordinator with executors.

    Attributes:
        url: of the coordinator's HTTP.
    """

    service: Service
    url: str

    def submit(self, recipe: Recipe, output: Path | str, **fields: Any) -> str:
        """Submit a recipe for the cluster; return its run id."""
        answer = self.offer(recipe, output, **fields)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["run_id"])

    def offer(self, recipe: Recipe, output: Path | str, **fields: Any) -> httpx.Response:
        """Submit a recipe for the cluster; return the answer, whatever it is."""
        options = replace(recipe.options, engine=EngineChoice.CLUSTER)
        body = {
            "run_id": str(uuid.uuid4()),
            "recipe": to_document(replace(recipe, options=options)),
            "output_path": str(output),
            **fields,
        }
        return httpx.post(f"{self.url}/api/jobs", json=body, timeout=30)

    def job(self, run_id: str) -> dict[str, Any]:
        """Return a job as it is."""
        answer = httpx.get(f"{self.url}/api/jobs/{run_id}", timeout=30)
        return dict(answer.json())

    def ended(self, run_id: str) -> dict[str, Any]:
        """Wait for the end of a job and return it."""

        def over() -> dict[str, Any] | None:
            job = self.job(run_id)
            return job if job["status"] in ("succeeded", "failed", "cancelled") else None

        job = until(over, RUN_PATIENCE_S)
        assert job is not None
        return job

    def run(self, recipe: Recipe, output: Path) -> dict[str, Any]:
        """Run a recipe to its end; it has to succeed."""
        job = self.ended(self.submit(recipe, output))
        assert job["status"] == "succeeded", job["error"]
        return job

    def executors(self) -> list[dict[str, Any]]:
        """Return the executors as the coordinator tells of them."""
        return list(httpx.get(f"{self.url}/api/executors", timeout=30).json()["executors"])

    def pids(self) -> list[int]:
        """Return the processes of the executors that live, in the order of their start."""
        mine = children_of(self.service.process.pid)
        return sorted(pid for pid in mine if b"executor" in _command(pid))


def _command(pid: int) -> list[bytes]:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return []


T = TypeVar("T")


def until(condition: Callable[[], T], patience_s: float) -> T:
    """Return what a condition says once it is true, or at last."""
    end = time.monotonic() + patience_s
    pause = threading.Event()
    while not (found := condition()) and time.monotonic() < end:
        pause.wait(0.05)
    return found


@contextmanager
def real_cluster(
    folder: Path,
    executors: int = 2,
    memory: str = "6GiB",
    flags: Sequence[str] = (),
    more: Mapping[str, str] | None = None,
) -> Iterator[Cluster]:
    """Start a coordinator and executors, with `more` in their environment, and end them."""
    command = (
        "cluster",
        f"--executors={executors}",
        "--http-port=0",
        "--grpc-port=0",
        "--results-port=0",
        f"--staging-path={folder / 'staging'}",
        f"--memory-limit={memory}",
        "--executor-grace=1s",
        *flags,
    )
    environment = {"KALLA_SPOOL_PATH": str(folder / "spools"), **(more or {})}
    with Service.started(*command, environment=environment) as service:
        ready = service.event("cluster_ready")
        yield Cluster(service, f"http://127.0.0.1:{ready['http_port']}")


@contextmanager
def executor_apart(cluster: Cluster, spools: Path, flags: Sequence[str] = ()) -> Iterator[Service]:
    """Let one more executor join that spools elsewhere, so that rows go over Flight to and from it.

    Those of `real_cluster` read each other's spools where they lie.
    """
    command = (
        "executor",
        "--coordinator-host=127.0.0.1",
        f"--coordinator-port={cluster.service.event('cluster_ready')['grpc_port']}",
        *("--bind-host=127.0.0.1", "--flight-port=0", "--http-port=0", "--grpc-port=0"),
        *("--slots=1", "--memory-limit=1GiB", f"--spool-path={spools}"),
        *flags,
    )
    with Service.started(*command) as service:
        service.event("registered")
        yield service
