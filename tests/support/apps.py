"""The app as a process of its own, for tests that look at it from outside."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.command import clean_environment
from tests.support.coordinators import COMMAND, START_S, select_pause


@dataclass
class AppProcess:
    """An app that has said it is ready."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def kill(self) -> None:
        """End it as the kernel does when memory runs out."""
        self.process.kill()
        self.process.wait()


@contextmanager
def app_process(
    data: Path, worker_url: str, *flags: str, port: int = 0, **variables: str
) -> Iterator[AppProcess]:
    """Start an app; it is killed when the block ends, if it still runs."""
    log = data.with_name(f"{data.name}.log")
    places = ("--port", str(port), "--data-path", str(data), "--worker-url", worker_url)
    with log.open("ab") as file:
        start = file.tell()
        process = subprocess.Popen(
            [*COMMAND, "app", *places, "--log-format", "json", *flags],
            stdout=subprocess.DEVNULL,
            stderr=file,
            env={**clean_environment(), **variables},
        )
    try:
        yield AppProcess(process, _address(process, log, start), log)
    finally:
        process.kill()
        process.wait()


def _address(process: subprocess.Popen[bytes], log: Path, start: int) -> str:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        text = log.read_bytes()[start:].decode()
        for line in text.splitlines():
            if '"app_ready"' in line and line.endswith("}"):
                return str(json.loads(line)["address"])
        if process.poll() is not None:
            raise AssertionError(f"the app ended with {process.returncode}: {text}")
        select_pause()
    raise TimeoutError(f"the app does not get ready: {log.read_text()}")
