"""How often columns agree in pairs of rows, beside pairs at random."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kalla_core.inference.joining import Ints, Pairs
from kalla_core.inference.overlaps import Overlap
from kalla_core.inference.values import NONE, SCALE, Amount, Day

LOOKED_AT = 6000
CENT = SCALE // 100
_NEAR = 0.05
_WIDEST_DAYS = 400
_FEW = 1e-3
_WEEKS = 45


@dataclass(frozen=True, slots=True, eq=False)
class AmountPair:
    """An amount of each side, and how they go together.

    Attributes:
        factor: what the right is multiplied with; -1 where signs are reversed.
        unsigned: whether signs do not count.
        equal: share of the pairs in which they are equal.
        near: in which they are within 5 %.
        bits: how much their being near says, in bits a pair.
    """

    left: Amount
    right: Amount
    factor: float
    unsigned: bool
    equal: float
    near: float
    bits: float

    def units(self) -> tuple[Ints, Ints]:
        """Return both sides in one sign and scale; `NONE` for null."""
        left, right = self.left.units, self.right.units
        there = right != NONE
        scaled = np.where(there, np.rint(np.where(there, right, 0) * self.factor), NONE)
        right = scaled.astype(np.int64)
        if self.unsigned:
            left = np.where(left == NONE, NONE, np.abs(left))
            right = np.where(right == NONE, NONE, np.abs(right))
        return left, right

    def sql(self) -> tuple[str, str]:
        """Return both sides, with `{}` for their aliases."""
        left, right = self.left.sql, self.right.sql
        if abs(self.factor) == 0.01:
            right = f"CAST({right} AS DECIMAL(20, 2)) / 100"
        elif abs(self.factor) == 100:
            right = f"{right} * 100"
        if self.factor < 0:
            right = f"(-({right}))" if abs(self.factor) != 1 else f"(-{right})"
        elif abs(self.factor) != 1:
            right = f"({right})"
        if self.unsigned:
            return f"abs({left})", f"abs({right})"
        return left, right


@dataclass(frozen=True, slots=True, eq=False)
class DayPair:
    """A day of each side.

    Attributes:
        least: the fewest days from left to right in nearly all pairs.
        most: the most.
        inside: share of the pairs within.
        bits: how much that says, in bits a pair.
    """

    left: Day
    right: Day
    least: int
    most: int
    inside: float
    bits: float

    def lags(self, pairs: Pairs) -> Ints:
        """Return the days from left to right of each pair; `NONE` where one is null."""
        return _lags(self.left.days, self.right.days, pairs)


@dataclass(frozen=True, slots=True, eq=False)
class Equal:
    """Columns that are equal in pairs.

    Attributes:
        share: of the pairs with both values in which they are.
        by_chance: of pairs at random.
        bits: how much it says, in bits a pair.
    """

    overlap: Overlap
    share: float
    by_chance: float
    bits: float


def strangers(pairs: Pairs) -> Pairs:
    """Return as many pairs of the same rows that do not belong together, as far as one knows."""
    shift = max(1, len(pairs) // 2 + 1)
    order = np.random.default_rng(11).permutation(len(pairs))
    right = np.empty_like(pairs.right)
    right[order] = pairs.right[np.roll(order, shift)]
    return Pairs(pairs.left, right)


def some_of(pairs: Pairs, most: int = LOOKED_AT) -> Pairs:
    """Return at most so many pairs, spread evenly."""
    if len(pairs) <= most:
        return pairs
    kept = np.linspace(0, len(pairs) - 1, most).astype(np.int64)
    return Pairs(pairs.left[kept], pairs.right[kept])


def best_amounts(
    left: Sequence[Amount], right: Sequence[Amount], pairs: Pairs, without: Sequence[str] = ()
) -> AmountPair | None:
    """Return the amounts that agree the most in pairs; None where none do beyond chance."""
    found = [
        one
        for of_left in left
        for of_right in right
        if not {*of_left.columns, *of_right.columns} & set(without)
        for one in _amount_pairs(of_left, of_right, pairs)
    ]
    if not found:
        return None
    return max(found, key=lambda one: (round(one.bits, 1), -_awkward(one), one.bits))


def _awkward(one: AmountPair) -> int:
    return one.left.simple + one.right.simple + 2 * one.unsigned + (one.factor < 0)


def _amount_pairs(left: Amount, right: Amount, pairs: Pairs) -> list[AmountPair]:
    apart = strangers(pairs)
    found = []
    for factor, unsigned in ((1, False), (-1, False), (1, True), (0.01, False), (100, False)):
        if factor == 0.01 and not (
            right.raw and np.all(right.units[right.units != NONE] % SCALE == 0)
        ):
            continue
        if factor == 100 and not (left.raw and np.all(left.units[left.units != NONE] % SCALE == 0)):
            continue
        one = AmountPair(left, right, factor, unsigned, 0, 0, 0)
        equal, near = _agreeing(one, pairs)
        equal_apart, near_apart = _agreeing(one, apart)
        bits = bits_of(equal, equal_apart) + 0.5 * bits_of(max(0.0, near - equal), near_apart)
        if near > 0.1 and bits > 0.3:
            found.append(AmountPair(left, right, factor, unsigned, equal, near, bits))
    return found


def _agreeing(one: AmountPair, pairs: Pairs) -> tuple[float, float]:
    left, right = one.units()
    a, b = left[pairs.left], right[pairs.right]
    there = (a != NONE) & (b != NONE)
    if not there.any():
        return 0.0, 0.0
    a, b = a[there], b[there]
    off = np.abs(a - b)
    same = (off < 1) & (a != 0)
    return float(same.mean()), float(((off <= _NEAR * np.abs(a)) & (a != 0)).mean())


def best_days(
    left: Sequence[Day], right: Sequence[Day], pairs: Pairs, without: Sequence[str] = ()
) -> DayPair | None:
    """Return the days whose lag is the most regular in pairs; None where none is."""
    found = [
        one
        for of_left in left
        for of_right in right
        if not {of_left.column, of_right.column} & set(without)
        if (one := _day_pair(of_left, of_right, pairs)) is not None
    ]
    return max(found, key=lambda one: (one.bits, one.left.raw + one.right.raw), default=None)


def _lags(left: Ints, right: Ints, pairs: Pairs) -> Ints:
    a, b = left[pairs.left], right[pairs.right]
    return np.where((a != NONE) & (b != NONE), b - a, NONE)


def _day_pair(left: Day, right: Day, pairs: Pairs) -> DayPair | None:
    lags = _lags(left.days, right.days, pairs)
    lags = lags[lags != NONE]
    apart = _lags(left.days, right.days, strangers(pairs))
    apart = apart[apart != NONE]
    if len(lags) < 5 or not len(apart):
        return None
    least, most = window(lags)
    if most - least > _WIDEST_DAYS:
        return None
    inside = float(((lags >= least) & (lags <= most)).mean())
    chance = float(((apart >= least) & (apart <= most)).mean())
    bits = bits_of(inside, chance)
    return DayPair(left, right, least, most, inside, bits) if bits > 0.3 else None


def window(lags: Ints) -> tuple[int, int]:
    """Return the window of days that nearly all lags lie in, without those far from the rest."""
    ordered = np.sort(lags)
    low, middle, high = np.quantile(ordered, [0.1, 0.5, 0.9])
    spread = max(1.0, high - low)
    kept = ordered[(ordered >= middle - 2 * spread) & (ordered <= middle + 2 * spread)]
    return int(kept[0]), int(kept[-1])


def peak(lags: Ints) -> tuple[float, tuple[int, int]] | None:
    """Return the lags around the most frequent that stand out from the background."""
    lags = lags[lags != NONE]
    near = lags[np.abs(lags) <= 200]
    if len(near) < 5:
        return None
    counts = np.bincount(near + 200, minlength=401).astype(np.float64)
    background = np.median(counts) + 1e-9
    top = int(np.argmax(np.convolve(counts, np.ones(3), "same")))
    floor = max(2 * background + 1, 0.05 * counts.max())
    low = high = top
    while low > max(0, top - _WEEKS) and counts[max(0, low - 2) : low].max(initial=0) >= floor:
        low -= 1
    while high < min(400, top + _WEEKS) and counts[high + 1 : high + 3].max(initial=0) >= floor:
        high += 1
    seen = np.flatnonzero(counts[low : high + 1] > 0) + low
    if not len(seen):
        return None
    inside = counts[low : high + 1].sum() - background * (high - low + 1)
    return float(inside / len(lags)), (int(seen[0]) - 200, int(seen[-1]) - 200)


def best_sums(
    left: Sequence[Amount], right: Sequence[Amount], pairs: Pairs, rows: tuple[int, int]
) -> AmountPair | None:
    """Return amounts of which those of several rows add up to one of the other side, nearly."""
    best: AmountPair | None = None
    for of_left in left:
        for of_right in right:
            for several in (0, 1):
                share, chance = _adding_up((of_left, of_right), pairs, rows, several)
                bits = bits_of(share, chance)
                if share > 0.3 and bits > max(0.5, best.bits if best else 0.0):
                    best = AmountPair(of_left, of_right, 1, False, 0.0, share, bits)
    return best


def _adding_up(
    amounts: tuple[Amount, Amount], pairs: Pairs, rows: tuple[int, int], several: int
) -> tuple[float, float]:
    """Return the share of single rows near the sum of the others, and that of dealt amounts."""
    single, many = (pairs.right, pairs.left) if several == 0 else (pairs.left, pairs.right)
    counts = np.bincount(single, minlength=rows[1 - several])
    units = amounts[several].units[many]
    present = np.where(units == NONE, 0, units).astype(np.float64)
    totals = np.bincount(single, present, minlength=rows[1 - several])
    here = (counts > 1) & (amounts[1 - several].units != NONE)
    if here.sum() < 5:
        return 0.0, 0.0
    total, one = totals[here], amounts[1 - several].units[here]
    dealt = np.random.default_rng(13).permutation(one)
    near = [float((np.abs(total - each) <= _NEAR * np.abs(total)).mean()) for each in (one, dealt)]
    return near[0], near[1]


def equals(found: Sequence[Overlap], pairs: Pairs) -> tuple[Equal, ...]:
    """Return the columns that are equal in pairs beyond chance, those that say the most first."""
    apart = strangers(pairs)
    kept = []
    for one in found:
        share, chance = _equal_share(one, pairs), _equal_share(one, apart)
        bits = bits_of(share, chance)
        if bits > 0.05 and share > 0.3:
            kept.append(Equal(one, share, chance, bits))
    kept.sort(key=lambda one: -one.bits)
    return tuple(kept)


def _equal_share(one: Overlap, pairs: Pairs) -> float:
    left, right = one.codes[0][pairs.left], one.codes[1][pairs.right]
    there = (left >= 0) & (right >= 0)
    return float((left[there] == right[there]).mean()) if there.any() else 0.0


def bits_of(share: float, chance: float) -> float:
    """Return what an agreement says of a pair, on average, in bits; zero below chance."""
    if share <= chance:
        return 0.0
    m, u = min(share, 1 - _FEW), min(max(chance, _FEW), 1 - _FEW)
    against = (1 - m) * math.log2((1 - m) / (1 - u)) if m < 1 else 0.0
    return max(0.0, m * math.log2(m / u) + against)
