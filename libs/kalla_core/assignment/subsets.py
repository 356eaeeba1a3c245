"""Sets of amounts that add up to another: exact, in whole minor units, by meeting in the middle.

Of a few amounts, all sums of either half are made, and the sums of one half are looked up among
those of the other. That is some two to the power of half their number, instead of all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from kalla_core.assignment.components import Ints

MOST_AMOUNTS = 40
"""More make sums beyond what is worth the memory: a million for either half."""

MOST_SHOWN = 3
_MOST_PAIRS = 1 << 22

FEW_AMOUNTS = 12
"""Of so few, all sums are made at once for many targets."""

_MOST_SUMS = 1 << 21


@dataclass(frozen=True, slots=True)
class Fits:
    """The sets that fit, of the smallest size for which one does.

    Attributes:
        size: rows of each; 0 if none fits.
        count: how many sets there are, counted to `MOST_SHOWN` + 1.
        sets: the first of them, each as ascending positions; ordered by these.
    """

    size: int
    count: int
    sets: tuple[tuple[int, ...], ...]


NONE_FITS = Fits(0, 0, ())


def subsets_that_fit_each(
    amounts: Ints, targets: Ints, tolerance: int, most_items: int
) -> Iterator[tuple[int, Fits]]:
    """Yield for those of many targets that a set fits what `subsets_that_fit` returns.

    Beside it which target it is; all sums are made at once.

    Args:
        amounts: a row for each target, in minor units, `FEW_AMOUNTS` at most.
    """
    count, width = amounts.shape
    every = np.array([number.bit_count() for number in range(1 << width)], dtype=np.int8)
    tried = np.flatnonzero((every > 0) & (every <= most_items))
    sizes = every[tried]
    step = max(_MOST_SUMS >> width, 1)
    for start in range(0, count, step):
        some = slice(start, start + step)
        sums = np.zeros((len(targets[some]), 1), dtype=np.int64)
        for place in range(width):
            sums = np.concatenate([sums, sums + amounts[some, place, None]], axis=1)
        fits = np.abs(sums[:, tried] - targets[some, None]) <= tolerance
        smallest = np.where(fits, sizes, width + 1).min(axis=1, initial=width + 1)
        rows = np.flatnonzero(smallest <= width)
        which, masks = np.nonzero(fits[rows] & (sizes == smallest[rows, None]))
        ends = np.cumsum(np.bincount(which, minlength=len(rows))).tolist()
        listed, begin = tried[masks].tolist(), 0
        for row, size, end in zip(rows.tolist(), smallest[rows].tolist(), ends, strict=True):
            yield start + row, _of_masks(listed[begin:end], size)
            begin = end


def _of_masks(masks: Sequence[int], size: int) -> Fits:
    if len(masks) == 1:
        return Fits(size, 1, (places_of(masks[0]),))
    sets = sorted(map(places_of, masks))
    return Fits(size, min(len(sets), MOST_SHOWN + 1), tuple(sets[:MOST_SHOWN]))


@lru_cache(1 << FEW_AMOUNTS)
def places_of(mask: int) -> tuple[int, ...]:
    """Return the places of a set of few amounts, ascending, whose bits they are."""
    return tuple(place for place in range(mask.bit_length()) if mask >> place & 1)


def subsets_that_fit(amounts: Ints, target: int, tolerance: int, most_items: int) -> Fits:
    """Return the smallest sets of amounts whose sum is within `tolerance` of `target`.

    Args:
        amounts: in minor units, `MOST_AMOUNTS` at most; sums of all fit 63 bits.
        tolerance: in the same units, 0 or more.
        most_items: that a set may have.

    Raises:
        ValueError: there are too many amounts.
    """
    if len(amounts) > MOST_AMOUNTS:
        raise ValueError(f"{len(amounts)} amounts are more than {MOST_AMOUNTS}")
    if len(amounts) and amounts.min() >= 0 and amounts.max() > target + tolerance:
        # Where nothing takes from a sum, what is more than all of it is in no set.
        small = np.flatnonzero(amounts <= target + tolerance)
        fits = subsets_that_fit(amounts[small], target, tolerance, most_items)
        sets = tuple(tuple(small[list(one)].tolist()) for one in fits.sets)
        return Fits(fits.size, fits.count, sets)
    half = len(amounts) // 2
    first, second = (
        sums_by_size(amounts[:half], most_items),
        sums_by_size(amounts[half:], most_items),
    )
    for size in range(1, min(most_items, len(amounts)) + 1):
        found: list[tuple[int, ...]] = []
        count = 0
        for mine in range(size + 1):
            here, there = first.get(mine), second.get(size - mine)
            if here is None or there is None:
                continue
            pairs = _meeting(here, there, target - tolerance, target + tolerance)
            count += len(pairs)
            found += [positions(a, b, half) for a, b in pairs]
        if count:
            return Fits(size, min(count, MOST_SHOWN + 1), tuple(sorted(found)[:MOST_SHOWN]))
    return NONE_FITS


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums of sets of one size, ascending, and which amounts each is of, as bits."""

    sums: Ints
    masks: Ints


def sums_by_size(amounts: Ints, most_items: int) -> dict[int, Sums]:
    """Return the sums of all sets of some amounts by how many each has, from none on."""
    sums: Ints = np.zeros(1, dtype=np.int64)
    masks: Ints = np.zeros(1, dtype=np.int64)
    sizes: npt.NDArray[np.int8] = np.zeros(1, dtype=np.int8)
    for place, amount in enumerate(amounts.tolist()):
        more = sizes < most_items
        sums = np.concatenate([sums, sums[more] + amount])
        masks = np.concatenate([masks, masks[more] | (1 << place)])
        sizes = np.concatenate([sizes, sizes[more] + np.int8(1)])
    by_size: dict[int, Sums] = {}
    for size in range(most_items + 1):
        at = np.flatnonzero(sizes == size)
        if len(at):
            order = at[np.argsort(sums[at], kind="stable")]
            by_size[size] = Sums(sums[order], masks[order])
    return by_size


def _meeting(one: Sums, other: Sums, low: int, high: int) -> list[tuple[int, int]]:
    """Return sets of both halves whose sums together lie between `low` and `high`, of many some.

    As many come as are needed to see that there are several, and which of them come first.
    """
    start = np.searchsorted(other.sums, low - one.sums, side="left")
    end = np.searchsorted(other.sums, high - one.sums, side="right")
    counts = end - start
    at = np.flatnonzero(counts)
    total = int(counts[at].sum())
    if total > _MOST_PAIRS:
        # So many that none of them will be shown as the one: which come first hardly matters.
        at = at[: max(int(np.searchsorted(np.cumsum(counts[at]), _MOST_PAIRS)), 1)]
        counts = np.minimum(counts, _MOST_PAIRS)
    repeats = counts[at]
    mine = np.repeat(at, repeats)
    ends = np.cumsum(repeats)
    within = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - repeats, repeats)
    theirs = np.repeat(start[at], repeats) + within
    masks_one, masks_other = one.masks[mine], other.masks[theirs]
    if len(masks_one) > MOST_SHOWN + 1:
        keep = _first_sets(masks_one, masks_other)
        masks_one, masks_other = masks_one[keep], masks_other[keep]
    return list(zip(masks_one.tolist(), masks_other.tolist(), strict=True))


def _first_sets(ones: Ints, others: Ints) -> Ints:
    """Return which sets come first when ordered by their positions; one more than are shown."""

    # The set whose lowest positions are smaller comes first: compare the bits from below.
    def reversed_bits(masks: Ints) -> Ints:
        turned: Ints = np.zeros(len(masks), dtype=np.int64)
        for place in range(MOST_AMOUNTS // 2 + 1):
            turned |= ((masks >> place) & 1) << (MOST_AMOUNTS // 2 - place)
        return turned

    order = np.lexsort((-reversed_bits(others), -reversed_bits(ones)))
    kept: Ints = order[: MOST_SHOWN + 1]
    return kept


def positions(one: int, other: int, half: int) -> tuple[int, ...]:
    """Return where the amounts of two sets are, of which the second begin at `half`."""
    low = [place for place in range(half) if one >> place & 1]
    high = [half + place for place in range(MOST_AMOUNTS) if other >> place & 1]
    return tuple(low + high)
