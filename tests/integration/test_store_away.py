"""A job store that is away: the coordinator says so, and ends when it is told all the same."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from kalla_coordinator.jobs.allowed import STORE
from kalla_core.recipe.parse import load_recipe
from kalla_core.recipe.write import to_document
from tests.integration.test_coordinator_process import slow
from tests.support.books import Books
from tests.support.command import clean_environment
from tests.support.coordinators import COMMAND, Process, coordinator_process, select_pause

PATIENCE_S = 60


def readiness(process: Process) -> tuple[int, dict[str, Any]]:
    answer = httpx.get(f"{process.url}/ready", timeout=30)
    return answer.status_code, answer.json()


def becomes(process: Process, ready: bool) -> dict[str, Any]:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        _, said = readiness(process)
        if said["ready"] is ready:
            return said
        select_pause()
    raise TimeoutError(f"it is never {ready}")


def test_ready_is_whether_the_store_can_be_written_and_not_whether_it_can_be_read(
    books: Books, tmp_path: Path
) -> None:
    staging = tmp_path / "staging"
    recipe = to_document(load_recipe(books.write()))
    with (
        coordinator_process(staging) as process,
        closing(sqlite3.connect(staging / STORE, isolation_level=None)) as other,
    ):
        before = readiness(process)
        other.execute("BEGIN IMMEDIATE")
        away = becomes(process, ready=False)
        listed = httpx.get(f"{process.url}/api/jobs", timeout=30)
        asked = {"run_id": "r", "recipe": recipe}
        refused = httpx.post(f"{process.url}/api/jobs", json=asked, timeout=30)
        other.execute("ROLLBACK")
        back = becomes(process, ready=True)
        accepted = httpx.post(f"{process.url}/api/jobs", json=asked, timeout=30)

    assert before == (200, {"ready": True, "reason": None})
    assert away["reason"] == "store_unavailable: the job store cannot be written"
    assert listed.is_success
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "store_unavailable")
    assert back["reason"] is None
    assert accepted.status_code == 202


@pytest.mark.parametrize("work", ["that wants to commit", "that goes on"])
def test_with_its_store_gone_a_coordinator_with_a_job_ends_when_it_is_told(
    books: Books, tmp_path: Path, work: str
) -> None:
    staging = tmp_path / "staging"
    recipe = to_document(load_recipe(books.write()))
    recipe = slow(recipe) if work == "that goes on" else recipe
    with coordinator_process(staging, "--grace", "1s") as process:
        asked = {"run_id": "r", "recipe": recipe}
        assert httpx.post(f"{process.url}/api/jobs", json=asked, timeout=30).status_code == 202
        for file in staging.glob(f"{STORE}*"):
            file.unlink()
        becomes(process, ready=False)
        process.process.send_signal(signal.SIGTERM)
        code = process.process.wait(30)
        said = process.log.read_text()

    assert code == 0
    assert '"job_not_handed_over"' in said
    assert '"coordinator_stopped"' in said


def test_an_accepted_job_outlives_the_removal_of_the_log_of_the_store_and_a_kill(
    books: Books, tmp_path: Path
) -> None:
    staging = tmp_path / "staging"
    recipe = to_document(load_recipe(books.write()))
    asked = {"run_id": "r", "recipe": slow(recipe)}
    with coordinator_process(staging) as process:
        assert httpx.post(f"{process.url}/api/jobs", json=asked, timeout=30).status_code == 202
        (staging / f"{STORE}-wal").unlink()
        process.kill()
    with coordinator_process(staging) as process:
        listed = httpx.get(f"{process.url}/api/jobs", timeout=30).json()["jobs"]

    assert [job["run_id"] for job in listed] == ["r"]


def test_a_coordinator_whose_store_does_not_answer_as_it_starts_ends_when_it_is_told(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, (tmp_path / "log").open("wb") as log:
        silent.settimeout(PATIENCE_S)
        port = silent.getsockname()[1]
        ports = ("--http-port", "0", "--grpc-port", "0", "--results-port", "0")
        process = subprocess.Popen(
            [*COMMAND, "coordinator", *ports, "--memory-limit", "3GiB",
             "--staging-path", str(tmp_path / "staging"), "--log-format", "json"],
            stdout=subprocess.DEVNULL,
            stderr=log,
            env={**clean_environment(), "DATABASE_URL": f"postgres://u@127.0.0.1:{port}/db"},
        )  # fmt: skip
        try:
            connection, _ = silent.accept()
            with closing(connection):
                process.send_signal(signal.SIGTERM)
                code = process.wait(PATIENCE_S)
        finally:
            process.kill()
            process.wait()

    said = [json.loads(line)["event"] for line in (tmp_path / "log").read_text().splitlines()]
    assert code == 0
    assert said[-1] == "coordinator_stopped"
