"""What executors say they wrote, before any of it is touched."""

from __future__ import annotations

import pytest

from kalla_coordinator.cluster import events as e
from kalla_coordinator.cluster.attempts import FragmentKey, StageName, Try
from kalla_coordinator.cluster.gathered import gather
from kalla_coordinator.cluster.layout import Room, Shape
from kalla_coordinator.cluster.run_state import RunState, Setup, begun
from kalla_coordinator.cluster.stages import step
from kalla_core.errors import EvidenceDamaged
from kalla_core.evidence.names import MATCHED
from kalla_core.fragments.outcome import (
    BucketSize,
    BucketSizes,
    EvidencePart,
    JoinDone,
    Outcome,
    ScanDone,
)
from kalla_core.fragments.remote import ScanWork
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.strategy import Strategy
from kalla_core.sources.protocol import Part

NONE = {Side.LEFT: 0, Side.RIGHT: 0}
MIB = 1 << 20


def run_that_wrote(*names: str) -> RunState:
    """A run of one join, which reports files of these names."""
    files = tuple(EvidencePart(name, 0, 8, "") for name in names)
    scans = tuple(ScanWork(side, Part(0, {}, MIB)) for side in Side)
    shape = Shape(Strategy.COPARTITION, frozenset(), spread=True)
    state = begun(Setup((), scans, shape, Room(1, 1 << 30), buckets=1))
    scanned = ScanDone(1, 0, 0, BucketSizes.of([BucketSize(0, 1, MIB, MIB)]), MIB)
    outcomes: list[tuple[StageName, int, Outcome]] = [
        (StageName.SCAN, 0, scanned),
        (StageName.SCAN, 1, scanned),
        (StageName.JOIN, 0, JoinDone(files, NONE, NONE, NONE)),
    ]
    for stage, number, outcome in outcomes:
        key = FragmentKey(stage, number)
        state, _ = step(state, e.Granted(key, "a"))
        state, _ = step(state, e.Ended(Try(key, 1), outcome))
    return state


def test_an_attempt_tells_of_its_own_files() -> None:
    gathered = gather(run_that_wrote(f"{MATCHED}/join-0-1.parquet"))

    assert [part.name for part in gathered.parts] == [f"{MATCHED}/join-0-1.parquet"]


@pytest.mark.parametrize(
    "names",
    [
        [f"{MATCHED}/../../other.parquet"],
        ["/etc/passwd"],
        [f"{MATCHED}/join-0-2.parquet"],
        [f"{MATCHED}/join-1-1.parquet"],
        ["other.parquet/join-0-1.parquet"],
        [f"{MATCHED}/join-0-1.parquet", f"{MATCHED}/join-0-1.parquet"],
        [""],
    ],
)
def test_an_attempt_that_names_other_files_is_not_believed(names: list[str]) -> None:
    with pytest.raises(EvidenceDamaged, match="not its own"):
        gather(run_that_wrote(*names))
