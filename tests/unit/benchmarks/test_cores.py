"""What a trace says of other numbers of cores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.critical import Stage, makespan, stages
from benchmarks.generate import Format, PatternName, generate
from benchmarks.traced import traced
from kalla_core.engine import tasks

GIB = 1 << 30


def moment(wall: float, cpu: float, leading: float) -> dict[str, float]:
    return {"wall": wall, "cpu": cpu, "leading": leading}


def task(name: str, begun: dict[str, float], ended: dict[str, float]) -> dict[str, Any]:
    return {"name": name, "begun": begun, "ended": ended}


def test_tasks_are_taken_in_their_order_by_the_first_idle_core() -> None:
    assert makespan((4.0, 1.0, 1.0, 2.0), 1) == 8
    assert makespan((4.0, 1.0, 1.0, 2.0), 2) == 4
    assert makespan((4.0, 1.0, 1.0, 2.0), 16) == 4


def test_what_one_thread_does_alone_is_not_shared_out() -> None:
    stage = Stage("join", cpu=10.0, serial=2.0)

    assert [stage.seconds(cores) for cores in (1, 2, 16)] == [10.0, 6.0, 2.5]


def test_stages_lie_between_the_tasks_that_threads_are_given() -> None:
    start, end = moment(1, 1, 1), moment(3, 5, 1)
    trace = {
        "tasks": [
            task("scan", start, moment(2, 3, 1)),
            task("within", moment(1.2, 1.2, 1), moment(1.4, 1.4, 1)),
            task("scan", moment(2, 3, 1), end),
        ],
        "end": moment(5, 8, 2),
    }

    found = stages(trace)

    assert found == [
        Stage("planning", 1, 1),
        Stage("scan", 4, 0.0, (2.0, 2.0)),
        Stage("after scan", 3, 1),
    ]
    assert sum(stage.seconds(1) for stage in found) == 8


def test_a_run_is_traced_and_left_as_it_was(tmp_path: Path) -> None:
    before = tasks._unless_stopped
    dataset = generate(PatternName.ONE_TO_ONE, 1_000, 1, tmp_path / "data", Format.PARQUET)

    trace = traced(dataset.recipe_path, tmp_path, 2, GIB, 2)

    assert {"plan", "scan"} <= {task["name"] for task in trace["tasks"]}
    assert sum(stage.cpu for stage in stages(trace)) == pytest.approx(trace["end"]["cpu"], rel=0.2)
    assert tasks._unless_stopped is before
