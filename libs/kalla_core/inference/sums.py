"""Rows of which several add up to one of the other side, inside a block and a window of days."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kalla_core.inference.agreement import AmountPair, DayPair
from kalla_core.inference.classes import Class, Kind
from kalla_core.inference.joining import Ints, Pairs, combined, joined
from kalla_core.inference.overlaps import Overlap
from kalla_core.inference.values import NONE

Bools = npt.NDArray[np.bool_]
MAX_ITEMS = 8
_LOOKED_AT = 400
_MOST_CANDIDATES = 14
_LEAST = 3


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """A pass that adds amounts up.

    Attributes:
        one: `left` or `right`, the side of which a row is paired with several.
        days: the window of days from left to right, where both columns are dates.
    """

    one: str
    blocks: tuple[Overlap, ...]
    amounts: AmountPair
    days: DayPair | None
    window: tuple[int, int] | None
    classes: tuple[Class, ...]


def sums(
    source: int, one: str, blocks: tuple[Overlap, ...], amounts: AmountPair | None,
    days: DayPair | None, window: tuple[int, int] | None, free: tuple[Bools, Bools],
) -> Sums | None:  # fmt: skip
    """Return a pass of sums over rows that no rule has taken; None where next to none add up."""
    raw = tuple(block for block in blocks if block.raw)
    if amounts is None or not _fit(amounts) or not raw:
        return None
    if days is not None and not (days.left.raw and days.right.raw):
        days, window = None, None
    codes = combined([block.codes for block in raw])
    pairs = joined(np.where(free[0], codes[0], -1), np.where(free[1], codes[1], -1))
    if pairs.cut:
        return None
    if days is not None and window is not None:
        lags = days.lags(pairs)
        pairs = pairs.where((lags != NONE) & (lags >= window[0]) & (lags <= window[1]))
    found = _adding_up(pairs, one, amounts.units())
    if len(found[0]) < _LEAST:
        return None
    chance = len(_adding_up(pairs, one, _dealt(amounts, one))[0])
    accidents = min(1.0, chance / len(found[0]))
    taken = Pairs(*_sorted(found[1]))
    kind = Kind.SUM_LEFT if one == "right" else Kind.SUM_RIGHT
    mine = Class(source, kind, 0, False, 0, taken, max(0.03, 0.95 * (1 - accidents)))
    return Sums(one, raw, amounts, days, window, (mine,))


def _fit(amounts: AmountPair) -> bool:
    return amounts.left.raw and amounts.right.raw and amounts.factor == 1 and not amounts.unsigned


def _dealt(amounts: AmountPair, one: str) -> tuple[Ints, Ints]:
    """Return amounts of which those of single rows are dealt anew."""
    left, right = amounts.units()
    deal = np.random.default_rng(3)
    single = left if one == "left" else right
    there = np.flatnonzero(single != NONE)
    dealt = single.copy()
    dealt[there] = single[deal.permutation(there)]
    return (dealt, right) if one == "left" else (left, dealt)


def _adding_up(
    pairs: Pairs, one: str, units: tuple[Ints, Ints]
) -> tuple[list[int], list[tuple[int, int]]]:
    """Return single rows of which exactly one set of others adds up, and their pairs."""
    single, many = (pairs.left, pairs.right) if one == "left" else (pairs.right, pairs.left)
    of_single, of_many = (units[0], units[1]) if one == "left" else (units[1], units[0])
    order = np.lexsort((many, single))
    single, many = single[order], many[order]
    if not len(single):
        return [], []
    starts = np.flatnonzero(np.r_[True, single[1:] != single[:-1]])
    ends = np.append(starts[1:], len(single))
    rows: list[int] = []
    found: list[tuple[int, int]] = []
    used: set[int] = set()
    looked = 0
    for start, end in zip(starts, ends, strict=True):
        target = int(of_single[single[start]])
        items = [int(row) for row in many[start:end] if of_many[row] not in (NONE, 0)]
        if not 2 <= len(items) <= _MOST_CANDIDATES or target in (NONE, 0) or looked >= _LOOKED_AT:
            continue
        looked += 1
        chosen = _only_set(of_many[items], target)
        if chosen is None or used & {items[place] for place in chosen}:
            continue
        rows.append(int(single[start]))
        used |= {items[place] for place in chosen}
        for place in chosen:
            pair = (rows[-1], items[place])
            found.append(pair if one == "left" else pair[::-1])
    return rows, found


def _only_set(amounts: Ints, target: int) -> list[int] | None:
    """Return the only set of the smallest size that adds up; None if there is no such set."""
    masks = np.arange(1 << len(amounts))
    chosen = (masks[:, None] >> np.arange(len(amounts))) & 1
    size = chosen.sum(axis=1)
    fits = (chosen @ amounts == target) & (size >= 1) & (size <= MAX_ITEMS)
    if not fits.any():
        return None
    least = size[fits].min()
    smallest = np.flatnonzero(fits & (size == least))
    return (
        np.flatnonzero(chosen[smallest[0]]).tolist() if len(smallest) == 1 and least > 1 else None
    )


def _sorted(found: list[tuple[int, int]]) -> tuple[Ints, Ints]:
    ordered = np.array(sorted(found), dtype=np.int64)
    return ordered[:, 0], ordered[:, 1]
