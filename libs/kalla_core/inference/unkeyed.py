"""Pairs without a key: by amount, day, and what else agrees."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from kalla_core.inference.agreement import AmountPair, DayPair, peak
from kalla_core.inference.anchors import Sides
from kalla_core.inference.classes import Class, Kind, levels, split
from kalla_core.inference.joining import Ints, Pairs, best_first, combined, joined
from kalla_core.inference.keyed import ranks
from kalla_core.inference.likeness import Likeness
from kalla_core.inference.overlaps import Overlap
from kalla_core.inference.traits import Traits
from kalla_core.inference.values import NONE

Bools = npt.NDArray[np.bool_]
_ALIKE = (0.85, 0.6)
_MOST_LEVEL = 3


@dataclass(frozen=True, slots=True, eq=False)
class Unkeyed:
    """Columns that agree, and the pairs that they bring together, in classes.

    Attributes:
        blocks: columns that are equal.
        window: of days from left to right.
        accidents: pairs that would come about by chance, for each that does.
    """

    blocks: tuple[Overlap, ...]
    amounts: AmountPair | None
    days: DayPair | None
    window: tuple[int, int] | None
    names: tuple[Likeness, ...]
    classes: tuple[Class, ...]
    accidents: float


def unkeyed(source: int, common: Traits, sides: Sides, free: tuple[Bools, Bools]) -> Unkeyed | None:
    """Return pairs among rows that no rule has taken; None where no amounts agree."""
    amounts = common.amounts
    if amounts is None:
        return _by_name(source, common, free)
    selective = _selective(common.blocks)
    pairs = _candidates(selective, common.blocks, amounts, free)
    days, window = _window(common.days, sides, pairs, amounts)
    pairs = _within(pairs, days, window)
    if not len(pairs):
        return None
    shuffled = _shuffled(selective, common.blocks, amounts, free)
    chance = _within(shuffled, days, window)
    near, near_chance = (_near(each, amounts) for each in (pairs, chance))
    accidents = min(1.0, len(near_chance) / max(1, len(near)))
    names = common.names[:1]
    likeness = names[0].scores(pairs) if names else np.ones(len(pairs))
    order = ranks(pairs, amounts, None)
    order.append((-np.rint(likeness * 100)).astype(np.int64))
    order += ranks(pairs, None, days)
    won_here = best_first(pairs, order)
    won, alike = pairs.where(won_here), likeness[won_here]
    placed = _cells(won, amounts, alike, bool(names))
    priors = _priors(placed, accidents, bool(names))
    classes = split(source, Kind.ALONE, won, placed, priors)
    return Unkeyed(common.blocks, amounts, days, window, names, tuple(classes), accidents)


def _by_name(source: int, common: Traits, free: tuple[Bools, Bools]) -> Unkeyed | None:
    """Return pairs by equal days and names that are alike, where there are no amounts."""
    days = common.days
    if days is None or not common.names:
        return None
    keys = [_codes(days.left.days, days.right.days), *(one.codes for one in common.blocks)]
    pairs = joined(*_freed(combined(keys), free))
    if not len(pairs):
        return None
    likeness = common.names[0].scores(pairs)
    won = best_first(pairs, [(-np.rint(likeness * 100)).astype(np.int64)])
    unlike = (likeness[won] < _ALIKE[0]).astype(np.int64) + (likeness[won] < _ALIKE[1])
    level = np.zeros(len(unlike), dtype=np.int64)
    cells = (level, np.zeros(len(unlike), dtype=bool), unlike)
    priors = {(0, False, n): prior for n, prior in enumerate((0.9, 0.6, 0.1))}
    classes = split(source, Kind.ALONE, pairs.where(won), cells, priors)
    accidents = float((likeness < _ALIKE[1]).mean())
    return Unkeyed(common.blocks, None, days, (0, 0), common.names[:1], tuple(classes), accidents)


def _selective(blocks: tuple[Overlap, ...]) -> bool:
    """Whether blocks are small enough to compare all rows of one with each other."""
    return any(
        len(np.unique(one.codes[0])) >= 20 and len(np.unique(one.codes[1])) >= 20 for one in blocks
    )


def _freed(codes: tuple[Ints, Ints], free: tuple[Bools, Bools]) -> tuple[Ints, Ints]:
    return np.where(free[0], codes[0], -1), np.where(free[1], codes[1], -1)


def _equal_amounts(amounts: AmountPair) -> tuple[Ints, Ints]:
    return _codes(*amounts.units())


def _codes(left: Ints, right: Ints) -> tuple[Ints, Ints]:
    both = np.concatenate([left, right])
    codes = np.where((both == NONE) | (both == 0), -1, np.unique(both, return_inverse=True)[1])
    return codes[: len(left)], codes[len(left) :]


def _candidates(
    selective: bool, blocks: tuple[Overlap, ...], amounts: AmountPair, free: tuple[Bools, Bools]
) -> Pairs:
    keys = [one.codes for one in blocks]
    if not selective:
        keys.append(_equal_amounts(amounts))
    pairs = joined(*_freed(combined(keys), free))
    return pairs if not selective else _near(pairs, amounts)


def _near(pairs: Pairs, amounts: AmountPair) -> Pairs:
    left, right = amounts.units()
    return pairs.where(levels(left[pairs.left], right[pairs.right]) <= _MOST_LEVEL)


def _shuffled(
    selective: bool, blocks: tuple[Overlap, ...], amounts: AmountPair, free: tuple[Bools, Bools]
) -> Pairs:
    """Return the pairs that come about when the amounts of the right are dealt anew."""
    places = np.flatnonzero(free[1])
    dealt = np.arange(len(free[1]))
    dealt[places] = np.random.default_rng(5).permutation(places)
    right = amounts.right
    anew = replace(amounts, right=replace(right, units=right.units[dealt]))
    keys = [one.codes for one in blocks]
    if not selective:
        keys.append(_equal_amounts(anew))
    pairs = joined(*_freed(combined(keys), free))
    return pairs if not selective else _near(pairs, anew)


def _window(
    known: DayPair | None, sides: Sides, pairs: Pairs, amounts: AmountPair
) -> tuple[DayPair | None, tuple[int, int] | None]:
    """Return the days of both sides and the lags that are more frequent than by chance."""
    left, right = amounts.units()
    same = pairs.where(levels(left[pairs.left], right[pairs.right]) <= 1)
    if known is not None and known.most > known.least:
        return known, (known.least, known.most)
    best: tuple[float, DayPair, tuple[int, int]] | None = None
    for first in sides.days[0]:
        for second in sides.days[1]:
            pair = DayPair(first, second, 0, 0, 0, 0)
            found = peak(pair.lags(same))
            if found is not None and (best is None or found[0] > best[0]):
                best = (found[0], pair, found[1])
    if best is None:
        return (known, (known.least, known.most)) if known else (None, None)
    return best[1], best[2]


def _within(pairs: Pairs, days: DayPair | None, window: tuple[int, int] | None) -> Pairs:
    if days is None or window is None:
        return pairs
    lags = days.lags(pairs)
    return pairs.where((lags != NONE) & (lags >= window[0]) & (lags <= window[1]))


def _cells(
    won: Pairs, amounts: AmountPair, alike: npt.NDArray[np.float64], named: bool
) -> tuple[Ints, Bools, Ints]:
    left, right = amounts.units()
    level = levels(left[won.left], right[won.right])
    unlike = np.zeros(len(won), dtype=np.int64)
    if named:
        unlike = (alike < _ALIKE[0]).astype(np.int64) + (alike < _ALIKE[1])
    return level, np.zeros(len(won), dtype=bool), unlike


def _priors(
    placed: tuple[Ints, Bools, Ints], accidents: float, named: bool
) -> dict[tuple[int, bool, int], float]:
    found = {}
    for key in {*zip(*(each.tolist() for each in placed), strict=True)}:
        level, _, unlike = key
        prior = (1 - accidents) * (0.95, 0.93, 0.7, 0.55, 0.0, 0.0)[level]
        if named:
            prior = (max(prior, 0.9) if level <= 1 else prior, prior * 0.8, prior * 0.5)[unlike]
        found[key] = min(0.97, max(0.02, prior))
    return found
