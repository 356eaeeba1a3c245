"""What is expected at each place of texts of one length, compared eight bytes at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kalla_core.sources.csv.quick.arrays import Flags
from kalla_core.sources.csv.quick.letters import Words

DIGIT, WHATEVER = -1, -2
HIGHEST = np.uint64(0x8080808080808080)
"""The highest bit of each byte."""
WORD = 8
_ZERO = ord("0")
# Added to what differs from what is expected, these set the highest bit of what is no digit, or of
# what differs at all.
_TO_DIGITS, _TO_LETTERS = 0x76, 0x7F


class Expected:
    """Letters, `DIGIT` or `WHATEVER` at each place from the beginning.

    Attributes:
        words: how many `compared` takes.
    """

    def __init__(self, letters: Sequence[int]) -> None:
        padded = [*letters, *[WHATEVER] * (-len(letters) % WORD)]
        pieces = [padded[start : start + WORD] for start in range(0, len(padded), WORD)]
        self.words = len(pieces)
        self._limits = [tuple(map(packed, _compared(piece))) for piece in pieces]

    def compared(self, words: Sequence[Words]) -> tuple[list[Words], Flags]:
        """Return the digits where digits are expected, zeros elsewhere, and what is as expected."""
        digits: list[Words] = []
        good = np.ones(len(words[0]), np.bool_)
        for some, (expected, above, kept) in zip(words, self._limits, strict=True):
            odd = (some ^ expected) & kept
            good &= are_expected(odd, above)
            digits.append(odd)
        return digits, good


def are_expected(odd: Words, above: np.uint64) -> Flags:
    """Return where no byte is too much: 10 or more with 0x76 in `above`, any with 0x7F."""
    found: Flags = ((odd + above) | odd) & HIGHEST == 0
    return found


def letters_and_limits(letters: Sequence[int]) -> tuple[np.uint64, np.uint64]:
    """Return what differs from eight letters if XORed, and what `are_expected` takes."""
    expected, above, _ = map(packed, _compared(letters))
    return expected, above


def packed(letters: Sequence[int]) -> np.uint64:
    """Return eight bytes as a word, the first as the lowest."""
    return np.uint64(int.from_bytes(bytes(letters), "little"))


def _compared(letters: Sequence[int]) -> tuple[list[int], list[int], list[int]]:
    expected = [_ZERO if one == DIGIT else max(one, 0) for one in letters]
    above = [_TO_DIGITS if one == DIGIT else _TO_LETTERS for one in letters]
    kept = [0 if one == WHATEVER else 0xFF for one in letters]
    return expected, above, kept
