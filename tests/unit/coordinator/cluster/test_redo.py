"""What takes too much memory is done with less at a time, and fails soon where that is no help."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_coordinator.cluster import events as e
from kalla_coordinator.cluster.attempts import StageName, Try
from kalla_coordinator.cluster.layout import Join, Room, Shape
from kalla_coordinator.cluster.redo import MOST_TRIES
from kalla_coordinator.cluster.run_state import FINAL, Phase, RunState, Setup, begun, ready
from kalla_coordinator.cluster.stages import step
from kalla_core.errors import OutOfMemory
from kalla_core.fragments.cause import Cause
from kalla_core.fragments.outcome import (
    BucketSize,
    BucketSizes,
    FragmentFailed,
    JoinDone,
    Outcome,
    ScanDone,
)
from kalla_core.fragments.remote import ScanWork
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.strategy import Strategy
from kalla_core.sources.protocol import Part

MIB = 1 << 20
NONE = {Side.LEFT: 0, Side.RIGHT: 0}
TOO_MUCH = FragmentFailed(OutOfMemory("too much"), Cause.OUT_OF_MEMORY)

Rows = dict[int, int]
"""MiB of the rows of one side, by key; a key's bucket is its remainder."""


def scanned(rows: Rows, buckets: int) -> ScanDone:
    sizes = [0] * buckets
    for key, size in rows.items():
        sizes[key % buckets] += size * MIB
    found = BucketSizes.of(BucketSize(n, 1, size, size) for n, size in enumerate(sizes) if size)
    return ScanDone(len(rows), 0, 0, found, sum(sizes))


def played(rows: Rows, buckets: int, fits: Callable[[Rows], bool]) -> tuple[RunState, int]:
    """Play a run on one slot to its end; return that, and how often memory did not suffice.

    Args:
        fits: whether a join of rows can be done.
    """
    scans = tuple(ScanWork(side, Part(0, {}, MIB)) for side in Side)
    shape = Shape(Strategy.COPARTITION, frozenset(), spread=True)
    state = begun(Setup((), scans, shape, Room(1, 4 << 30), buckets))
    tries = 0
    while state.phase not in FINAL:
        key = next(ready(state)).key
        state, _ = step(state, e.Granted(key, "a"))
        outcome: Outcome = JoinDone((), NONE, NONE, NONE)
        if key.stage is StageName.SCAN:
            outcome = scanned(rows if key.number else {}, state.buckets)
        elif not fits(of_join(state.layout.joins[key.number], rows, state.buckets)):
            outcome, tries = TOO_MUCH, tries + 1
        state, _ = step(state, e.Ended(Try(key, state.fragments[key].used), outcome))
    return state, tries


def of_join(join: Join, rows: Rows, buckets: int) -> Rows:
    return {key: size for key, size in rows.items() if key % buckets in join.buckets}


@pytest.mark.parametrize("buckets", [1, 8, 64, 256])
def test_a_key_whose_rows_fit_nowhere_fails_after_few_tries(buckets: int) -> None:
    rows = {**dict.fromkeys(range(500), 1), 7: 200}

    state, tries = played(rows, buckets, lambda joined: 7 not in joined)

    assert state.phase is Phase.FAILED
    assert isinstance(state.error, OutOfMemory)
    assert tries <= 4


@given(
    sizes=st.lists(st.integers(1, 300), min_size=1, max_size=60),
    buckets=st.sampled_from([1, 4, 16, 64, 1024]),
    poison=st.integers(0, 59),
)
def test_a_poison_fails_after_a_stated_number_of_tries(
    sizes: list[int], buckets: int, poison: int
) -> None:
    rows = dict(enumerate(sizes))

    state, tries = played(rows, buckets, lambda joined: poison % len(sizes) not in joined)

    assert state.phase is Phase.FAILED
    assert tries <= MOST_TRIES


@given(
    sizes=st.lists(st.integers(1, 300), min_size=1, max_size=60),
    buckets=st.sampled_from([1, 4, 16, 64, 1024]),
)
def test_a_run_of_which_nothing_fits_fails_after_the_same_number_of_tries(
    sizes: list[int], buckets: int
) -> None:
    state, tries = played(dict(enumerate(sizes)), buckets, lambda _: False)

    assert state.phase is Phase.FAILED
    assert tries <= MOST_TRIES


@given(sizes=st.lists(st.integers(1, 20), min_size=1, max_size=300))
def test_what_fits_in_smaller_pieces_is_done(sizes: list[int]) -> None:
    rows = dict(enumerate(sizes))

    state, _ = played(rows, 16, lambda joined: len(joined) <= 3 or sum(joined.values()) < 60)

    assert state.phase is Phase.WRITTEN
