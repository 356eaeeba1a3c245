"""An app that is killed at any moment loses no run, and has none done twice."""

from __future__ import annotations

import random
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.support.api import absolute_recipe
from tests.support.apps import app_process
from tests.support.books import make_books
from tests.support.coordinators import coordinator_process, select_pause


def survive(folder: Path, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    recipe = absolute_recipe(make_books(folder))
    taken: list[str] = []
    with coordinator_process(folder / "staging", "--max-jobs", "2") as coordinator:
        for _ in range(kills):
            with (
                app_process(folder / "data", coordinator.url) as app,
                httpx.Client(timeout=60) as http,
            ):
                for _ in range(chance.randrange(1, 5)):
                    run_id = f"run-{len(taken):03d}"
                    answer = http.post(
                        f"{app.url}/api/runs", json={"run_id": run_id, "recipe": recipe}
                    )
                    assert answer.status_code == 202, answer.text
                    taken.append(run_id)
                for _ in range(chance.randrange(8)):
                    select_pause()
                app.kill()
        with ExitStack() as stack:
            app = stack.enter_context(app_process(folder / "data", coordinator.url))
            http = stack.enter_context(httpx.Client(base_url=app.url, timeout=60))
            for run_id in taken:
                while (run := http.get(f"/api/runs/{run_id}").json())["ended_at"] is None:
                    select_pause()
                assert (run["status"], run["matched_count"]) == ("succeeded", 2)
            trail = http.get("/api/audit", params={"limit": 500}).json()["entries"]
            whole = http.get("/api/audit/check").json()["whole"]
        jobs = httpx.get(f"{coordinator.url}/api/jobs", params={"limit": 500}, timeout=60).json()[
            "jobs"
        ]

    assert sorted(job["run_id"] for job in jobs) == taken
    assert {job["attempt"] for job in jobs} == {1}
    ends = [one["subject"] for one in trail if one["action"] == "run.end"]
    assert sorted(ends) == [f"run/{run_id}" for run_id in taken]
    assert whole


def test_an_app_that_is_killed_loses_no_run_and_has_none_done_twice(tmp_path: Path) -> None:
    survive(tmp_path, kills=2, seed=1)


@pytest.mark.full
def test_the_same_twenty_times(tmp_path: Path) -> None:
    survive(tmp_path, kills=20, seed=2)
