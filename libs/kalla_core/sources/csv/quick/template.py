"""A way in which many numbers of a column are written: how many decimals, in groups or not.

A template lies at the end of a text: `…D.DDD.DDD,DD`. Its bytes are compared eight at a time with
those of the text; those before the text's beginning are taken for zeros and signs as they should
be. Digits are then added up eight at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from kalla_core.sources.csv.quick.arrays import Flags, Numbers
from kalla_core.sources.csv.quick.expected import (
    DIGIT,
    WORD,
    are_expected,
    letters_and_limits,
)
from kalla_core.sources.csv.quick.letters import Letters, Places, Words

MOST_DIGITS = 18
"""As many as 64 bits hold whatever they are."""
_WINDOWS = 4
_LONGEST = WORD * _WINDOWS


@dataclass(frozen=True)
class Template:
    """Numbers with so many decimals, the digits before them in groups of three, or in one.

    Attributes:
        group: what stands between groups; empty for none.
    """

    point: bytes
    scale: int
    group: bytes = b""
    _letters: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Lay out the template's letters, the last first."""
        letters: list[int] = [DIGIT] * self.scale
        letters += reversed(self.point) if self.scale else b""
        while len(letters) < _LONGEST:
            letters += [DIGIT] * 3
            letters += reversed(self.group)
        object.__setattr__(self, "_letters", tuple(letters[:_LONGEST]))

    def read(self, letters: Letters, starts: Places, ends: Places) -> tuple[Numbers, Flags]:
        """Return the digits between the places as one number each, and where they are as said."""
        lengths = ends - starts
        good = self._allowed.take(lengths, mode="clip") & (lengths > 0)
        longest = int(lengths.max(initial=0, where=good))
        total = np.zeros(len(starts), np.int64)
        power = 1
        count = (longest + WORD - 1) // WORD
        for number, words in enumerate(letters.words_before(ends, count) if count else ()):
            window = self._windows[number]
            found, fits = window.read(words, lengths - WORD * number)
            good &= fits
            total += found.view(np.int64) * power
            power *= 10**window.digits
        return total, good

    @cached_property
    def _allowed(self) -> Flags:
        """Whether a text of a length may be a number: not without digits, not with too many."""
        allowed = np.zeros(_LONGEST + 2, np.bool_)
        least = self.scale + len(self.point) + 1 if self.scale else 1
        for length in range(least, _LONGEST + 1):
            digits = sum(one == DIGIT for one in self._letters[:length])
            allowed[length] = digits <= MOST_DIGITS and self._letters[length - 1] == DIGIT
        return allowed

    @cached_property
    def _windows(self) -> tuple[_Window, ...]:
        starts = range(0, _LONGEST, WORD)
        return tuple(_Window(self._letters[start : start + WORD][::-1]) for start in starts)


class _Window:
    """Eight letters of a template, in the order of the text."""

    def __init__(self, letters: tuple[int, ...]) -> None:
        self._expected, self._above = letters_and_limits(letters)
        self.digits = letters.count(DIGIT)
        self._moves = list(_moves(letters))
        self._kept = np.array(
            [(2**64 - 1) ^ ((1 << 8 * (WORD - kept)) - 1) for kept in range(WORD + 1)],
            np.uint64,
        )

    def read(self, words: Words, lengths: Places) -> tuple[Words, Flags]:
        """Return the number that digits make, where only the last `lengths` bytes count."""
        odd = (words ^ self._expected) & self._kept.take(lengths, mode="clip")
        good = are_expected(odd, self._above)
        for below, above, by in self._moves:
            odd = ((odd & below) << by) | (odd & above)
        return _added(odd), good


_STEPS = (
    (np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(10 * 2**8 + 1), np.uint64(8)),
    (np.uint64(0x00FF00FF00FF00FF), np.uint64(100 * 2**16 + 1), np.uint64(16)),
    (np.uint64(0x0000FFFF0000FFFF), np.uint64(10_000 * 2**32 + 1), np.uint64(32)),
)


def _added(digits: Words) -> Words:
    """Return eight bytes, the lowest first, as the number whose digits they are."""
    for mask, factor, shift in _STEPS:
        digits = ((digits & mask) * factor) >> shift
    return digits


def _moves(letters: tuple[int, ...]) -> list[tuple[np.uint64, np.uint64, np.uint64]]:
    """Return what closes the gaps at signs: bytes below one move up, the first sign first."""
    moves = []
    for at, letter in enumerate(letters):
        if letter != DIGIT:
            below = (1 << 8 * at) - 1
            above = (2**64 - 1) ^ ((1 << 8 * (at + 1)) - 1)
            moves.append((np.uint64(below), np.uint64(above), np.uint64(8)))
    return moves
