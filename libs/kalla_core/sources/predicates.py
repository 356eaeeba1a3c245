"""What may be asked of one column: small trees over Arrow's comparison kernels.

`mask` gives a boolean array in which only true means that the row passes (null does not);
`may_hold` says whether any value within two bounds could pass, and errs towards yes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import reduce
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc


class Order(Enum):
    """A comparison, by the name of its Arrow kernel."""

    EQ = "equal"
    GT = "greater"
    GTE = "greater_equal"
    LT = "less"
    LTE = "less_equal"


class Predicate(Protocol):
    """A question about the values of one column."""

    def mask(self, values: pa.Array) -> pa.BooleanArray:
        """Return true for the values that pass; false or null for the others."""
        ...

    def may_hold(self, low: pa.Scalar, high: pa.Scalar) -> bool:
        """Return False only if no value from `low` to `high`, both included, passes."""
        ...


@dataclass(frozen=True, slots=True)
class Everything:
    """Every value but null."""

    def mask(self, values: pa.Array) -> pa.BooleanArray:
        """Return where there is a value."""
        return pc.is_valid(values)

    def may_hold(self, low: pa.Scalar, high: pa.Scalar) -> bool:
        """Return True."""
        return True


@dataclass(frozen=True, slots=True)
class Nothing:
    """No value at all."""

    def mask(self, values: pa.Array) -> pa.BooleanArray:
        """Return false throughout."""
        return pa.repeat(pa.scalar(False), len(values))

    def may_hold(self, low: pa.Scalar, high: pa.Scalar) -> bool:
        """Return False."""
        return False


@dataclass(frozen=True, slots=True)
class Compare:
    """Values in an order to a bound, which has the column's own type."""

    order: Order
    bound: pa.Scalar

    def mask(self, values: pa.Array) -> pa.BooleanArray:
        """Return the comparison, null for null."""
        return pc.call_function(self.order.value, [values, self.bound])

    def may_hold(self, low: pa.Scalar, high: pa.Scalar) -> bool:
        """Compare with the bound that is nearest to passing."""
        match self.order:
            case Order.EQ:
                return _holds(Order.LTE, low, self.bound) and _holds(Order.GTE, high, self.bound)
            case Order.GT | Order.GTE:
                return _holds(self.order, high, self.bound)
            case Order.LT | Order.LTE:
                return _holds(self.order, low, self.bound)


@dataclass(frozen=True, slots=True)
class Among:
    """Values that are in a set, which has the column's own type."""

    options: pa.Array

    def mask(self, values: pa.Array) -> pa.BooleanArray:
        """Return where the value is in the set, false for null."""
        return pc.is_in(values, value_set=self.options)

    def may_hold(self, low: pa.Scalar, high: pa.Scalar) -> bool:
        """Return whether any option lies within the bounds."""
        above = pc.greater_equal(self.options, low)
        return bool(pc.any(pc.and_(above, pc.less_equal(self.options, high))).as_py())


@dataclass(frozen=True, slots=True)
class NotANumber:
    """Floats that are NaN."""

    def mask(self, values: pa.Array) -> pa.BooleanArray:
        """Return where the value is NaN, null for null."""
        return pc.is_nan(values)

    def may_hold(self, low: pa.Scalar, high: pa.Scalar) -> bool:
        """Return True: bounds say nothing about NaN."""
        return True


@dataclass(frozen=True, slots=True)
class Like:
    """Text that matches a pattern.

    Attributes:
        pattern: a regular expression (RE2 syntax) that matches the text somewhere.
        like: the same as SQL's LIKE has it, with a backslash as escape.
    """

    pattern: str
    like: str

    def mask(self, values: pa.Array) -> pa.BooleanArray:
        """Return where the text matches, null for null."""
        return pc.match_substring_regex(values, self.pattern)

    def may_hold(self, low: pa.Scalar, high: pa.Scalar) -> bool:
        """Return True: bounds say little about patterns."""
        return True


@dataclass(frozen=True, slots=True)
class Not:
    """Values, other than null, that do not pass another predicate."""

    inner: Predicate

    def mask(self, values: pa.Array) -> pa.BooleanArray:
        """Return the opposite, false for null."""
        passes = pc.fill_null(self.inner.mask(values), False)
        return pc.and_not(pc.is_valid(values), passes)

    def may_hold(self, low: pa.Scalar, high: pa.Scalar) -> bool:
        """Return True unless there is one value only and it passes the inner predicate."""
        return True


@dataclass(frozen=True, slots=True)
class AllOf:
    """Values that pass all of several predicates."""

    inner: tuple[Predicate, ...]

    def mask(self, values: pa.Array) -> pa.BooleanArray:
        """Return the conjunction."""
        return reduce(pc.and_kleene, [each.mask(values) for each in self.inner])

    def may_hold(self, low: pa.Scalar, high: pa.Scalar) -> bool:
        """Return whether each may hold for some value, not needfully the same."""
        return all(each.may_hold(low, high) for each in self.inner)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Values that pass one of several predicates."""

    inner: tuple[Predicate, ...]

    def mask(self, values: pa.Array) -> pa.BooleanArray:
        """Return the disjunction."""
        return reduce(pc.or_kleene, [each.mask(values) for each in self.inner])

    def may_hold(self, low: pa.Scalar, high: pa.Scalar) -> bool:
        """Return whether any may hold."""
        return any(each.may_hold(low, high) for each in self.inner)


def one_of(predicates: Sequence[Predicate]) -> Predicate:
    """Return the disjunction; equalities become one set, however many there are."""
    bounds = [p.bound for p in predicates if isinstance(p, Compare) and p.order is Order.EQ]
    others = [p for p in predicates if not isinstance(p, Compare | Nothing)]
    if bounds:
        others.append(Among(_options(bounds)))
    if not others:
        return Nothing()
    return others[0] if len(others) == 1 else AnyOf(tuple(others))


def _options(bounds: Sequence[pa.Scalar]) -> pa.Array:
    """Return bounds as a set; Arrow's sets tell 0.0 from -0.0, which are equal."""
    kind = bounds[0].type
    zeros = [pa.scalar(zero, kind) for zero in (0.0, -0.0)] if pa.types.is_floating(kind) else []
    is_zero = any(bound.as_py() == 0 for bound in bounds) if zeros else False
    return pa.array([*bounds, *(zeros if is_zero else [])], kind)


def _holds(order: Order, value: pa.Scalar, bound: pa.Scalar) -> bool:
    return bool(pc.call_function(order.value, [value, bound]).as_py())
