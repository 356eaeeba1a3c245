"""Two coordinators on one job store: the second waits, says so, and takes over."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from kalla_core.recipe.parse import load_recipe
from kalla_core.recipe.write import to_document
from tests.integration.test_coordinator_process import slow
from tests.support.books import Books
from tests.support.command import clean_environment
from tests.support.coordinators import COMMAND, coordinator_process, select_pause

PATIENCE_S = 60


@dataclass
class Waiter:
    process: subprocess.Popen[bytes]
    log: Path

    def told(self, event: str) -> dict[str, int]:
        """What its log says with an event, once it does."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            for line in self.log.read_text().splitlines():
                if f'"{event}"' in line and line.endswith("}"):
                    found: dict[str, int] = json.loads(line)
                    return found
            select_pause()
        raise TimeoutError(self.log.read_text())


@contextmanager
def waiter(staging: Path) -> Iterator[Waiter]:
    log = staging.with_name("waiter.log")
    ports = ("--http-port", "0", "--grpc-port", "0", "--results-port", "0")
    more = ("--memory-limit", "3GiB", "--log-format", "json")
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*COMMAND, "coordinator", *ports, *more, "--staging-path", str(staging)],
            stdout=subprocess.DEVNULL,
            stderr=file,
            env=clean_environment(),
        )
    try:
        yield Waiter(process, log)
    finally:
        process.kill()
        process.wait()


def test_a_second_coordinator_leaves_running_jobs_alone_and_takes_over_when_the_first_is_gone(
    books: Books, tmp_path: Path
) -> None:
    recipe = slow(to_document(load_recipe(books.write())))
    staging = tmp_path / "staging"
    with coordinator_process(staging) as first, waiter(staging) as second:
        asked_for = {"run_id": "r", "recipe": recipe}
        assert httpx.post(f"{first.url}/api/jobs", json=asked_for, timeout=60).is_success
        url = f"http://127.0.0.1:{second.told('coordinator_waiting')['http_port']}"
        alive, ready = httpx.get(f"{url}/health", timeout=60), httpx.get(f"{url}/ready", timeout=60)
        asked = httpx.get(f"{url}/api/jobs/r", timeout=60)
        while (job := httpx.get(f"{first.url}/api/jobs/r", timeout=60).json())[
            "status"
        ] == "queued":
            select_pause()
        first.kill()
        taken = second.told("coordinator_ready")
        after = httpx.get(f"{url}/api/jobs/r", timeout=60).json()

        assert alive.is_success
        assert ready.status_code == 503
        assert "another coordinator owns the job store" in ready.json()["reason"]
        assert asked.status_code == 503
        assert asked.json()["error"]["code"] == "store_unavailable"
        assert (job["status"], job["attempt"]) == ("running", 1)
        assert url.endswith(f":{taken['http_port']}")
        assert after["status"] in ("queued", "running")
        assert httpx.get(f"{url}/ready", timeout=60).json() == {"ready": True, "reason": None}


def test_one_that_waits_ends_at_once_and_well_when_it_is_told(tmp_path: Path) -> None:
    staging = tmp_path / "staging"
    with coordinator_process(staging), waiter(staging) as second:
        second.told("coordinator_waiting")

        second.process.send_signal(signal.SIGTERM)

        assert second.process.wait(20) == 0
