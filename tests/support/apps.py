"""The app as a process of its own, for tests that look at it from outside."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.books import Books, make_books
from tests.support.command import clean_environment
from tests.support.coordinators import COMMAND, START_S, coordinator_process, select_pause

SECRET = b"shared"
"""What signs callbacks."""


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


@dataclass
class World:
    """An app on a coordinator, with the sources of the books saved."""

    books: Books
    app: AppProcess
    http: httpx.Client

    def ended(self, run_id: str) -> dict[str, Any]:
        """Watch a run to its end, and return how it then is."""
        with self.http.stream("GET", f"/api/runs/{run_id}/events") as stream:
            told = [json.loads(line[6:]) for line in stream.iter_lines() if line[:6] == "data: "]
        last: dict[str, Any] = told[-1]
        return last


@contextmanager
def app_world(folder: Path, *flags: str, caller: str | None = None) -> Iterator[World]:
    """Start a coordinator and an app that share a secret; `caller` is the token of `http`."""
    books = make_books(folder)
    secret = folder / "secret"
    secret.write_bytes(SECRET)
    signed = ("--callback-secret-file", str(secret))
    with (
        coordinator_process(folder / "staging", *signed) as coordinator,
        app_process(folder / "data", coordinator.url, *signed, *flags) as app,
        httpx.Client(base_url=app.url, timeout=60, headers=bearer(caller)) as http,
    ):
        for alias in ("invoices", "payments"):
            source = {"alias": alias, "uri": str(folder / f"{alias}.csv")}
            assert http.post("/api/sources", json=source).status_code == 201
        yield World(books, app, http)


def bearer(token: str | None) -> dict[str, str]:
    """Return the header of a token."""
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def without_uris(recipe: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a recipe whose sources are those that are saved."""
    sides = {
        side: {name: value for name, value in source.items() if name not in ("uri", "type")}
        for side, source in recipe["sources"].items()
    }
    return {**recipe, "sources": sides, **more}


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
