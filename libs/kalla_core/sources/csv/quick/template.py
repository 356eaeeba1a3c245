"""A way in which many numbers of a column are written: how many decimals, in groups or not.

A template lies at the end of a text: `…D.DDD.DDD,DD`. Its bytes are compared eight at a time with
those of the text; those before the text's beginning are taken for zeros and signs as they should
be. Digits are then added up eight at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
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
        good = self._allowed.take(lengths, mode="clip")
        longest = min(max(int(lengths.max(initial=1)), 1), self._longest)
        count = (longest + WORD - 1) // WORD
        first, *others = letters.words_before(ends, count)
        total, fits = self._windows[0].read(first, lengths)
        good &= fits
        digits = self._windows[0].digits
        for number, words in enumerate(others, 1):
            window = self._windows[number]
            found, fits = window.read(words, lengths - WORD * number)
            good &= fits
            total += found * np.uint64(10**digits // window.unit)
            digits += window.digits
        return total.view(np.int64), good

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
    def _longest(self) -> int:
        return max(np.flatnonzero(self._allowed).tolist(), default=1)

    @cached_property
    def _windows(self) -> tuple[_Window, ...]:
        starts = range(0, _LONGEST, WORD)
        return tuple(_Window(self._letters[start : start + WORD][::-1]) for start in starts)


class _Window:
    """Eight letters of a template, in the order of the text.

    Digits are added up two at a time, with the sign between them for a zero if there is one; what
    is found that way is as many times too large as `unit` says.
    """

    def __init__(self, letters: tuple[int, ...]) -> None:
        self._expected, self._above = letters_and_limits(letters)
        self.digits = letters.count(DIGIT)
        self.unit, self._factors = _factors(letters)
        self._kept = np.array(
            [(2**64 - 1) ^ ((1 << 8 * (WORD - kept)) - 1) for kept in range(WORD + 1)],
            np.uint64,
        )

    def read(self, words: Words, lengths: Places) -> tuple[Words, Flags]:
        """Return the number that digits make, where only the last `lengths` bytes count."""
        odd = (words ^ self._expected) & self._kept.take(lengths, mode="clip")
        return self._added(odd), are_expected(odd, self._above)

    def _added(self, digits: Words) -> Words:
        """Return eight bytes, the lowest first, as the number whose digits they are."""
        lower, higher, halves = self._factors
        pairs = ((digits * _TENS) >> _BYTE) & _PAIRS
        if lower == higher:
            fours = ((pairs * lower) >> _TWO_BYTES) & _FOURS
            return (fours * halves) >> _FOUR_BYTES
        below = ((pairs & _LOWER) * lower) >> _TWO_BYTES
        above = ((pairs >> _FOUR_BYTES) * higher) >> _TWO_BYTES
        return (below & _LOW_FOUR) * (halves >> _FOUR_BYTES) + (above & _LOW_FOUR)


_BYTE, _TWO_BYTES, _FOUR_BYTES = (np.uint64(8 * size) for size in (1, 2, 4))
_TENS = np.uint64(10 * 2**8 + 1)
_PAIRS = np.uint64(0x00FF00FF00FF00FF)
_FOURS = np.uint64(0x0000FFFF0000FFFF)
_LOWER, _LOW_FOUR = np.uint64(0xFFFFFFFF), np.uint64(0xFFFF)


def _factors(letters: tuple[int, ...]) -> tuple[int, tuple[np.uint64, np.uint64, np.uint64]]:
    """Return how many times too much is added up, and what makes one number of four, of two.

    A pair of a digit and a sign is ten times the digit, so it counts a tenth of what the digit
    does; if that is the last, everything counts ten times as much. A pair of signs counts nothing,
    so whatever suits the others.
    """
    weights = [_tenths(letters, at) for at in range(0, WORD, 2)]
    least = next((one for one in reversed(weights) if one is not None), 10)
    first, second, third, last = weights
    higher = 1 if third is None else third // (last or least)
    lower = higher if first is None else first // (second or first)
    halves = (second or first or least) // least
    return 10 // least, (
        np.uint64(lower * 2**16 + 1),
        np.uint64(higher * 2**16 + 1),
        np.uint64(halves * 2**32 + 1),
    )


def _tenths(letters: Sequence[int], at: int) -> int | None:
    """Return how many tenths of what the last digit counts a pair does; None for signs."""
    one, other = (letter == DIGIT for letter in letters[at : at + 2])
    behind = int(10 ** letters[at + 2 :].count(DIGIT))
    if other:
        return 10 * behind
    return behind if one else None
