"""The bytes of texts that lie one behind the other, looked at eight at a time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kalla_core.sources.csv.quick.arrays import Flags

Words = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]

Columns = npt.NDArray[np.uint8]
"""One row for each place in texts of one length, of the bytes that stand there."""

AHEAD = 40
"""Bytes that may be asked for before the first text and behind the last."""

_ONE, _LAST_BIT = np.uint64(1), np.uint64(63)


class Letters:
    """Bytes of texts, of which there is at least one.

    Attributes:
        is_given: where there is a text; None where there are no nulls.
    """

    def __init__(self, texts: pa.StringArray) -> None:
        validity, offsets, data = texts.buffers()
        edges = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
        first, last = int(edges[0]), int(edges[-1])
        self._edges = edges
        none = np.empty(0, np.uint8)
        self._body = np.frombuffer(data, np.uint8)[first:last] if last > first else none
        has_nulls = validity is not None and texts.null_count
        self.is_given = texts.is_valid().to_numpy(zero_copy_only=False) if has_nulls else None

    @cached_property
    def bytes(self) -> npt.NDArray[np.uint8]:
        """All of them, with `AHEAD` zeros, or some more, at both ends."""
        size = len(self._body)
        padded = np.empty((size + 2 * AHEAD + 7) // 8 * 8, np.uint8)
        padded[:AHEAD] = padded[AHEAD + size :] = 0
        padded[AHEAD : AHEAD + size] = self._body
        return padded

    @cached_property
    def pitch(self) -> int | None:
        """How long each text is, where all are as long."""
        pitch, odd = divmod(int(self._edges[-1] - self._edges[0]), len(self._edges) - 1)
        return None if odd or (self._edges[1:] - self._edges[:-1] != pitch).any() else pitch

    @cached_property
    def starts(self) -> Places:
        """Where each text begins in `bytes`; a null is empty."""
        return self._places[:-1]

    @cached_property
    def ends(self) -> Places:
        """Behind the last byte of each text."""
        return self._places[1:]

    @cached_property
    def _places(self) -> Places:
        return np.add(self._edges, AHEAD - int(self._edges[0]), dtype=np.int64)

    def columns(self) -> Columns:
        """Return the bytes at each place of texts that are all of one length (`pitch`)."""
        return np.ascontiguousarray(self._body.reshape(len(self._edges) - 1, -1).T)

    def columns_after(self, starts: Places, size: int) -> Columns:
        """Return so many bytes from each place on, those at the places first."""
        words = self.words_after(starts, (size + 7) // 8)
        pieces = [one.view(np.uint8).reshape(-1, 8).T for one in words]
        return np.concatenate(pieces)[:size]

    def words_after(self, starts: Places, count: int) -> list[Words]:
        """Return so many times eight bytes from each place on, the first of them as the lowest."""
        aligned, cells = self.bytes.view("<u8"), starts >> 3
        skipped = ((starts & 7) << 3).view(np.uint64)  # bits of the first word before the place
        left = skipped ^ _LAST_BIT
        found = []
        below = aligned.take(cells)
        for number in range(1, count + 1):
            above = aligned[number:].take(cells)
            found.append((below >> skipped) | (above << _ONE << left))
            below = above
        return found

    def words_before(self, ends: Places, count: int) -> list[Words]:
        """Return so many times eight bytes before each place, those right before it first."""
        return self.words_after(ends - 8 * count, count)[::-1]

    def stand(self, letters: Sequence[int], places: Places) -> Flags:
        """Return at which places a few letters stand."""
        found: Flags = self.bytes.take(places) == letters[0]
        for number, letter in enumerate(letters[1:], 1):
            found &= self.bytes[number:].take(places) == letter
        return found
