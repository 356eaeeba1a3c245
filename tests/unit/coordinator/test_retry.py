"""When a callback that failed is tried again."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from kalla_coordinator.callbacks.retry import CallbackRetry

POLICY = CallbackRetry()


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_bounded_on_both_sides(failures: int, chance: float) -> None:
    wait = POLICY.wait(failures, chance)

    assert POLICY.first / 2 <= wait <= POLICY.longest


@given(st.integers(1, 100))
def test_waits_grow(failures: int) -> None:
    assert POLICY.wait(failures, 0) <= POLICY.wait(failures + 1, 0)


def test_a_receiver_that_is_away_for_an_hour_still_gets_its_callback() -> None:
    assert not POLICY.gives_up(timedelta(hours=1))
    assert POLICY.gives_up(timedelta(days=1))


def test_in_an_hour_a_delivery_is_tried_often_enough() -> None:
    spent, failures = timedelta(), 0

    while spent < timedelta(hours=1):
        failures += 1
        spent += POLICY.wait(failures, 0)

    assert failures > 30
