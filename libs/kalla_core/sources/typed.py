"""What a filter's value means to a column of some type.

A **domain** turns an operator and a value, as JSON has it, into a predicate on the column:

| column                  | value                                                                |
|-------------------------|----------------------------------------------------------------------|
| integer, decimal        | a number, or a number as text where JSON's digits do not suffice      |
| float                   | a number, or `"NaN"`, `"Infinity"`, `"-Infinity"`                     |
| date                    | `"2024-01-31"`                                                       |
| timestamp               | `"2024-01-31"` (its midnight) or `"2024-01-31T10:00:00.5"`, zoned    |
|                         | (`Z`, `+02:00`) if and only if the column is                         |
| text                    | text                                                                 |
| boolean                 | `true` or `false`, with `eq`, `neq` and `in` only                    |
| without a value         | any; no row passes, as NULL compares with nothing                    |

A JSON number with a fraction stands for what is printed: 0.1 is one tenth on a decimal column. On
a float column it is the nearest number of the column's own precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from kalla_core.errors import InvalidFilter
from kalla_core.recipe.model import FilterOp, Scalar
from kalla_core.sources.literals import (
    exact_number,
    float_number,
    like_regex,
    seconds_since_epoch,
    wrong_value,
)
from kalla_core.sources.predicates import (
    AnyOf,
    Compare,
    Everything,
    Like,
    Not,
    NotANumber,
    Nothing,
    Order,
    Predicate,
)

_ORDERS = {
    FilterOp.EQ: Order.EQ,
    FilterOp.GT: Order.GT,
    FilterOp.GTE: Order.GTE,
    FilterOp.LT: Order.LT,
    FilterOp.LTE: Order.LTE,
}
_TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


class Domain(Protocol):
    """The values of one column, as a filter sees them."""

    def test(self, op: FilterOp, value: Scalar) -> Predicate:
        """Return what `op value` asks; `op` is neither `between` nor `in`.

        Raises:
            InvalidFilter: the column takes no such operator or value.
        """
        ...


def domain_of(column: str, column_type: pa.DataType) -> Domain:
    """Return the domain of a column.

    Raises:
        InvalidFilter: a type that no filter can be about (lists, binary data, times of day).
    """
    types = pa.types
    if types.is_integer(column_type):
        return _integers(column, column_type)
    if types.is_decimal(column_type):
        return _decimals(column, column_type)
    if types.is_date(column_type) or types.is_timestamp(column_type):
        return _moments(column, column_type)
    if types.is_floating(column_type):
        return _Floats(column, column_type)
    if types.is_string(column_type):
        return _Text(column)
    if types.is_boolean(column_type):
        return _Booleans(column)
    if types.is_null(column_type):
        return _NoValues()
    raise InvalidFilter(
        f"`{column}` is of type {column_type}, which filters cannot compare.", column=column
    )


@dataclass(frozen=True, slots=True)
class _NoValues:
    """A column that is NULL in every row, so that its type is not known."""

    def test(self, op: FilterOp, value: Scalar) -> Predicate:
        return Nothing()


@dataclass(frozen=True, slots=True)
class _Grid:
    """Values that are whole multiples of a step: integers, decimals, dates, timestamps.

    A value that lies between two multiples, or beyond the last, compares exactly all the same.

    Attributes:
        low: the smallest multiple the type can hold; `high` the largest.
        position: the value of a filter in steps, or an infinity.
        bound: the multiple as a scalar of the column's type.
    """

    column: str
    low: int
    high: int
    position: Callable[[Scalar], Fraction | float]
    bound: Callable[[int], pa.Scalar]

    def test(self, op: FilterOp, value: Scalar) -> Predicate:
        _refuse_like(op, self.column)
        if op is FilterOp.NEQ:
            return Not(self.test(FilterOp.EQ, value))
        exact = self._within(self.position(value))
        below, above = math.floor(exact), math.ceil(exact)
        match op:
            case FilterOp.GT:
                return self._above(Order.GT, below, everything=below < self.low)
            case FilterOp.GTE:
                return self._above(Order.GTE, above, everything=above <= self.low)
            case FilterOp.LT:
                return self._below(Order.LT, above, everything=above > self.high)
            case FilterOp.LTE:
                return self._below(Order.LTE, below, everything=below >= self.high)
            case _:
                on_grid = below == above and self.low <= below <= self.high
                return Compare(Order.EQ, self.bound(below)) if on_grid else Nothing()

    def _within(self, exact: Fraction | float) -> Fraction:
        """Bring what lies outside just outside, so that infinities and NaN are numbers too."""
        if isinstance(exact, float):
            return Fraction(self.low - 1 if exact < 0 else self.high + 1)
        return min(max(Fraction(exact), Fraction(self.low - 1)), Fraction(self.high + 1))

    def _above(self, order: Order, at: int, *, everything: bool) -> Predicate:
        if everything:
            return Everything()
        return Nothing() if at > self.high else Compare(order, self.bound(at))

    def _below(self, order: Order, at: int, *, everything: bool) -> Predicate:
        if everything:
            return Everything()
        return Nothing() if at < self.low else Compare(order, self.bound(at))


def _integers(column: str, column_type: pa.DataType) -> _Grid:
    bits = column_type.bit_width
    signed = pa.types.is_signed_integer(column_type)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return _Grid(
        column, low, high, lambda v: exact_number(column, v), lambda k: pa.scalar(k, column_type)
    )


def _decimals(column: str, column_type: pa.DataType) -> _Grid:
    limit = 10**column_type.precision - 1
    scale = column_type.scale
    step = Fraction(10) ** scale

    def position(value: Scalar) -> Fraction | float:
        number = exact_number(column, value)
        return number if isinstance(number, float) else number * step

    def bound(multiple: int) -> pa.Scalar:
        exact = Decimal(multiple).scaleb(-scale, Context(prec=100))
        return pa.scalar(exact, column_type)

    return _Grid(column, -limit, limit, position, bound)


def _moments(column: str, column_type: pa.DataType) -> _Grid:
    is_date = pa.types.is_date(column_type)
    bits = column_type.bit_width
    if is_date:
        ticks = Fraction(1, 86_400) if bits == 32 else Fraction(1000)
    else:
        ticks = Fraction(_TICKS[column_type.unit])
    zoned = not is_date and column_type.tz is not None

    def position(value: Scalar) -> Fraction:
        return seconds_since_epoch(column, value, date_only=is_date, zoned=zoned) * ticks

    def bound(multiple: int) -> pa.Scalar:
        return pa.scalar(multiple, pa.int32() if bits == 32 else pa.int64()).cast(column_type)

    return _Grid(column, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1, position, bound)


@dataclass(frozen=True, slots=True)
class _Floats:
    column: str
    type: pa.DataType

    def test(self, op: FilterOp, value: Scalar) -> Predicate:
        _refuse_like(op, self.column)
        if op is FilterOp.NEQ:
            return Not(self.test(FilterOp.EQ, value))
        number = float_number(self.column, value)
        if isinstance(number, float) and math.isnan(number):
            return self._against_nan(op)
        order, bound = self._nearest(_ORDERS[op], number)
        if bound is None:
            return Nothing()
        found = Compare(order, pa.scalar(bound, self.type))
        return AnyOf((found, NotANumber())) if order in (Order.GT, Order.GTE) else found

    def _against_nan(self, op: FilterOp) -> Predicate:
        match op:
            case FilterOp.GT:
                return Nothing()
            case FilterOp.LT:
                return Not(NotANumber())
            case FilterOp.LTE:
                return Everything()
            case _:
                return NotANumber()

    def _nearest(
        self, order: Order, number: Fraction | float
    ) -> tuple[Order, np.floating[Any] | None]:
        """Return a comparison with a float of the column's type that means the same."""
        kind = np.dtype(self.type.to_pandas_dtype()).type
        near = _rounded(kind, number)
        if isinstance(number, float) or (np.isfinite(near) and Fraction(float(near)) == number):
            return order, near
        is_above = float(near) > number
        match order:
            case Order.GT | Order.GTE:
                return Order.GTE, near if is_above else np.nextafter(near, kind(math.inf))
            case Order.LT | Order.LTE:
                return Order.LTE, np.nextafter(near, kind(-math.inf)) if is_above else near
            case _:
                return order, None


@dataclass(frozen=True, slots=True)
class _Text:
    column: str

    def test(self, op: FilterOp, value: Scalar) -> Predicate:
        if not isinstance(value, str):
            raise wrong_value(self.column, value, "text, in quotes")
        if op is FilterOp.LIKE:
            return Like(like_regex(self.column, value), value)
        if op is FilterOp.NEQ:
            return Not(self.test(FilterOp.EQ, value))
        return Compare(_ORDERS[op], pa.scalar(value, pa.string()))


@dataclass(frozen=True, slots=True)
class _Booleans:
    column: str

    def test(self, op: FilterOp, value: Scalar) -> Predicate:
        if op not in (FilterOp.EQ, FilterOp.NEQ):
            raise InvalidFilter(
                f"`{self.column}` is true or false; filters on it are eq, neq and in.",
                column=self.column,
            )
        if not isinstance(value, bool):
            raise wrong_value(self.column, value, "true or false")
        equal = Compare(Order.EQ, pa.scalar(value))
        return equal if op is FilterOp.EQ else Not(equal)


def _refuse_like(op: FilterOp, column: str) -> None:
    if op is FilterOp.LIKE:
        raise InvalidFilter(f"`{column}` is not text; `like` compares text.", column=column)


def _rounded(kind: type[np.floating[Any]], number: Fraction | float) -> np.floating[Any]:
    """Return the nearest float of a kind; an infinity beyond its range."""
    try:
        wide = float(number)
    except OverflowError:
        wide = math.inf if number > 0 else -math.inf
    with np.errstate(over="ignore"):
        return kind(wide)
