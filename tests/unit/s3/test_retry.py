"""Which failure is tried again, and when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_core.s3.retry import RequestRetry
from kalla_core.s3.troubles import Trouble

POLICY = RequestRetry(attempts=6, give_up_after_s=60)
PASSING = {Trouble.BUSY, Trouble.CONFLICT}


@pytest.mark.parametrize("trouble", Trouble)
def test_only_what_may_pass_is_tried_again(trouble: Trouble) -> None:
    wait = POLICY.wait_s(trouble, tried=1, elapsed_s=0, chance=0)

    assert (wait is not None) == (trouble in PASSING)


def test_waits_grow_and_end_with_the_attempts() -> None:
    waits = [POLICY.wait_s(Trouble.BUSY, tried, 0, 0) for tried in range(1, 7)]

    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, None]


@given(
    tried=st.integers(1, 1000),
    elapsed=st.floats(0, 100),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_no_try_begins_after_the_time_for_tries(tried: int, elapsed: float, chance: float) -> None:
    wait = RequestRetry(2000, 60).wait_s(Trouble.BUSY, tried, elapsed, chance)

    assert wait is None or (0 < wait <= 10 and elapsed + wait <= 60)
