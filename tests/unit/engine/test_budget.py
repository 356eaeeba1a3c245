"""Dividing a memory limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_core.engine.budget import SMALLEST_LIMIT, budget
from kalla_core.errors import InvalidSetting


@given(st.integers(SMALLEST_LIMIT, 1 << 40), st.integers(1, 256))
def test_joins_that_run_at_once_and_what_they_cost_stay_within_the_limit(
    limit: int, threads: int
) -> None:
    share = budget(limit, threads)

    assert share.threads * (share.join_bytes + share.pool_bytes) <= limit
    assert share.threads * share.run_bytes * 2 <= limit
    assert share.whole_bytes * 2 <= limit


def test_a_limit_too_small_for_the_program_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="at least 512 MiB"):
        budget(SMALLEST_LIMIT - 1, 1)
