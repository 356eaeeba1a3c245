"""Runs that are killed, or interrupted, as they begin each single step in the file system."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from kalla_core.evidence.names import FINAL_NAMES

RUNS = Path(__file__).with_name("interrupted_runs.py")
MEMORY = Path("/dev/shm")  # noqa: S108 - thousands of fsyncs would take minutes on a disk
NOTHING: dict[str, str] = {}
ALL_OLD = dict.fromkeys(FINAL_NAMES, "old")
ALL_NEW = dict.fromkeys(FINAL_NAMES, "new")
EMPTY_FOLDERS = {"a", "a/b", "out"}  # the next claim cannot know who made them
ONE_STEP = [  # the output folder itself is replaced
    "fresh",
    "fresh_with_parents",
    "empty",
    "old",
    "old_in_parts",
]
BY_LINKS = [
    "foreign",
    "foreign_and_old",
    "foreign_and_old_in_parts",
    "inside",
    "inside_and_old",
]


Run = dict[str, Any]
Runs = Callable[[str, str], list[Run]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Run a case once per step, once for all workers; the last run is one that nobody stopped."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent

    def run(case: str, how: str) -> list[Run]:
        with (shared / f"{case}-{how}.jsonl").open("a+") as kept:
            fcntl.flock(kept, fcntl.LOCK_EX)
            kept.seek(0)
            lines = kept.readlines()
            if not lines:
                lines = run_anew(case, how).splitlines(keepends=True)
                kept.writelines(lines)
        return [json.loads(line) for line in lines]

    return run


def run_anew(case: str, how: str) -> str:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        command = [sys.executable, str(RUNS), case, how, folder]
        return subprocess.run(command, check=True, stdout=PIPE, text=True, timeout=120).stdout


def before(case: str) -> dict[str, str]:
    return ALL_OLD if "old" in case else NOTHING


@pytest.mark.parametrize("case", [*ONE_STEP, *BY_LINKS])
def test_a_run_killed_at_any_step_leaves_all_of_the_old_or_all_of_the_new(
    case: str, runs: Runs
) -> None:
    *killed, finished = runs(case, "kill")

    left = [run["left"]["whose"] for run in killed]

    assert len(killed) > 10
    assert {run["status"] for run in killed} == {-signal.SIGKILL}
    assert all(whose in (before(case), ALL_NEW) for whose in left)
    assert before(case) in left
    assert finished["status"] == 0
    assert finished["left"]["whose"] == ALL_NEW


@pytest.mark.parametrize("case", ["fresh", "fresh_with_parents", "empty"])
def test_a_killed_run_leaves_not_even_a_link_under_a_final_name(case: str, runs: Runs) -> None:
    lines = runs(case, "kill")

    names = [
        {path.name for path in map(Path, run["left"]["paths"]) if path.parent.name == "out"}
        for run in lines
    ]

    assert all(left <= {".kalla"} or left == set(FINAL_NAMES) for left in names)


@pytest.mark.parametrize("case", [*ONE_STEP, *BY_LINKS])
def test_the_next_claim_sweeps_what_a_killed_run_left(case: str, runs: Runs) -> None:
    *killed, finished = runs(case, "kill")

    for run in killed:
        whole = finished["left"] if run["left"]["whose"] == ALL_NEW else run["laid"]
        assert run["next"]["whose"] == run["left"]["whose"]
        assert set(run["next"]["paths"]) - EMPTY_FOLDERS == set(whole["paths"]) - EMPTY_FOLDERS


@pytest.mark.parametrize("case", [*ONE_STEP, *BY_LINKS])
def test_a_run_interrupted_at_any_step_leaves_its_evidence_or_no_trace(
    case: str, runs: Runs
) -> None:
    *interrupted, finished = runs(case, "interrupt")

    left = [run["left"] for run in interrupted]

    assert {run["status"] for run in interrupted} == {130}
    assert finished["status"] == 0
    assert interrupted[0]["laid"] in left
    assert all(state in (finished["laid"], finished["left"]) for state in left)


@pytest.mark.parametrize("case", [*ONE_STEP, *BY_LINKS])
def test_a_run_leaves_evidence_and_nothing_else(case: str, runs: Runs) -> None:
    finished = runs(case, "kill")[-1]

    new = set(finished["left"]["paths"]) - set(finished["laid"]["paths"])
    gone = set(finished["laid"]["paths"]) - set(finished["left"]["paths"])

    assert {Path(path).name for path in new} <= {"a", "b", "out", *FINAL_NAMES}
    assert {Path(path).name for path in gone} <= {"part-0.parquet"}


@pytest.mark.parametrize("case", ["in_order_foreign", "in_order_foreign_and_old"])
def test_where_files_can_only_be_renamed_in_order_the_next_claim_completes_them(
    case: str, runs: Runs
) -> None:
    lines = runs(case, "kill")

    left = [run["left"]["whose"] for run in lines]

    assert all(whose in (ALL_OLD, ALL_NEW) for whose in left if "metadata.json" in whose)
    assert any(whose and "metadata.json" not in whose for whose in left)
    for run in lines:
        assert run["next"]["whose"] in (before(case), ALL_NEW)
        assert not any(".kalla" in path for path in run["next"]["paths"])
