"""Coordinator and executors on machines of their own, which network namespaces stand for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from benchmarks.check import check
from benchmarks.generate import generate
from kalla_core.recipe.parse import load_recipe
from kalla_core.recipe.write import to_document
from tests.support.namespaces import Machine, machines, permitted
from tests.support.real_cluster import Service, until

SIZE = 40_000
ASK = """
import sys, urllib.request
url, body = sys.argv[1], sys.argv[2].encode() if len(sys.argv) > 2 else None
request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
print(urllib.request.urlopen(request, timeout=30).read().decode())
"""


def asked(machine: Machine, path: str, body: Any = None) -> Any:
    """Ask the coordinator over HTTP on its own machine."""
    sent = [] if body is None else [json.dumps(body)]
    url = f"http://{machine.address}:8080{path}"
    command = [*machine.prefix, sys.executable, "-c", ASK, url, *sent]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(answer.stdout)


def test_rows_go_from_executor_to_executor_by_their_own_addresses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    why_not = permitted()
    if why_not is not None:
        with capsys.disabled():
            print(f"\nNOT SHOWN, network namespaces are not permitted here: {why_not}")
        return
    dataset = generate("one_to_one", SIZE, 7, tmp_path / "data", "parquet")
    options = {"engine": "cluster", "partitions": 4, "buckets": 8}
    document = {**to_document(load_recipe(dataset.recipe_path)), "options": options}
    with ExitStack() as running:
        made = running.enter_context(machines(str(os.getpid())[-5:], ["coordinator", "one", "two"]))
        coordinator = made["coordinator"]
        start(running, tmp_path, coordinator).event("coordinator_ready")
        for name in ("one", "two"):
            join(running, tmp_path / name, coordinator, made[name]).event("executor_started")
        assert until(lambda: len(asked(coordinator, "/api/executors")["executors"]) == 2, 60)
        before = {name: machine.bytes_in() for name, machine in made.items()}

        body = {"run_id": "hosts-1", "recipe": document, "output_path": str(tmp_path / "out")}
        asked(coordinator, "/api/jobs", body)
        assert until(
            lambda: asked(coordinator, "/api/jobs/hosts-1")["status"] in ("succeeded", "failed"),
            180,
        )
        job = asked(coordinator, "/api/jobs/hosts-1")
        came = {name: machine.bytes_in() - before[name] for name, machine in made.items()}
        executors = asked(coordinator, "/api/executors")["executors"]

    assert job["status"] == "succeeded", job["error"]
    addresses = {each["address"].partition(":")[0] for each in executors}
    assert addresses == {made["one"].address, made["two"].address}
    report = check(tmp_path / "out", dataset.truth)
    assert report.ok, str(report)
    rows_bytes = came["one"] + came["two"]
    assert rows_bytes > 2_000_000, came
    assert came["coordinator"] < rows_bytes / 10, came


def start(running: ExitStack, folder: Path, machine: Machine) -> Service:
    return running.enter_context(
        Service.started(
            "coordinator",
            f"--bind-host={machine.address}",
            f"--staging-path={folder / 'staging'}",
            f"--allowed-paths={folder}",
            "--memory-limit=3GiB",
            "--insecure",
            prefix=machine.prefix,
        )
    )


def join(running: ExitStack, spools: Path, coordinator: Machine, machine: Machine) -> Service:
    return running.enter_context(
        Service.started(
            "executor",
            f"--coordinator-host={coordinator.address}",
            "--bind-host=0.0.0.0",
            "--slots=1",
            "--memory-limit=2GiB",
            f"--spool-path={spools}",
            "--insecure",
            prefix=machine.prefix,
        )
    )
