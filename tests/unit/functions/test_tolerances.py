import math
from collections.abc import Sequence
from decimal import Context, Decimal, localcontext
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.chance import often
from tests.support.functions import NUMPY, call, column

EXACT = Context(prec=3000, Emax=10**6, Emin=-(10**6))
INTEGERS = [
    pa.int8(),
    pa.int16(),
    pa.int32(),
    pa.int64(),
    pa.uint8(),
    pa.uint16(),
    pa.uint32(),
    pa.uint64(),
]
DECIMALS = [
    pa.decimal32(9, 4),
    pa.decimal64(18, 0),
    pa.decimal128(12, 2),
    pa.decimal128(18, 6),
    pa.decimal128(19, 0),
    pa.decimal128(5, -3),
    pa.decimal128(38, 0),
    pa.decimal128(38, 2),
    pa.decimal128(38, 38),
    pa.decimal256(50, 10),
    pa.decimal256(76, 0),
    pa.decimal256(76, 40),
    pa.decimal256(76, 76),
]
FLOATS = [pa.float16(), pa.float32(), pa.float64()]
TYPES = [*INTEGERS, *DECIMALS, *FLOATS]

Row = tuple[Any, Any, Any]


def printed(value: Any, data_type: pa.DataType) -> Decimal:
    """The number a value stands for; of a float, the shortest text that reads back as it."""
    if data_type in NUMPY:
        return Decimal(str(NUMPY[data_type](value)))
    return Decimal(value)


def expected(row: Row, types: Sequence[pa.DataType], *, share: bool) -> bool | None:
    """What the contract says, in Python's decimals."""
    if any(value is None for value in row):
        return None
    a, b, t = (printed(value, data_type) for value, data_type in zip(row, types, strict=True))
    if not (a.is_finite() and b.is_finite() and t.is_finite()) or t < 0:
        return False
    with localcontext(EXACT):
        return abs(a - b) <= (t * abs(a) if share else t)


def fitted(number: Decimal, data_type: pa.DataType) -> Any | None:
    """A value of the type at or near a number; None if it has none."""
    if data_type in NUMPY:
        with np.errstate(over="ignore"):
            return float(NUMPY[data_type](float(number)))
    with localcontext(EXACT):
        units = round(number.scaleb(_scale(data_type)))
        low, high = _bounds(data_type)
        return _value(units, data_type) if low <= units <= high else None


def _scale(data_type: pa.DataType) -> int:
    return data_type.scale if pa.types.is_decimal(data_type) else 0


def _bounds(data_type: pa.DataType) -> tuple[int, int]:
    if pa.types.is_decimal(data_type):
        limit = int(10**data_type.precision)
        return 1 - limit, limit - 1
    limit = 1 << int(data_type.bit_width)
    return (0, limit - 1) if data_type in INTEGERS[4:] else (-limit // 2, limit // 2 - 1)


def _value(units: int, data_type: pa.DataType) -> int | Decimal:
    if not pa.types.is_decimal(data_type):
        return units
    with localcontext(EXACT):
        return Decimal(units).scaleb(-data_type.scale)


def values(data_type: pa.DataType) -> st.SearchStrategy[Any]:
    if data_type in NUMPY:
        cents = st.integers(-(10**7), 10**7).map(lambda number: number / 100)
        wild = st.floats(width=data_type.bit_width)
        edges = st.sampled_from([2.0**53, 2.0**53 + 2, -0.0, 5e-324, 1.7e308, math.nan, math.inf])
        plain = st.one_of(cents, wild, edges, st.floats(0, 1))
        return plain.map(lambda value: fitted(Decimal(value), data_type))
    low, high = _bounds(data_type)
    ends = st.sampled_from([low, high, low + 1, high - 1, 0, min(high, 2**53 + 1)])
    small = st.integers(max(low, -(10**6)), min(high, 10**6))
    units = st.one_of(small, st.integers(low, high), ends)
    return units.map(lambda number: _value(number, data_type))


@st.composite
def rows(draw: st.DrawFn, types: Sequence[pa.DataType], *, share: bool) -> Row:
    """A row that is often just on, just inside or just outside the tolerance."""
    a, b, t = (draw(st.one_of(values(data_type), st.none())) for data_type in types)
    if a is None or t is None or not draw(st.booleans()):
        return a, b, t
    near, limit = printed(a, types[0]), printed(t, types[2])
    if not (near.is_finite() and limit.is_finite()):
        return a, b, t
    with localcontext(EXACT):
        step = limit * abs(near) if share else limit
        goal = near + draw(st.sampled_from([-1, 1])) * step
        beside = fitted(goal, types[1])
        if beside is None:
            return a, b, t
        nudge = draw(st.sampled_from([-1, 0, 0, 1]))
        return a, _nudged(beside, nudge, types[1]), t


def _nudged(value: Any, nudge: int, data_type: pa.DataType) -> Any:
    if not nudge:
        return value
    if data_type in NUMPY:
        direction = NUMPY[data_type](math.inf * nudge)
        with np.errstate(over="ignore"):
            return float(np.nextafter(NUMPY[data_type](value), direction))
    nudged = fitted(Decimal(value) + Decimal(nudge).scaleb(-_scale(data_type)), data_type)
    return value if nudged is None else nudged


@st.composite
def tables(draw: st.DrawFn, *, share: bool) -> tuple[list[pa.DataType], list[Row]]:
    types = [draw(st.sampled_from(TYPES)) for _ in range(3)]
    return types, draw(st.lists(rows(types, share=share), min_size=1, max_size=6))


def columns_of(types: Sequence[pa.DataType], table: Sequence[Row]) -> list[pa.Array]:
    return [column(types[place], [row[place] for row in table]) for place in range(3)]


@given(tables(share=False))
@settings(max_examples=often(250), deadline=None)
def test_tolerance_match_is_python_decimal_arithmetic(
    table: tuple[list[pa.DataType], list[Row]],
) -> None:
    types, data = table

    answers = call("tolerance_match", *columns_of(types, data))

    assert answers == [expected(row, types, share=False) for row in data]


@given(tables(share=True))
@settings(max_examples=often(250), deadline=None)
def test_tolerance_pct_is_python_decimal_arithmetic(
    table: tuple[list[pa.DataType], list[Row]],
) -> None:
    types, data = table

    answers = call("tolerance_pct", *columns_of(types, data))

    assert answers == [expected(row, types, share=True) for row in data]
