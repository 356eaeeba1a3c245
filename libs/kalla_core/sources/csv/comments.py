"""Lines that are comments: hidden from the scanner, cut out before rows are parsed.

A line is one if it begins, outside quotes, with the comment sign. Quotes in a comment mean nothing,
so wherever there are some the lines have to be looked at one by one; otherwise none is.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kalla_core.sources.csv.dialect import Dialect, Signs, terminator_of
from kalla_core.sources.csv.quotes import QuoteScanner

Bytes = npt.NDArray[np.uint8]
_NOTHING = ord("x")


class Veil:
    """Hides from whoever looks for quotes and line ends what only looks like them.

    Goes through a file from its first byte, block by block: what an escape sign takes the meaning
    from, and what comments hold.
    """

    def __init__(self, signs: Signs) -> None:
        self._signs = signs
        self._scanner = QuoteScanner(signs)
        self._line_begins = True
        self._in_comment = False
        self._escaped = False

    def over(self, block: Bytes) -> Bytes:
        """Return the next bytes of the file with what is hidden replaced; as many as there were."""
        veiled = block.copy()
        if self._signs.escape is not None:
            self._hide_escaped(veiled)
        if self._signs.comment is not None:
            for start, end in self._comments(veiled):
                veiled[start:end] = _NOTHING
        return veiled

    def _hide_escaped(self, block: Bytes) -> None:
        """Hide each escape sign that means something and the byte behind it."""
        signs = block == self._signs.escape
        if not signs.any() and not self._escaped:
            return
        index = np.arange(len(block))
        run_start = np.maximum.accumulate(np.where(signs, -1, index))
        before = index - run_start  # how many signs up to here, itself included
        from_before = (run_start < 0) & self._escaped
        active = signs & ((before + from_before) % 2 == 1)
        hidden = active.copy()
        hidden[1:] |= active[:-1]
        hidden[0] |= self._escaped
        self._escaped = bool(active[-1])
        block[hidden] = _NOTHING

    def _comments(self, block: Bytes) -> Iterator[tuple[int, int]]:
        """Yield the comments of a block without their ends, `[start, end)`."""
        at = 0
        if self._in_comment:
            at = self._end_of_line(block, 0)
            yield 0, at
            if at == len(block):
                return
        self._in_comment = False
        first = self._line_begins and at == 0
        self._line_begins = bool(block[-1] == self._signs.terminator)
        for start in self._candidates(block, first=first):
            if start < at:
                continue
            if start > at:
                self._scanner.advance(block[at:start])
            at = start
            if self._scanner.inside:
                continue
            at = self._end_of_line(block, start)
            yield start, at
            if at == len(block):
                self._in_comment = True
                return
        if at < len(block):
            self._scanner.advance(block[at:])

    def _candidates(self, block: Bytes, *, first: bool) -> list[int]:
        begins = np.flatnonzero(block[:-1] == self._signs.terminator) + 1
        begins = np.concatenate(([0], begins)) if first else begins
        found: list[int] = begins[block[begins] == self._signs.comment].tolist()
        return found

    def _end_of_line(self, block: Bytes, start: int) -> int:
        ends = np.flatnonzero(block[start:] == self._signs.terminator)
        return start + int(ends[0]) if len(ends) else len(block)

    def comments(self, block: Bytes) -> list[tuple[int, int]]:
        """Return the comments among whole records, without their ends."""
        veiled = block.copy()
        if self._signs.escape is not None:
            self._hide_escaped(veiled)
        return list(self._comments(veiled))


def without_comments(block: pa.Buffer, dialect: Dialect) -> bytes:
    """Return whole records without the lines between them that are comments."""
    data: bytes = block.to_pybytes()
    if not data or dialect.comment is None or dialect.comment.encode() not in data:
        return data
    found = Veil(dialect.signs(terminator_of(data))).comments(np.frombuffer(data, np.uint8))
    edges = [0, *(edge for comment in found for edge in comment), len(data)]
    return b"".join(data[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True))
