"""Services that a command starts for itself, and ends with itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, cast

_START_PATIENCE_S = 120.0
_END_PATIENCE_S = 30.0


class ServiceDidNotStart(Exception):
    """A service could not be started here; says why."""


@dataclass(frozen=True, slots=True)
class Started:
    """A service that has said it is ready; `ready` is what it said."""

    process: subprocess.Popen[str]
    ready: dict[str, Any]


@contextmanager
def started(arguments: Sequence[str], event: str) -> Iterator[Started]:
    """Run a service for a block; it does not outlive this process, even if that is killed.

    Args:
        arguments: of `kallad`.
        event: what it logs once it is ready.

    Raises:
        ServiceDidNotStart: it ended before, or took too long.
    """
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-c", "from kalla_core.cli.tied import main; main()", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "KALLA_LOG": "info", "KALLA_LOG_FORMAT": "json"},
        text=True,
        start_new_session=True,  # an interrupt is for us; what we started ends after it, in order
    )
    said = cast("IO[str]", process.stderr)
    try:
        ready = _ready(said, process, event, arguments[0])
        threading.Thread(target=_drain, args=(said,), daemon=True).start()
        yield Started(process, ready)
    finally:
        process.terminate()
        try:
            process.wait(_END_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(said: IO[str], process: subprocess.Popen[str], event: str, name: str) -> dict[str, Any]:
    guard = threading.Timer(_START_PATIENCE_S, process.kill)
    guard.start()
    last = "it said nothing"
    try:
        for line in said:
            last = line.strip() or last
            if f'"{event}"' in line:
                return dict(json.loads(line))
    finally:
        guard.cancel()
    raise ServiceDidNotStart(f"The {name} did not start: {last}")


def _drain(said: IO[str]) -> None:
    for _ in said:
        continue
