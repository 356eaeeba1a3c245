"""Each of some numbers once, as NumPy finds them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kalla_core.engine.rows import distinct

WHOLE = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)


@given(st.lists(WHOLE, max_size=40))
def test_whole_numbers_come_once_and_in_order(values: list[int]) -> None:
    assert distinct(np.array(values, dtype=np.int64)).tolist() == sorted(set(values))


@given(st.lists(st.floats(allow_nan=False), max_size=40))
def test_floating_point_numbers_come_once_and_in_order(values: list[float]) -> None:
    assert distinct(np.array(values, dtype=np.float64)).tolist() == sorted(set(values))
