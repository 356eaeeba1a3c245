from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalla_core.assignment.units import LARGEST, TooWide, minor_units
from tests.support.chance import often


@settings(max_examples=often(100), deadline=None)
@given(
    units=st.lists(st.integers(-(10**17), 10**17), max_size=9),
    precision=st.sampled_from([18, 19, 38]),
    start=st.integers(0, 3),
    more=st.integers(0, 1),
)
def test_amounts_are_so_many_of_the_unit_whatever_their_type(units, precision, start, more):
    amounts = [Decimal(n).scaleb(-2) for n in units]
    values = pa.array(amounts, pa.decimal128(precision, 2))[start:]

    found = minor_units(values, 2 + more)

    assert found.tolist() == [n * 10**more for n in units][start:]
    assert found.dtype == np.int64


def test_amounts_of_more_digits_than_are_reckoned_with_are_refused():
    with pytest.raises(TooWide):
        minor_units(pa.array([Decimal(LARGEST)], pa.decimal128(38, 0)), 0)
    with pytest.raises(TooWide):  # it has no absolute value among machine words
        minor_units(pa.array([-(2**63)], pa.int64()), 0)
