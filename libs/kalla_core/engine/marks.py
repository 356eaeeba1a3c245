"""Which rows of a whole source are in a pair, when many joins have a say in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from kalla_core.engine.rows import Bools, IdArray, Ints, Rows
from kalla_core.engine.store import PART_SHIFT

_PLACE = np.uint64((1 << PART_SHIFT) - 1)


class GlobalMarks:
    """One flag per row of a source; threads may set flags at the same time.

    Args:
        part_rows: rows of each part, by its index.
    """

    def __init__(self, part_rows: Sequence[int]) -> None:
        self._starts = np.concatenate([[0], np.cumsum(part_rows, dtype=np.int64)])
        self._bits: Bools = np.zeros(int(self._starts[-1]), dtype=np.bool_)

    def set(self, numbers: IdArray) -> None:
        """Mark rows, given their numbers in the whole source."""
        self._bits[self._dense(numbers)] = True

    def of(self, rows: Rows) -> Bools:
        """Return the flag of each of these rows, which carry their numbers."""
        assert rows.ids is not None  # noqa: S101 - spooled with their numbers
        return self._bits[self._dense(rows.ids)]

    def packed(self) -> Iterator[tuple[int, bytes]]:
        """Yield the flags of each part that has any set: its index, and eight flags a byte."""
        for part, (start, end) in enumerate(pairwise(self._starts)):
            if self._bits[start:end].any():
                yield part, np.packbits(self._bits[start:end]).tobytes()

    def merge(self, part: int, packed: bytes) -> None:
        """Set the flags that are set in what `packed` gave elsewhere, for the same parts."""
        flags = self._bits[self._starts[part] : self._starts[part + 1]]
        flags |= np.unpackbits(np.frombuffer(packed, np.uint8), count=len(flags)).view(np.bool_)

    @property
    def count(self) -> int:
        """How many rows are marked."""
        return int(np.count_nonzero(self._bits))

    def _dense(self, numbers: IdArray) -> Ints:
        parts = (numbers >> np.uint64(PART_SHIFT)).view(np.int64)
        return self._starts[parts] + (numbers & _PLACE).view(np.int64)
