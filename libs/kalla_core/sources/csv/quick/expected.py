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


def are_expected(odd: Words, above: np.uint64) -> Flags:
    """Return where no byte is too much: 10 or more with 0x76 in `above`, any with 0x7F."""
    marks = odd + above
    marks |= odd
    marks &= HIGHEST
    found: Flags = marks == 0
    return found


def letters_and_limits(letters: Sequence[int]) -> tuple[np.uint64, np.uint64]:
    """Return what differs from eight letters if XORed, and what `are_expected` takes."""
    expected = [_ZERO if one == DIGIT else one for one in letters]
    above = [_TO_DIGITS if one == DIGIT else _TO_LETTERS for one in letters]
    return _packed(expected), _packed(above)


def _packed(letters: Sequence[int]) -> np.uint64:
    """Return eight bytes as a word, the first as the lowest."""
    return np.uint64(int.from_bytes(bytes(letters), "little"))
