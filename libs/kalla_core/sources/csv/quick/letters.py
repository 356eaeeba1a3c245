"""The bytes of texts that lie one behind the other, looked at eight at a time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kalla_core.sources.csv.quick.arrays import Flags

Words = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]

AHEAD = 40
"""Bytes that may be asked for before the first text and behind the last."""


class Letters:
    """Bytes of texts.

    Attributes:
        bytes: all of them, with `AHEAD` zeros at both ends.
        starts: where each text begins in `bytes`; `ends` is behind its last byte. A null is empty.
        is_given: where there is a text; None where there are no nulls.
    """

    def __init__(self, texts: pa.StringArray) -> None:
        validity, offsets, data = texts.buffers()
        edges = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
        first, last = (int(edges[0]), int(edges[-1])) if len(edges) else (0, 0)
        padded = np.zeros((last - first + 2 * AHEAD + 7) // 8 * 8, np.uint8)
        if last > first:
            padded[AHEAD : AHEAD + last - first] = np.frombuffer(data, np.uint8)[first:last]
        places = edges.astype(np.int64) + (AHEAD - first)
        self.bytes = padded
        self.starts, self.ends = places[:-1], places[1:]
        has_nulls = validity is not None and texts.null_count
        self.is_given = texts.is_valid().to_numpy(zero_copy_only=False) if has_nulls else None
        self._words: Words = padded.view("<u8")

    def words_after(self, starts: Places, count: int) -> list[Words]:
        """Return so many times eight bytes from each place on, the first of them as the lowest."""
        at = starts >> 3
        right = ((starts & 7) << 3).view(np.uint64)
        left = np.uint64(63) - right
        low = self._words.take(at)
        found = []
        for number in range(1, count + 1):
            high = self._words.take(at + number)
            found.append((low >> right) | ((high << left) << np.uint64(1)))
            low = high
        return found

    def words_before(self, ends: Places, count: int) -> list[Words]:
        """Return so many times eight bytes before each place, those right before it first."""
        return self.words_after(ends - 8 * count, count)[::-1]

    def begins(self, starts: Places, letters: bytes) -> Flags:
        """Return where at most eight letters begin."""
        shift = np.uint64(8 * (8 - len(letters)))
        (words,) = self.words_after(starts, 1)
        found: Flags = words << shift == _word(letters) << shift
        return found

    def ends_with(self, ends: Places, letters: bytes) -> Flags:
        """Return where at most eight letters end."""
        (words,) = self.words_before(ends, 1)
        found: Flags = words >> np.uint64(8 * (8 - len(letters))) == _word(letters)
        return found


def _word(letters: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(letters, "little"))
