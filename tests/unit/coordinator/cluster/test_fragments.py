"""Versions of a run's fragments: each stays as it was, and so do the sums over it."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from kalla_coordinator.cluster.attempts import Fragment, FragmentKey, FragmentRetry, StageName
from kalla_coordinator.cluster.fragments import Fragments
from kalla_core.errors import Crashed
from kalla_core.fragments.outcome import BucketSize, BucketSizes, JoinDone, ScanDone
from kalla_core.matching.sql.query import Side

POLICY = FragmentRetry(own_failures=1, losses=1)
NONE = {Side.LEFT: 0, Side.RIGHT: 0}
WORLD = dict[FragmentKey, Fragment]


def changed(fragment: Fragment, random: Random) -> Fragment:
    """Return what could become of a fragment."""
    executor = random.choice("ab")
    if fragment.running is None:
        return random.choice((fragment.launched(executor), fragment.output_lost(), fragment.anew()))
    sizes = BucketSizes.of([BucketSize(random.randrange(9), 1, random.randrange(9), 5)])
    scan = ScanDone(random.randrange(9), 0, 0, sizes, 5)
    join = JoinDone((), {Side.LEFT: 3, Side.RIGHT: 4}, NONE, NONE)
    outcome = scan if fragment.key.stage is StageName.SCAN else join
    error = Crashed("it crashed")
    ends = (fragment.succeeded(outcome), fragment.failed(error), fragment.lost(error))
    return random.choice(ends)


def of_anew(one: Fragments, world: WORLD) -> None:
    """Demand that a version is what it was when it was made, sums and all."""
    sums, fresh = one.sums, Fragments(world.values(), POLICY).sums
    assert dict(one) == world
    assert sums.missing == fresh.missing
    assert sums.idle == fresh.idle
    assert sums.running == fresh.running
    assert sums.exhausted == fresh.exhausted
    assert {k: v for k, v in sums.on.items() if v} == {k: v for k, v in fresh.on.items() if v}
    for found in (sums.done, sums.done_by):
        expected = fresh.done if found is sums.done else fresh.done_by
        assert all(expected[key] == done for key, done in list(found.items()))
    for side in Side:
        assert sums.raw_bytes[side].tolist() == fresh.raw_bytes[side].tolist()


@given(seed=st.integers(0, 2**32), steps=st.integers(1, 60))
def test_every_version_stays_as_it_was_in_whatever_order_they_are_looked_at(
    seed: int, steps: int
) -> None:
    random = Random(seed)
    scans = [
        Fragment(FragmentKey(StageName.SCAN, number), number % 2, side)
        for number, side in enumerate((*Side, *Side))
    ]
    versions = [(Fragments(scans, POLICY), {one.key: one for one in scans})]

    for _ in range(steps):
        before, world = random.choice(versions)
        if random.random() < 0.2 and world:
            gone = random.choice(sorted(world))
            now = before.without([gone])
            after = {key: one for key, one in world.items() if key != gone}
        else:
            new = Fragment(FragmentKey(StageName.JOIN, random.randrange(5)), random.randrange(3))
            one = changed(random.choice([*world.values(), new]), random)
            now, after = before.put(one), {**world, one.key: one}
        versions.append((now, after))

    random.shuffle(versions)
    for version, world in versions:
        of_anew(version, world)


def test_what_is_read_is_another_once_an_attempt_counts_or_is_lost_and_else_the_same() -> None:
    scan = Fragment(FragmentKey(StageName.SCAN, 0), side=Side.LEFT)
    first = Fragments([scan], POLICY)

    under_way = first.put(scan.launched("a"))
    same = first.sums.inputs[StageName.SCAN] is under_way.sums.inputs[StageName.SCAN]
    before = under_way.sums.inputs[StageName.SCAN]
    done = scan.launched("a").succeeded(ScanDone(1, 0, 0, BucketSizes.of([]), 0))
    counts = under_way.put(done)
    token = counts.sums.inputs[StageName.SCAN]
    lost = counts.put(replace(done).output_lost())

    assert same
    assert token is not before
    assert lost.sums.inputs[StageName.SCAN] is not token
