"""Moments in the life of a cluster job at which its processes can be held."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.places import FETCHING, JOINING, SCANNING
from tests.support.stops import Stops
from tests.support.wired_cluster import WiredCluster, WiredExecutor


@dataclass(frozen=True)
class Stage:
    """A moment: somebody comes to a place, not for the first time perhaps.

    Attributes:
        victim: whether it is the executor that the fault happens to; else another one.
    """

    place: str
    call: int = 1
    victim: bool = True


STARTS, SCANS, FETCHES, JOINS = (
    "as it starts",
    "while it scans",
    "while others fetch from it",
    "while it joins",
)

STAGES: Mapping[str, Stage] = {
    STARTS: Stage(SCANNING),
    SCANS: Stage(SCANNING, call=2),
    FETCHES: Stage(FETCHING, victim=False),
    JOINS: Stage(JOINING),
}


@dataclass(frozen=True)
class Scene:
    """A job on a cluster, and the executor that something happens to.

    Attributes:
        before: counts of what there was when it happened.
    """

    cluster: WiredCluster
    victim: WiredExecutor
    run_id: str
    before: dict[str, int] = field(default_factory=dict)

    @property
    def others(self) -> list[WiredExecutor]:
        return [one for one in self.cluster.workers if one is not self.victim and one.runs]


def armed(stage: Stage, victim: WiredExecutor, other: WiredExecutor) -> Stops:
    """Let the job be held at a stage; to be called before it is submitted."""
    stops = victim.stops if stage.victim else other.stops
    stops.arm(stage.place, call=stage.call)
    return stops


@contextmanager
def held_at(stops: Stops, stage: Stage) -> Iterator[None]:
    """Wait until the job has come to the stage; it goes on after the block."""
    with stops.held(stage.place):
        yield
