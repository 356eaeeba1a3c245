"""Pairs of source rows, and each of them as one number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kalla_core.matching.row_ids.named import Named, Numbers, Rows, changes

_NUMBERS = 1 << 64
"""How many numbers there are of 64 bits."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of source rows; three arrays of one length, in the order of the result rows.

    Attributes:
        result_row: row of the batch that a pair comes from, int64.
        left: row numbers of the left side, uint64.
        right: row numbers of the right side, uint64.
    """

    result_row: Rows
    left: Numbers
    right: Numbers

    def __len__(self) -> int:
        return len(self.result_row)


@dataclass(frozen=True, slots=True)
class Scale:
    """Turns pairs into one number each, in the order of the pairs.

    To sort them takes a third of the memory, of which pairs by the million need much.

    Attributes:
        least: result row, left and right number.
        spans: of the left and the right numbers.
    """

    least: tuple[int, int, int]
    spans: tuple[int, int]

    @classmethod
    def over(cls, parts: Sequence[Pairs]) -> Scale | None:
        """Return the scale that has all these pairs; None if they are too far apart, or none.

        Args:
            parts: none of them empty.
        """
        if not parts:
            return None
        columns = [(part.result_row, part.left, part.right) for part in parts]
        least = [min(int(one.min()) for one in column) for column in zip(*columns, strict=True)]
        most = [max(int(one.max()) for one in column) for column in zip(*columns, strict=True)]
        rows, left, right = (high - low + 1 for low, high in zip(least, most, strict=True))
        if rows * left * right >= _NUMBERS:
            return None
        return cls((least[0], least[1], least[2]), (left, right))

    def numbers(self, pairs: Pairs) -> Numbers:
        """Return the pairs as numbers."""
        row, left, right = self.least
        numbers: Numbers = (pairs.result_row - row).view(np.uint64)
        numbers *= np.uint64(self.spans[0])
        numbers += pairs.left
        numbers -= np.uint64(left)
        numbers *= np.uint64(self.spans[1])
        numbers += pairs.right
        numbers -= np.uint64(right)
        return numbers

    def distinct(self, parts: Sequence[Pairs]) -> Numbers:
        """Return the number of each pair once, ascending."""
        first, *others = (self.numbers(part) for part in parts)
        numbers = np.concatenate([first, *others]) if others else first
        numbers.sort()
        fresh = changes(numbers)
        return numbers if fresh.all() else numbers[fresh]

    def pairs(self, numbers: Numbers) -> Pairs:
        """Return the pairs that numbers stand for."""
        row, left, right = self.least
        rest, rights = np.divmod(numbers, np.uint64(self.spans[1]))
        rows, lefts = np.divmod(rest, np.uint64(self.spans[0]))
        return Pairs(
            rows.astype(np.int64) + row, lefts + np.uint64(left), rights + np.uint64(right)
        )

    def complete(self, numbers: Numbers) -> tuple[Rows, Named, Named, Pairs]:
        """Find the result rows of which each left row goes with each right row.

        Args:
            numbers: of distinct pairs, ascending.

        Returns:
            These result rows, ascending; the row numbers of both sides by their places there; and
            the pairs of all other result rows.
        """
        row, left, right = self.least
        of_left, of_right = (np.uint64(span) for span in self.spans)
        # Of millions of pairs no more arrays than needed: three of them are half of a small limit.
        starts = np.flatnonzero(changes(numbers // of_right))
        lefts = numbers[starts] // of_right
        rights = numbers // (of_left * of_right)
        rights *= of_right
        rights += numbers % of_right
        rights.sort()
        rights = rights[changes(rights)]
        left_rows, right_rows = (
            (lefts // of_left).view(np.int64),
            (rights // of_right).view(np.int64),
        )
        partners = np.diff(starts, append=len(numbers))
        pairs = np.bincount(left_rows, partners).astype(np.int64)
        whole = (pairs > 0) & (pairs == np.bincount(left_rows) * np.bincount(right_rows))
        others = numbers[np.repeat(~whole[left_rows], partners)]
        place = np.cumsum(whole) - 1
        return (
            np.flatnonzero(whole) + row,
            _named(place, whole, left_rows, lefts % of_left + np.uint64(left)),
            _named(place, whole, right_rows, rights % of_right + np.uint64(right)),
            self.pairs(others),
        )


def _named(place: Rows, whole: npt.NDArray[np.bool_], rows: Rows, numbers: Numbers) -> Named:
    kept = whole[rows]
    return Named(place[rows[kept]], numbers[kept])
