"""Several processes of an app on one port: nobody who uses it can tell."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator

import httpx
import psutil
import pytest

from tests.support.apps import World, app_world, without_uris
from tests.support.coordinators import select_pause

PATIENCE_S = 120
ASKED = 60


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with app_world(tmp_path_factory.mktemp("workers"), "--workers", "2") as found:
        yield found


def test_all_processes_answer_and_are_counted_together(world: World) -> None:
    before = counted(world)

    for _ in range(ASKED):
        assert (
            httpx.get(f"{world.app.url}/health", timeout=60).status_code == 200
        )  # a connection each
    used = [one.cpu_times().user for one in workers(world)]

    assert len(used) == 2
    # Each tells the others now and then what it has counted.
    eventually(lambda: counted(world) >= before + ASKED)


def test_runs_that_many_ask_for_at_once_are_each_run_once(world: World) -> None:
    recipe = without_uris(world.books.recipe)
    asked = []
    for number in range(9):
        body = {"run_id": f"each-{number}", "recipe": recipe}
        for _ in range(2):  # and again, of whoever is there then
            answer = httpx.post(f"{world.app.url}/api/runs", json=body, timeout=60)
            assert answer.status_code in (200, 201, 202), answer.text
        asked.append(answer.json()["run_id"])

    ended = [world.ended(run_id) for run_id in asked]

    assert [one["status"] for one in ended] == ["succeeded"] * 9
    listed = [one["run_id"] for one in world.http.get("/api/runs?limit=100").json()["runs"]]
    assert sorted(one for one in listed if one.startswith("each-")) == sorted(asked)


def test_a_process_that_is_killed_is_replaced_and_all_end_with_the_first(world: World) -> None:
    first, *others = workers(world)
    before = counted(world)
    os.kill(others[0].pid, signal.SIGKILL)
    others[0].wait(PATIENCE_S)

    eventually(lambda: len(workers(world)) == 2)
    assert counted(world) >= before
    assert httpx.get(f"{world.app.url}/ready", timeout=60).status_code == 200
    all_of_them = workers(world)
    first.terminate()

    gone, alive = psutil.wait_procs(all_of_them, PATIENCE_S)
    assert (len(gone), alive) == (2, [])


def workers(world: World) -> list[psutil.Process]:
    first = psutil.Process(world.app.process.pid)
    return [first, *(one for one in first.children() if "kalla_app.workers" in one.cmdline())]


def counted(world: World) -> int:
    """Return how many requests were answered well, as some process tells."""
    text = httpx.get(f"{world.app.url}/metrics", timeout=60).text
    found = re.search(r'kalla_app_requests_total\{status="200"\} ([\d.e+]+)', text)
    return 0 if found is None else int(float(found[1]))


def eventually(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until
        select_pause()
