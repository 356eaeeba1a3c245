"""Of sets of amounts none of which adds up to another, the one that comes nearest to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kalla_core.assignment.components import Ints
from kalla_core.assignment.subsets import FEW_AMOUNTS, Sums, places_of, positions, sums_by_size

MOST_SUMS = 1 << 25
"""That are made for all targets of a pass together."""

_OF_A_SEARCH = 1 << 17
"""What a search of its own costs beside its sums, in sums."""

_AT_ONCE = 1 << 21


@dataclass(frozen=True, slots=True)
class Nearest:
    """A set of amounts.

    Attributes:
        places: ascending.
        above: the sum less the target; below zero where it falls short.
    """

    places: tuple[int, ...]
    above: int


def widest_within(widths: Ints, most_sums: int = MOST_SUMS) -> int:
    """Return how many amounts a target may have to be looked at, for all of them to cost no more.

    So who is looked at depends on all targets and not on their order.

    Args:
        widths: how many amounts each target has.
    """
    counts = np.bincount(widths, minlength=1)
    spent, widest = 0, 0
    for width in range(1, len(counts)):
        spent += int(counts[width]) * _cost(width)
        if spent > most_sums:
            break
        widest = width
    return widest


def _cost(width: int) -> int:
    return 1 << width if width <= FEW_AMOUNTS else _OF_A_SEARCH + (16 << (width + 1) // 2)


def nearest_sums(amounts: Ints, targets: Ints, most_items: int) -> Iterator[Nearest]:
    """Yield for each target the nearest set: of equally near ones one of the smallest.

    Args:
        amounts: a row for each target, in minor units, one of them at least; sums of all fit 63
            bits.
        most_items: that a set may have, at least 1.
    """
    if amounts.shape[1] > FEW_AMOUNTS:
        for some, target in zip(amounts, targets.tolist(), strict=True):
            yield _met_in_the_middle(some, target, most_items)
        return
    width = amounts.shape[1]
    masks = sorted(
        (mask for mask in range(1, 1 << width) if mask.bit_count() <= most_items),
        key=lambda mask: (mask.bit_count(), places_of(mask)),
    )
    tried = np.array(masks, dtype=np.int64)
    step = max(_AT_ONCE >> width, 1)
    for start in range(0, len(targets), step):
        some = slice(start, start + step)
        sums = np.zeros((len(targets[some]), 1), dtype=np.int64)
        for place in range(width):
            sums = np.concatenate([sums, sums + amounts[some, place, None]], axis=1)
        above = sums[:, tried] - targets[some, None]
        best = np.abs(above).argmin(axis=1)
        for row, at in enumerate(best.tolist()):
            yield Nearest(places_of(masks[at]), int(above[row, at]))


def _met_in_the_middle(amounts: Ints, target: int, most_items: int) -> Nearest:
    half = len(amounts) // 2
    first = sums_by_size(amounts[:half], most_items)
    second = sums_by_size(amounts[half:], most_items)
    best: tuple[int, int, tuple[int, ...], int] | None = None
    for mine, here in first.items():
        for theirs, there in second.items():
            size = mine + theirs
            if 1 <= size <= most_items:
                above, one, other = _nearest_pair(here, there, target)
                found = (abs(above), size, positions(one, other, half), above)
                best = found if best is None else min(best, found)
    if best is None:
        raise ValueError("there are no amounts")
    return Nearest(best[2], best[3])


def _nearest_pair(here: Sums, there: Sums, target: int) -> tuple[int, int, int]:
    """Return by how much the nearest sum of one set of either half is above, and both as bits."""
    at = np.searchsorted(there.sums, target - here.sums)
    found: tuple[int, int, int, int] | None = None
    for near in (np.minimum(at, len(there.sums) - 1), np.maximum(at - 1, 0)):
        above = here.sums + there.sums[near] - target
        place = int(np.abs(above).argmin())
        one, other = int(here.masks[place]), int(there.masks[near[place]])
        candidate = (abs(int(above[place])), one, other, int(above[place]))
        found = candidate if found is None else min(found, candidate)
    assert found is not None  # noqa: S101 - two were looked at
    return found[3], found[1], found[2]
