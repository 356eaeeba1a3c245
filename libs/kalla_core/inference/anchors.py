"""Equalities that bring rows together, ranked by what agrees beside them.

An anchor is one equality or a few. What it is worth is the number of rows that it gives one partner
each, times what other columns say of those pairs: where they agree no more often than in pairs at
random, the equality is an accident (row numbers, status codes, equal dates).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kalla_core.inference.agreement import (
    AmountPair,
    DayPair,
    Equal,
    best_amounts,
    best_days,
    best_sums,
    equals,
    peak,
    some_of,
)
from kalla_core.inference.joining import Ints, Pairs, combined, joined, mutual, partners
from kalla_core.inference.likeness import alike
from kalla_core.inference.overlaps import Overlap, Texts
from kalla_core.inference.values import NONE, Amount, Day

_ENOUGH_BITS = 3.0
_UNKNOWN = 0.12
_MOST_SINGLES = 14
_MOST_FAN_OUT = 60
_WELL = 0.55
_MANY_ALONE = 0.5
_WITHOUT_NAMES = 1.5
_NAME_BITS = 4.0
_NARROWED = 0.7


@dataclass(frozen=True, slots=True, eq=False)
class Equality:
    """Something of each side that is equal.

    Attributes:
        codes: int64 per row of each side, -1 for null.
        columns: left and right columns that it is made of.
        what: the columns of text, or the amounts or days.
    """

    codes: tuple[Ints, Ints]
    columns: tuple[frozenset[str], frozenset[str]]
    what: Overlap | AmountPair | DayPair

    @property
    def says(self) -> str:
        """Return it in words."""
        match self.what:
            case Overlap():
                return self.what.says
            case AmountPair(left=left, right=right, factor=factor):
                return f"`{left.name}` = {'-' if factor < 0 else ''}`{right.name}`"
            case DayPair(left=first, right=second):
                return f"`{first.name}` = `{second.name}`"


@dataclass(frozen=True, slots=True, eq=False)
class Anchor:
    """Equalities, and what they bring out.

    Attributes:
        pairs: all of them, cut where they are too many.
        alone: those that are the only ones of both their rows.
        worth: rows with one partner, weighed by what else agrees.
        bits: what else agrees, in bits a pair.
        narrowed: only pairs within the window of `days` are in `pairs`.
    """

    equalities: tuple[Equality, ...]
    pairs: Pairs
    alone: Pairs
    amounts: AmountPair | None
    days: DayPair | None
    equal: tuple[Equal, ...]
    bits: float
    worth: float
    narrowed: bool = False

    @property
    def says(self) -> str:
        """Return it in words."""
        return " and ".join(one.says for one in self.equalities)


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """What is known of both tables.

    Attributes:
        rows: of the left and the right.
    """

    rows: tuple[int, int]
    overlaps: tuple[Overlap, ...]
    amounts: tuple[tuple[Amount, ...], tuple[Amount, ...]]
    days: tuple[tuple[Day, ...], tuple[Day, ...]]
    texts: tuple[tuple[Texts, ...], tuple[Texts, ...]]


def anchors(sides: Sides) -> tuple[Anchor, ...]:
    """Return what brings rows together, the best first; also what is no good, at the end."""
    singles = list(_equalities(sides))
    found = [one for each in singles if (one := anchor(sides, (each,))) is not None]
    found.sort(key=_order)
    best = found[0].worth if found else 0.0
    if best < _WELL * min(sides.rows):
        found += _composed(sides, singles, found)
        found.sort(key=_order)
    return tuple(found)


def _order(one: Anchor) -> tuple[float, int, str]:
    simple = sum(
        each.what.left.transform.cost + each.what.right.transform.cost
        for each in one.equalities
        if isinstance(each.what, Overlap)
    )
    return (-round(one.worth * (1 - 0.02 * simple), 3), len(one.equalities), one.says)


def _equalities(sides: Sides) -> Iterator[Equality]:
    for one in sides.overlaps:
        columns = (frozenset({one.left.texts.column}), frozenset({one.right.texts.column}))
        yield Equality(one.codes, columns, one)
    for left in sides.amounts[0]:
        for right in sides.amounts[1]:
            for factor in (1, -1, 0.01, 100):
                pair = AmountPair(left, right, factor, False, 0, 0, 0)
                codes = _codes(*pair.units())
                if factor == 0.01 and not right.raw:
                    continue
                if factor == 100 and not left.raw:
                    continue
                met = np.isin(codes[0][codes[0] >= 0], codes[1])
                if len(met) and met.mean() > 0.02 and met.sum() >= 4:
                    yield Equality(codes, (frozenset(left.columns), frozenset(right.columns)), pair)
    for first in sides.days[0]:
        for second in sides.days[1]:
            lag = DayPair(first, second, 0, 0, 0, 0)
            codes = _codes(first.days, second.days)
            if np.isin(codes[0][codes[0] >= 0], codes[1]).any():
                columns = (frozenset({first.column}), frozenset({second.column}))
                yield Equality(codes, columns, lag)


def _codes(left: Ints, right: Ints) -> tuple[Ints, Ints]:
    both = np.concatenate([left, right])
    codes = np.where((both == NONE) | (both == 0), -1, np.unique(both, return_inverse=True)[1])
    return codes[: len(left)], codes[len(left) :]


def anchor(sides: Sides, equalities: Sequence[Equality]) -> Anchor | None:
    """Return what some equalities bring out; None where that is nothing, or far too much."""
    left, right = combined([one.codes for one in equalities])
    pairs = joined(left, right)
    if len(pairs) < 4 or pairs.cut:
        return None
    alone = pairs.where(mutual(pairs, *sides.rows))
    free = _untaken(sides, equalities)
    narrow = _narrowed(free, pairs, alone, sides.rows)
    if narrow is not None:
        pairs = narrow[1]
        alone = pairs.where(mutual(pairs, *sides.rows))
    fan_out = partners(pairs.left, sides.rows[0]).max(initial=0)
    seen = alone if len(alone) >= 20 or len(alone) * 4 >= len(pairs) else pairs
    if fan_out > _MOST_FAN_OUT * 20 or len(seen) < 4:
        return None
    looked = some_of(seen)
    amounts = best_amounts(*free.amounts, looked)
    if amounts is None and len(alone) * 2 < len(pairs):
        amounts = best_sums(*free.amounts, pairs, sides.rows)
    days = best_days(*free.days, looked) if narrow is None else narrow[0]
    equal = equals(free.overlaps, looked)
    bits = (amounts.bits if amounts else 0.0) + (days.bits if days else 0.0)
    bits += sum(one.bits for one in _apart(equal)[:3])
    if bits < _WITHOUT_NAMES:
        bits += sum(_NAME_BITS * (one.usual - one.by_chance) for one in alike(looked, *free.texts))
    rows = min(len(np.unique(pairs.left)), len(np.unique(pairs.right)))
    unique = len(alone) + 0.3 * max(0, rows - len(alone)) * min(1.0, rows / len(pairs))
    worth = unique * (_UNKNOWN + min(1.0, bits / _ENOUGH_BITS) + 0.05 * min(bits, 12) / 12)
    worth *= 1.0 if narrow is None else _NARROWED
    return Anchor(
        tuple(equalities), pairs, alone, amounts, days, equal, bits, worth, narrow is not None
    )


def _untaken(sides: Sides, equalities: Sequence[Equality]) -> Sides:
    """Return what is left of both tables without the columns of some equalities."""
    left: frozenset[str] = frozenset().union(*(one.columns[0] for one in equalities))
    right: frozenset[str] = frozenset().union(*(one.columns[1] for one in equalities))
    taken = (left, right)
    amounts = [
        tuple(one for one in each if not mine & set(one.columns))
        for each, mine in zip(sides.amounts, taken, strict=True)
    ]
    days = [
        tuple(one for one in each if one.column not in mine)
        for each, mine in zip(sides.days, taken, strict=True)
    ]
    texts = [
        tuple(one for one in each if one.column not in mine)
        for each, mine in zip(sides.texts, taken, strict=True)
    ]
    others = tuple(
        one
        for one in sides.overlaps
        if one.left.texts.column not in left and one.right.texts.column not in right
    )
    return Sides(
        sides.rows, others, (amounts[0], amounts[1]), (days[0], days[1]), (texts[0], texts[1])
    )


def _narrowed(
    free: Sides, pairs: Pairs, alone: Pairs, rows: tuple[int, int]
) -> tuple[DayPair, Pairs] | None:
    """Return days within whose usual lag rows have one partner that have several without."""
    met = min(len(np.unique(pairs.left)), len(np.unique(pairs.right)))
    if len(alone) > _MANY_ALONE * met:
        return None
    best: tuple[DayPair, Pairs] | None = None
    most = 2 * len(alone) + 10
    for first in free.days[0]:
        for second in free.days[1]:
            lag = DayPair(first, second, 0, 0, 0, 0)
            lags = lag.lags(pairs)
            found = peak(lags)
            if found is None:
                continue
            inside, (least, most_days) = found
            here = pairs.where((lags >= least) & (lags <= most_days))
            count = int(mutual(here, *rows).sum())
            if count > most and count > 0.5 * met:
                most = count
                best = DayPair(first, second, least, most_days, inside, 2.0), here
    return best


def _apart(equal: Sequence[Equal]) -> list[Equal]:
    """Return equal columns, each column once."""
    left: set[str] = set()
    right: set[str] = set()
    found = []
    for one in equal:
        first, second = one.overlap.left.texts.column, one.overlap.right.texts.column
        if first not in left and second not in right:
            found.append(one)
        left.add(first)
        right.add(second)
    return found


def _composed(sides: Sides, singles: Sequence[Equality], found: Sequence[Anchor]) -> list[Anchor]:
    """Return anchors of two and three equalities, grown from those that say something."""
    ranked = sorted(singles, key=lambda one: -_coverage(one))[:_MOST_SINGLES]
    grown: list[Anchor] = []
    for place, one in enumerate(ranked):
        for other in ranked[place + 1 :]:
            if one.columns[0] & other.columns[0] or one.columns[1] & other.columns[1]:
                continue
            both = anchor(sides, (one, other))
            if both is not None:
                grown.append(both)
    grown.sort(key=_order)
    threes = []
    for base in grown[:4]:
        for more in ranked:
            if any(
                more.columns[0] & one.columns[0] or more.columns[1] & one.columns[1]
                for one in base.equalities
            ):
                continue
            three = anchor(sides, (*base.equalities, more))
            if three is not None and three.worth > base.worth * 1.1:
                threes.append(three)
    return [*grown[:12], *threes]


def _coverage(one: Equality) -> float:
    """Return the share of rows with a partner, times how few partners they have."""
    left, right = one.codes
    shared = np.intersect1d(left[left >= 0], right[right >= 0])
    met = np.isin(left, shared).mean() * np.isin(right, shared).mean()
    return float(met * min(1.0, 0.1 + len(shared) / 200))
