"""Which rows of a whole source are in a pair, or in several, when many joins have a say in it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from kalla_core.engine.rows import Bools, IdArray, Ints, Rows
from kalla_core.engine.spool.store import PART_SHIFT
from kalla_core.engine.spool.uses import Uses

_PLACE = np.uint64((1 << PART_SHIFT) - 1)


class GlobalMarks:
    """Two flags per row of a source, whether it is in a pair and in another one.

    Threads may mark rows at the same time.

    Args:
        part_rows: rows of each part, by its index.
    """

    def __init__(self, part_rows: Sequence[int]) -> None:
        self._starts = part_starts(part_rows)
        self._uses = Uses(int(self._starts[-1]))
        self._lock = threading.Lock()

    def set(self, numbers: IdArray) -> None:
        """Mark the rows of some pairs, given their numbers in the whole source."""
        at = self._dense(numbers)
        with self._lock:  # who sees a row for the second time must know of the first
            self._uses.add(at)

    def set_places(self, places: Ints) -> None:
        """Mark rows that are in a pair, given where they are when all are counted through."""
        with self._lock:
            self._uses.add(places)

    def of(self, rows: Rows) -> Bools:
        """Return which of these rows, which carry their numbers, are in a pair."""
        return self._uses.matched[self._at(rows)]

    def again(self, rows: Rows) -> Bools:
        """Return which of these rows are in more than one."""
        return self._uses.again[self._at(rows)]

    def packed(self) -> Iterator[tuple[int, bytes, bytes]]:
        """Yield the flags of each part that has any set: its index, and both, eight a byte."""
        for part, (start, end) in enumerate(pairwise(self._starts)):
            matched, again = (bits[start:end] for bits in (self._uses.matched, self._uses.again))
            if matched.any():
                yield part, np.packbits(matched).tobytes(), np.packbits(again).tobytes()

    def merge(self, part: int, packed: bytes, again: bytes) -> None:
        """Add what `packed` gave elsewhere of other pairs, for the same parts."""
        span = slice(self._starts[part], self._starts[part + 1])
        known, more = self._uses.matched[span], self._uses.again[span]
        fresh = _unpacked(packed, len(known))
        more |= (known & fresh) | _unpacked(again, len(known))
        known |= fresh

    @property
    def count(self) -> int:
        """How many rows are in a pair."""
        return int(np.count_nonzero(self._uses.matched))

    def _at(self, rows: Rows) -> Ints:
        assert rows.ids is not None  # noqa: S101 - spooled with their numbers
        return self._dense(rows.ids)

    def _dense(self, numbers: IdArray) -> Ints:
        return dense(self._starts, numbers)


def part_starts(part_rows: Sequence[int]) -> Ints:
    """Return where the rows of each part begin when all are counted through, and where they end."""
    return np.concatenate([[0], np.cumsum(part_rows, dtype=np.int64)]).astype(np.int64)


def dense(starts: Ints, numbers: IdArray) -> Ints:
    """Return the places of rows, counted through, by their numbers in the whole source."""
    parts = (numbers >> np.uint64(PART_SHIFT)).view(np.int64)
    places: Ints = starts[parts] + (numbers & _PLACE).view(np.int64)
    return places


def _unpacked(flags: bytes, count: int) -> Bools:
    return np.unpackbits(np.frombuffer(flags, np.uint8), count=count).view(np.bool_)
