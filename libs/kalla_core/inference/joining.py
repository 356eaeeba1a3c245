"""Rows with equal codes, as pairs of row numbers; codes below zero pair with nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Pairs of rows: two int64 arrays of equal length, sorted by left, then right.

    Attributes:
        cut: whether there were more than were asked for.
    """

    left: Ints
    right: Ints
    cut: bool = False

    def __len__(self) -> int:
        return len(self.left)

    def where(self, kept: npt.NDArray[np.bool_]) -> Pairs:
        """Return some of them."""
        return Pairs(self.left[kept], self.right[kept], self.cut)


def joined(left: Ints, right: Ints, most: int = 400_000) -> Pairs:
    """Return the pairs of rows whose codes are equal.

    Of more than `most` those of the rarest codes are returned.
    """
    order = np.argsort(right, kind="stable")
    ordered = right[order]
    first = np.searchsorted(ordered, left, "left")
    counts = np.where(left < 0, 0, np.searchsorted(ordered, left, "right") - first)
    cut = int(counts.sum()) > most
    if cut:
        rarest = np.argsort(counts, kind="stable")
        kept = rarest[: int(np.searchsorted(np.cumsum(counts[rarest]), most, "right"))]
        counts = np.where(np.isin(np.arange(len(left)), kept), counts, 0)
    rows = np.repeat(np.arange(len(left)), counts)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    return Pairs(rows, order[np.repeat(first, counts) + within], cut)


def combined(codes: Sequence[tuple[Ints, Ints]]) -> tuple[Ints, Ints]:
    """Return one code per row for several, the same on both sides; -1 where one is missing."""
    left, right = codes[0]
    for other_left, other_right in codes[1:]:
        both = np.concatenate([left, right])
        other = np.concatenate([other_left, other_right])
        missing = (both < 0) | (other < 0)
        dense = np.unique(both, return_inverse=True)[1] * (len(both) + 2)
        dense = dense + np.unique(other, return_inverse=True)[1]
        found = np.where(missing, -1, np.unique(dense, return_inverse=True)[1])
        left, right = found[: len(left)], found[len(left) :]
    return left, right


def partners(rows: Ints, count: int) -> Ints:
    """Return for each row of a side in how many pairs it is."""
    return np.bincount(rows, minlength=count)


def mutual(pairs: Pairs, left_rows: int, right_rows: int) -> npt.NDArray[np.bool_]:
    """Return which pairs are the only ones of both their rows."""
    of_left, of_right = partners(pairs.left, left_rows), partners(pairs.right, right_rows)
    alone: npt.NDArray[np.bool_] = (of_left[pairs.left] == 1) & (of_right[pairs.right] == 1)
    return alone


def best_first(pairs: Pairs, ranks: Sequence[Ints]) -> npt.NDArray[np.bool_]:
    """Return which pairs win when they are taken from the best rank on, each row once.

    A greedy choice that breaks ties by row numbers: good enough to count with, and never what the
    engine accepts.
    """
    order = np.lexsort((pairs.right, pairs.left, *reversed(ranks)))
    used_left: set[int] = set()
    used_right: set[int] = set()
    kept = np.zeros(len(pairs), dtype=bool)
    lefts, rights = pairs.left[order].tolist(), pairs.right[order].tolist()
    for place, left, right in zip(order.tolist(), lefts, rights, strict=True):
        if left not in used_left and right not in used_right:
            used_left.add(left)
            used_right.add(right)
            kept[place] = True
    return kept
