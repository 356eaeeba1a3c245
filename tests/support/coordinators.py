"""A coordinator as a process of its own, for tests that look at it from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.command import clean_environment

START_S = 240
COMMAND = (sys.executable, "-c", "from kalla_core.cli.kallad import main; main()")


@dataclass
class Process:
    """A coordinator that has said it is ready."""

    process: subprocess.Popen[bytes]
    http: int
    grpc: int
    results: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http}"

    def kill(self) -> None:
        """End it as the kernel does when memory runs out."""
        self.process.kill()
        self.process.wait()


@contextmanager
def coordinator_process(
    staging: Path, *flags: str, http_port: int = 0, **variables: str
) -> Iterator[Process]:
    """Start a coordinator; it is killed when the block ends, if it still runs."""
    log = staging.with_name(f"{staging.name}.log")
    ports = ("--http-port", str(http_port), "--grpc-port", "0", "--results-port", "0")
    places = ("--staging-path", str(staging), "--memory-limit", "3GiB")
    with log.open("ab") as file:
        start = file.tell()
        process = subprocess.Popen(
            [*COMMAND, "coordinator", *ports, *places, "--log-format", "json", *flags],
            stdout=subprocess.DEVNULL,
            stderr=file,
            env={**clean_environment(), **variables},
        )
    try:
        ready = _ready(process, log, start)
        yield Process(process, ready["http_port"], ready["grpc_port"], ready["results_port"], log)
    finally:
        process.kill()
        process.wait()


def _ready(process: subprocess.Popen[bytes], log: Path, start: int) -> dict[str, int]:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        text = log.read_bytes()[start:].decode()
        for line in text.splitlines():
            if '"coordinator_ready"' in line and line.endswith("}"):
                ready: dict[str, int] = json.loads(line)
                return ready
        if process.poll() is not None:
            raise AssertionError(f"the coordinator ended with {process.returncode}: {text}")
        os.sched_yield()
        select_pause()
    raise TimeoutError(f"the coordinator does not get ready: {log.read_text()}")


def select_pause() -> None:
    """Let others run for a moment between two looks."""
    import select

    select.select([], [], [], 0.02)
