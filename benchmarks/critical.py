"""How long a run would take on more cores, from a trace of it. Pure.

A run is a row of stages, one after the other. In some of them tasks are given to threads: on many
cores such a stage ends with its longest task, or once all cores have done their share. Between
them one thread leads, with engines and encoders beside it: what it does itself nobody else can do
at the same time, and all the rest is shared out.

It says what can be done at the same time if nothing is in the way: that cores share memory and
caches, and that threads wait for each other, it does not know. So it is held against what was
measured on one core and on two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heapreplace
from itertools import groupby
from typing import Any


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of a run.

    Attributes:
        name: what is done in it.
        cpu: seconds of all threads.
        serial: of these, what one thread does while no other can.
        tasks: seconds of what is given to threads, each for one of them; they add up to the rest.
            Without any the rest can be cut as finely as one likes.
    """

    name: str
    cpu: float
    serial: float
    tasks: tuple[float, ...] = ()

    def seconds(self, cores: int) -> float:
        """Return how long it takes on so many cores."""
        if not self.tasks:
            return self.serial + (self.cpu - self.serial) / cores
        return self.serial + makespan(self.tasks, cores)


def makespan(tasks: Sequence[float], cores: int) -> float:
    """Return when the last of some tasks ends, each taken in its order by the first idle core."""
    busy = [0.0] * cores
    for task in tasks:
        heapreplace(busy, busy[0] + task)
    return max(busy)


def stages(trace: Mapping[str, Any]) -> list[Stage]:
    """Return the stages of a trace as `benchmarks.traced` prints it, in their order."""
    found: list[Stage] = []
    before = {"wall": 0.0, "cpu": 0.0, "leading": 0.0}
    told = "planning"
    ordered = sorted(_outermost(trace["tasks"]), key=lambda task: task["begun"]["wall"])
    for name, group in groupby(ordered, key=lambda task: task["name"]):
        tasks = list(group)
        begun = tasks[0]["begun"]
        ended = max((task["ended"] for task in tasks), key=lambda moment: moment["wall"])
        found.append(_between(told, before, begun))
        found.append(_given(name, tasks, begun, ended))
        before, told = ended, f"after {name}"
    found.append(_between(told, before, trace["end"]))
    return [stage for stage in found if stage.cpu > 0]


def _outermost(tasks: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Leave out tasks that others gave to threads while they were at it themselves."""
    names: list[str] = []
    for task in sorted(tasks, key=lambda task: task["begun"]["wall"]):
        if task["name"] not in names:
            names.append(task["name"])
    spans = {
        name: (
            min(task["begun"]["wall"] for task in tasks if task["name"] == name),
            max(task["ended"]["wall"] for task in tasks if task["name"] == name),
        )
        for name in names
    }

    def within(name: str) -> bool:
        start, end = spans[name]
        return any(low < start and end < high for low, high in spans.values())

    return [task for task in tasks if not within(task["name"])]


def _between(name: str, begun: Mapping[str, float], ended: Mapping[str, float]) -> Stage:
    cpu, leading = ended["cpu"] - begun["cpu"], ended["leading"] - begun["leading"]
    return Stage(name, cpu, min(leading, cpu))


def _given(
    name: str,
    tasks: Sequence[Mapping[str, Any]],
    begun: Mapping[str, float],
    ended: Mapping[str, float],
) -> Stage:
    """Share out the CPU time of a stage by how long its tasks took."""
    cpu = ended["cpu"] - begun["cpu"]
    took = [task["ended"]["wall"] - task["begun"]["wall"] for task in tasks]
    whole = sum(took) or 1.0
    return Stage(name, cpu, 0.0, tuple(cpu * one / whole for one in took))
