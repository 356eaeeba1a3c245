"""Primary keys that rise from row to row and from part to part are not counted by joins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kalla_coordinator.cluster import events as e
from kalla_coordinator.cluster.attempts import FragmentKey, StageName
from kalla_coordinator.cluster.run_state import Phase
from kalla_core.fragments.outcome import KeyRange
from kalla_core.fragments.remote import CENSUS_CLASSES, ScanWork
from kalla_core.matching.sql.query import Side
from kalla_core.sources.protocol import Part
from tests.unit.coordinator.cluster.test_stages import MIB, Run, scanned, setup


def three_parts(*ranges: KeyRange | None, rows: Sequence[int] = (10, 10, 10)) -> tuple[int, ...]:
    """Return the classes of keys that joins count, once scans have told of their keys.

    Two parts of the left side, and one of the right.
    """
    sides = (Side.LEFT, Side.LEFT, Side.RIGHT)
    scans = tuple(ScanWork(side, Part(n, {}, MIB)) for n, side in enumerate(sides))
    run = Run(replace(setup(), scans=scans)).happens(e.ExecutorCame("a"))
    for number, (rising, count) in enumerate(zip(ranges, rows, strict=True)):
        key = FragmentKey(StageName.SCAN, number)
        run.granted(key).ended(key, replace(scanned(count), rising=rising))
    assert run.state.phase is Phase.JOINING
    return tuple(sorted(c for join in run.state.layout.joins for c in join.census_classes))


EVERY_CLASS = tuple(range(CENSUS_CLASSES))
AB, BC, CD = KeyRange(b"A", b"B"), KeyRange(b"B", b"C"), KeyRange(b"C", b"D")


def test_keys_that_rise_from_part_to_part_are_not_counted() -> None:
    assert three_parts(AB, CD, AB) == ()
    assert three_parts(CD, AB, AB) == ()


def test_a_part_without_rows_does_not_keep_keys_from_rising() -> None:
    assert three_parts(AB, None, AB, rows=(10, 0, 10)) == ()


def test_keys_are_counted_where_a_part_does_not_rise() -> None:
    assert three_parts(AB, CD, None) == EVERY_CLASS
    assert three_parts(None, CD, AB) == EVERY_CLASS


def test_keys_are_counted_where_parts_of_a_side_may_share_one() -> None:
    assert three_parts(AB, BC, AB) == EVERY_CLASS
    assert three_parts(KeyRange(b"A", b"D"), BC, AB) == EVERY_CLASS
