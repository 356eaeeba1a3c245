"""Copies of evidence stay while somebody looks at them, by a clock that nobody sets."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from kalla_app.evidence.copies import Copies
from kalla_app.evidence.place import EvidencePlace
from kalla_app.runs.life import RunState, RunStatus
from kalla_app.store.runs import Run
from kalla_core.client.client import Client
from kalla_core.serving.clock import SteadyClock

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)
MONTH = timedelta(days=30)


class Clock:
    """A wall clock that is set, and a monotonic one that is not."""

    def __init__(self) -> None:
        self.wall, self.seconds = NOON, 1000.0

    def steady(self) -> SteadyClock:
        return SteadyClock(lambda: self.wall, lambda: self.seconds)

    def pass_by(self, span: timedelta) -> None:
        self.wall += span
        self.seconds += span.total_seconds()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def copies(tmp_path: Path, clock: Clock) -> Copies:
    made = Copies(tmp_path / "evidence", clock.steady())
    for run_id in ("looked-at", "left-alone"):
        made.of(run_id).mkdir(parents=True)
        (made.of(run_id) / "metadata.json").write_text("{}")
        made.use(made.of(run_id))
    return made


def left(copies: Copies) -> list[str]:
    return sorted(place.name for place in copies.folder.iterdir())


def test_a_copy_goes_when_nobody_has_looked_at_it_for_so_long(copies: Copies, clock: Clock) -> None:
    steady = clock.steady()
    clock.pass_by(MONTH - DAY)
    copies.use(copies.of("looked-at"))
    early = copies.sweep(steady.now() - MONTH)
    clock.pass_by(2 * DAY)

    count = copies.sweep(steady.now() - MONTH)

    assert (early, count, left(copies)) == (0, 1, ["looked-at"])


def test_a_wall_clock_that_is_set_forward_makes_no_copy_old(copies: Copies, clock: Clock) -> None:
    steady = clock.steady()
    clock.wall += 12 * MONTH

    count = copies.sweep(steady.now() - MONTH)

    assert (count, left(copies)) == (0, ["left-alone", "looked-at"])


def test_what_another_app_on_the_folder_uses_stays(copies: Copies, clock: Clock) -> None:
    another = Copies(copies.folder, clock.steady())
    clock.pass_by(2 * MONTH)
    another.use(another.of("looked-at"))

    copies.sweep(clock.wall - MONTH)

    assert left(copies) == ["looked-at"]


def test_what_a_fetch_or_a_sweep_left_that_was_killed_goes_too(
    copies: Copies, clock: Clock
) -> None:
    for name in ("never-finished", ".going-0123"):
        (copies.folder / name).mkdir()
        (copies.folder / name / "matched.parquet").write_bytes(b"half")
        os.utime(copies.folder / name, (NOON.timestamp(), NOON.timestamp()))
    clock.pass_by(2 * MONTH)

    assert copies.sweep(clock.wall - MONTH) == 4

    assert left(copies) == []


def test_a_folder_that_is_the_coordinators_is_neither_touched_nor_removed(
    copies: Copies, clock: Clock, tmp_path: Path
) -> None:
    own = tmp_path / "output"
    own.mkdir()
    before = own.stat().st_mtime_ns
    clock.pass_by(2 * MONTH)

    copies.use(own)
    copies.sweep(clock.wall)

    assert own.stat().st_mtime_ns == before


def test_without_any_copy_there_is_nothing_to_remove(tmp_path: Path) -> None:
    assert Copies(tmp_path / "none").sweep(NOON) == 0


class FarAway:
    """A coordinator on another machine, which has the evidence of every run."""

    def __init__(self) -> None:
        self.fetched: list[str] = []

    async def fetch(self, run_id: str, folder: Path) -> None:
        self.fetched.append(run_id)
        folder.mkdir(exist_ok=True)
        (folder / "metadata.json").write_text(json.dumps({"run_id": run_id}))


async def test_a_copy_that_went_is_fetched_again_when_somebody_looks(
    tmp_path: Path, clock: Clock
) -> None:
    coordinator, copies = FarAway(), Copies(tmp_path / "evidence", clock.steady())
    place = EvidencePlace(cast("Client", coordinator), copies)
    ended = RunState(RunStatus.SUCCEEDED, output_path="/there/only/r1")
    run = Run("r1", "books", 1, "Books", ended, "anna", NOON, NOON, NOON)
    first, again = await place.folder(run), await place.folder(run)
    clock.pass_by(2 * MONTH)

    copies.sweep(clock.wall - MONTH)
    gone = not await place.is_here(run)
    later = await place.folder(run)

    assert first == again == later == copies.of("r1")
    assert gone
    assert coordinator.fetched == ["r1", "r1"]
    assert copies.sweep(clock.wall - MONTH) == 0
