"""Runs on imagined clusters where anything may go wrong at any time."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from kalla_coordinator.cluster import events as e
from kalla_coordinator.cluster.attempts import FragmentRetry, StageName, Try
from kalla_coordinator.cluster.layout import Room, Shape
from kalla_coordinator.cluster.run_state import Phase, RunState, Setup, keys_rise
from kalla_core.fragments.remote import CENSUS_CLASSES, Extra, ScanWork
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.strategy import Strategy
from kalla_core.sources.protocol import Part
from tests.support.chance import often
from tests.support.cluster_world import World

GIB = 1 << 30


@st.composite
def setups(draw: st.DrawFn, patient: bool = True) -> Setup:
    strategy = draw(st.sampled_from(list(Strategy)))
    parts = {side: draw(st.integers(0, 4)) for side in Side}
    scans = [ScanWork(side, Part(n, {}, 100)) for side in Side for n in range(parts[side])]
    extras = [ScanWork(Extra(0), Part(0, {}, 1))] if draw(st.booleans()) else []
    return Setup(
        extras=tuple(extras),
        scans=tuple(scans),
        shape=Shape(strategy, frozenset({Side.RIGHT}), spread=True),
        room=Room(4, GIB),
        buckets=draw(st.integers(1, 12)),
        proofs=draw(st.booleans()),
        policy=FragmentRetry(1000, 1000, deaths=1000) if patient else FragmentRetry(),
    )


@settings(max_examples=often(100))
@given(setup=setups(), seed=st.integers(0, 2**32), chaos=st.integers(0, 60))
def test_whatever_goes_wrong_the_run_ends_written_from_one_attempt_of_each_fragment(
    setup: Setup, seed: int, chaos: int
) -> None:
    world = World(Random(seed), setup, chaos)

    world.play()

    if world.state.phase is Phase.FAILED:
        assert all(isinstance(action, e.Fail) for action in world.over)
        assert "too large" in str(world.state.error)
        return
    assert world.over == [e.Written()]
    check_whole(world.state)
    accepted = [
        Try(fragment.key, fragment.accepted.attempt)
        for fragment in world.state.fragments.values()
        if fragment.accepted is not None
    ]
    assert all(which in world.succeeded for which in accepted)


@settings(max_examples=50)
@given(setup=setups(patient=False), seed=st.integers(0, 2**32))
def test_a_run_that_gives_up_says_why_once_and_leaves_nobody_working(
    setup: Setup, seed: int
) -> None:
    world = World(Random(seed), setup, chaos=200)

    world.play()

    assert len(world.over) == 1
    assert world.state.busy == 0
    assert (world.state.error is None) == (world.state.phase is Phase.WRITTEN)


def check_whole(state: RunState) -> None:
    """Every bucket and every class of keys is in exactly one join, and settled at most once."""
    joins = state.layout.joins
    assert sorted(b for join in joins for b in join.buckets) == list(range(state.buckets))
    classes = [] if keys_rise(state) else list(range(CENSUS_CLASSES))
    assert sorted(c for join in joins for c in join.census_classes) == classes
    settled = sorted(b for settle in state.layout.settles for b in settle.buckets)
    assert settled == (list(range(state.buckets)) if joins[0].settle_later else [])
    written = (StageName.JOIN, StageName.SETTLE)
    assert all(f.accepted is not None for stage in written for f in state.of(stage))
