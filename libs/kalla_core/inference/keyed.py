"""Pairs with equal keys, in classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kalla_core.inference.agreement import AmountPair, DayPair
from kalla_core.inference.anchors import Anchor, Sides
from kalla_core.inference.classes import Class, Kind, levels, split
from kalla_core.inference.joining import Ints, Pairs, best_first, partners
from kalla_core.inference.traits import Traits
from kalla_core.inference.values import NONE, SCALE

_BY_LEVEL = (0.98, 0.97, 0.85, 0.72, 0.45, 0.3)
_ADDS_UP = 5 * SCALE // 100
_SURE_BITS = 2.0
_FEW_DAYS = 3

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Keyed:
    """A key, what agrees beside it, and its pairs in classes.

    Attributes:
        window: of days, wider than what was seen; None without days.
    """

    anchor: Anchor
    amounts: AmountPair | None
    days: DayPair | None
    window: tuple[int, int] | None
    classes: tuple[Class, ...]


def wide(days: DayPair | None) -> tuple[int, int] | None:
    """Return a window with room for lags that the sample has not shown."""
    if days is None:
        return None
    room = max(_FEW_DAYS, (days.most - days.least) // 2)
    return days.least - room, days.most + room


def keyed(
    source: int, anchor: Anchor, common: Traits, sides: Sides, free: tuple[Bools, Bools]
) -> Keyed:
    """Return the pairs of a key among rows that no rule has taken, in classes.

    Args:
        free: per row of each side, whether it may be paired.
    """
    amounts = anchor.amounts or common.amounts
    if any(isinstance(one.what, AmountPair) for one in anchor.equalities):
        amounts = None
    days = anchor.days
    window = wide(days)
    if anchor.narrowed and days is not None:
        window = days.least, days.most
    pairs = anchor.pairs
    pairs = pairs.where(free[0][pairs.left] & free[1][pairs.right])
    comparable = amounts is not None or days is not None or bool(anchor.equal)
    trust = 1.0 if anchor.bits >= _SURE_BITS else 0.85
    if not comparable and (sides.amounts[0] and sides.amounts[1]):
        trust = 0.7
    found: list[Class] = []
    rest = pairs
    if amounts is not None:
        first, rest = _single(source, rest, amounts, days, window, trust, exact=True)
        found += first
        for kind in (Kind.SUM_RIGHT, Kind.SUM_LEFT):
            grouped, rest = _adding_up(source, rest, anchor, amounts, kind, sides, trust)
            found += grouped
    found += _others(source, rest, amounts, days, window, trust, sides)
    return Keyed(anchor, amounts, days, window, tuple(found))


def cells(
    pairs: Pairs,
    amounts: AmountPair | None,
    days: DayPair | None,
    window: tuple[int, int] | None,
) -> tuple[Ints, Bools, Ints]:
    """Return level, whether outside the window, and 0 for likeness, of each pair."""
    level = np.zeros(len(pairs), dtype=np.int64)
    if amounts is not None:
        left, right = amounts.units()
        level = levels(left[pairs.left], right[pairs.right])
    outside = np.zeros(len(pairs), dtype=bool)
    if days is not None and window is not None:
        lags = days.lags(pairs)
        outside = (lags != NONE) & ((lags < window[0]) | (lags > window[1]))
    return level, outside, np.zeros(len(pairs), dtype=np.int64)


def ranks(pairs: Pairs, amounts: AmountPair | None, days: DayPair | None) -> list[Ints]:
    """Return by what pairs are ordered, the best first: difference, then days."""
    found = []
    if amounts is not None:
        left, right = amounts.units()
        a, b = left[pairs.left], right[pairs.right]
        there = (a != NONE) & (b != NONE)
        found.append(np.where(there, np.abs(np.where(there, a - b, 0)), np.iinfo(np.int64).max))
    if days is not None:
        lags = days.lags(pairs)
        found.append(np.where(lags == NONE, np.iinfo(np.int64).max, np.abs(lags)))
    return found


def without(pairs: Pairs, taken: Pairs) -> Pairs:
    """Return the pairs of which neither row is in others."""
    left, right = np.isin(pairs.left, taken.left), np.isin(pairs.right, taken.right)
    return pairs.where(~left & ~right)


def _single(
    source: int, pairs: Pairs, amounts: AmountPair | None, days: DayPair | None,
    window: tuple[int, int] | None, trust: float, *, exact: bool,
) -> tuple[list[Class], Pairs]:  # fmt: skip
    """Take pairs whose amounts are equal, or nearly, from the nearest on, each row once."""
    level, _, _ = cells(pairs, amounts, days, window)
    near = pairs.where(level <= 1) if exact else pairs
    won = near.where(best_first(near, ranks(near, amounts, days)))
    placed = cells(won, amounts, days, window)
    found = split(source, Kind.ALONE, won, placed, _priors(placed, trust, len(pairs)))
    return found, without(pairs, won)


def _priors(
    placed: tuple[Ints, Bools, Ints], trust: float, pairs: int
) -> dict[tuple[int, bool, int], float]:
    level, outside, _ = placed
    found = {}
    for key in {*zip(level.tolist(), outside.tolist(), placed[2].tolist(), strict=True)}:
        share = float((level == key[0]).sum()) / max(1, pairs)
        usual = _BY_LEVEL[key[0]]
        if key[0] >= 4 and share > 0.3:  # then amounts are not what the rule is about
            usual = 0.6
        found[key] = trust * usual * (0.5 if key[1] else 1.0)
    return found


def _adding_up(
    source: int, pairs: Pairs, anchor: Anchor, amounts: AmountPair, kind: Kind, sides: Sides,
    trust: float,
) -> tuple[list[Class], Pairs]:  # fmt: skip
    """Take the groups of which one side is a single row that the others add up to."""
    one, many = (pairs.left, pairs.right) if kind is Kind.SUM_RIGHT else (pairs.right, pairs.left)
    rows = sides.rows if kind is Kind.SUM_RIGHT else sides.rows[::-1]
    units = amounts.units() if kind is Kind.SUM_RIGHT else amounts.units()[::-1]
    several = (partners(one, rows[0])[one] >= 2) & (partners(many, rows[1])[many] == 1)
    present = np.where(units[1] == NONE, 0, units[1])
    total = np.bincount(one, present[many].astype(np.float64), minlength=rows[0])
    off = np.abs(total[one] - units[0][one])
    sums = several & (units[0][one] != NONE) & (off <= _ADDS_UP)
    taken = pairs.where(sums)
    if not len(taken):
        return [], pairs
    return [Class(source, kind, 0, False, 0, taken, 0.93 * trust)], without(pairs, taken)


def _others(
    source: int, pairs: Pairs, amounts: AmountPair | None, days: DayPair | None,
    window: tuple[int, int] | None, trust: float, sides: Sides,
) -> list[Class]:  # fmt: skip
    """Return what is left: rows with one partner, and groups that do not add up."""
    of_left = partners(pairs.left, sides.rows[0])[pairs.left]
    of_right = partners(pairs.right, sides.rows[1])[pairs.right]
    found, _ = _single(
        source, pairs.where((of_left == 1) & (of_right == 1)), amounts, days, window, trust,
        exact=False,
    )  # fmt: skip
    groups = (
        (Kind.MANY_RIGHT, (of_left > 1) & (of_right == 1)),
        (Kind.MANY_LEFT, (of_left == 1) & (of_right > 1)),
        (Kind.MANY, (of_left > 1) & (of_right > 1)),
    )
    for kind, here in groups:
        some = pairs.where(here)
        if not len(some):
            continue
        prior = {Kind.MANY: 0.2 if amounts else 0.4}.get(kind, 0.4 if amounts else 0.85) * trust
        placed = cells(some, None, days, window)
        priors = {
            key: prior * (0.5 if key[1] else 1)
            for key in {*zip(*(each.tolist() for each in placed), strict=True)}
        }
        found += split(source, kind, some, placed, priors)
    return found
