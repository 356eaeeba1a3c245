"""Slots, runs and executors through cancels, freezes, broken streams and returns."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.dispatch_world import DispatchWorld

STEPS = 150
ENOUGH = 3000


async def played(seed: int, chaos: int, steps: int) -> bool:
    world = DispatchWorld(Random(seed), chaos)
    await world.play(steps)
    await world.calm_down()
    return await world.finishes(ENOUGH)


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), chaos=st.integers(0, 60))
def test_no_run_that_is_over_has_a_slot_and_the_next_comes_to_its_end(
    seed: int, chaos: int
) -> None:
    assert asyncio.run(played(seed, chaos, STEPS))


@pytest.mark.full
@settings(max_examples=200)
@given(seed=st.integers(0, 2**32), chaos=st.integers(0, 300))
def test_nor_after_a_long_time_with_everything_going_wrong(seed: int, chaos: int) -> None:
    assert asyncio.run(played(seed, chaos, 4 * STEPS))


async def test_a_run_cancelled_while_its_executor_is_frozen_leaves_no_slot_behind() -> None:
    world = DispatchWorld(Random(1), 0)
    world.birth()
    run = world.start()
    await asyncio.sleep(0)
    (executor,) = world.executors.values()
    while not executor.in_hand:
        world.work()
        await asyncio.sleep(0)
    world.freeze()

    world.cancel(run)
    world.thaw()

    assert not world.dispatcher.occupied
    assert await world.finishes(ENOUGH)
