"""Executors of older versions against the coordinator of today, as during an upgrade."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.check import check
from benchmarks.generate import generate
from kalla_core.recipe.parse import load_recipe
from tests.support.older import code_of, since_protocol
from tests.support.real_cluster import Cluster, Service, until

PATIENCE_S = 60.0

pytestmark = pytest.mark.full


@contextmanager
def coordinator(folder: Path) -> Iterator[tuple[Cluster, int]]:
    """Start one; yields it with the port for its executors."""
    command = ("coordinator", "--http-port=0", "--grpc-port=0", "--results-port=0")
    flags = ("--memory-limit=2GiB", "--max-jobs=2", f"--staging-path={folder / 'staging'}")
    with Service.started(*command, *flags) as service:
        ready = service.event("coordinator_ready")
        yield Cluster(service, f"http://127.0.0.1:{ready['http_port']}"), ready["grpc_port"]


@contextmanager
def executor(port: int, spool: Path, environment: dict[str, str]) -> Iterator[Service]:
    command = ("executor", "--coordinator-host=127.0.0.1", f"--coordinator-port={port}")
    bound = ("--bind-host=127.0.0.1", "--flight-port=0", "--http-port=0", "--grpc-port=0")
    limits = ("--slots=2", "--memory-limit=1GiB", f"--spool-path={spool}")
    with Service.started(*command, *bound, *limits, environment=environment) as service:
        yield service


def test_the_oldest_executor_of_this_protocol_and_one_of_today_do_a_job_together(
    tmp_path: Path,
) -> None:
    (tmp_path / "data").mkdir()
    dataset = generate("one_to_one", 20_000, 7, tmp_path / "data", "csv")
    older = code_of(since_protocol(), tmp_path / "code")
    with (
        coordinator(tmp_path) as (cluster, port),
        executor(port, tmp_path / "spool-old", older) as old,
        executor(port, tmp_path / "spool-new", {}) as new,
    ):
        ids = {one.event("executor_started")["executor_id"] for one in (old, new)}
        assert until(lambda: {one["executor_id"] for one in cluster.executors()} == ids, PATIENCE_S)

        job = cluster.run(load_recipe(dataset.recipe_path), tmp_path / "out")

        assert job["engine"] == "cluster"
        report = check(tmp_path / "out", dataset.truth)
        assert report.ok, str(report)


def test_an_executor_of_the_protocol_before_is_refused_in_one_sentence_and_does_no_harm(
    tmp_path: Path,
) -> None:
    before = code_of(f"{since_protocol()}^", tmp_path / "code")
    with coordinator(tmp_path) as (cluster, port), executor(port, tmp_path / "s", before) as old:
        old.event("executor_started")

        assert old.process.wait(PATIENCE_S) == 2

        assert cluster.executors() == []
    assert until(lambda: any(line.startswith("Error (refused)") for line in old.lines), PATIENCE_S)
    (said,) = [line for line in old.lines if line.startswith("Error")]
    assert "install the same version of Kalla on both" in said
    assert "Traceback" not in "".join(old.lines)
