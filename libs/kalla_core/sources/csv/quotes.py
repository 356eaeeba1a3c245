r"""Where quotes open and close: an exact automaton over the quotes of a file, vectorised.

Only quotes change the state, and what one does depends on the byte before it alone:

| byte before            | outside      | inside | just shut              |
|------------------------|--------------|--------|------------------------|
| a separator, the start | → inside     | → shut | → inside               |
| a quote                | (a literal)  | → shut | → inside (it was `""`) |
| anything else          | (a literal)  | → shut | → outside (a literal)  |

Where no quote is literal the state simply alternates, which is checked and then used; otherwise
the transitions, as functions on three states, are composed pairwise (a parallel prefix scan), so
that a file full of stray quotes still takes no Python step per quote.

Text right behind a quote that shut is how a stray quote shows: the field it opened has swallowed
rows by then. A strict scanner refuses it; others take it for a part of the field.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kalla_core.sources.csv.dialect import NEWLINE, RETURN, Signs

Bytes = NDArray[np.uint8]
Positions = NDArray[np.int64]
Flags = NDArray[np.bool_]

OUTSIDE: Final = 0
INSIDE: Final = 1
SHUT: Final = 2

_STATES = (OUTSIDE, INSIDE, SHUT)
_ROW = 64


def _code(transition: tuple[int, ...]) -> int:
    return transition[OUTSIDE] + 3 * transition[INSIDE] + 9 * transition[SHUT]


_RESULT = np.array([[code % 3, code // 3 % 3, code // 9] for code in range(27)], np.uint8)
"""The state after a transition, by its code and the state before."""

_COMPOSED = np.array(
    [[_code(tuple(second[s] for s in first)) for second in _RESULT] for first in _RESULT],
    np.uint8,
)
"""The code of doing a first transition, then a second."""

_IDENTITY = _code(_STATES)
_AFTER_SEPARATOR = _code((INSIDE, SHUT, INSIDE))
_AFTER_QUOTE = _code((OUTSIDE, SHUT, INSIDE))
_AFTER_OTHER = _code((OUTSIDE, SHUT, OUTSIDE))


@dataclass(frozen=True, slots=True)
class Marks:
    """The quotes of one block.

    Attributes:
        positions: index of each quote in the block, ascending.
        inside: whether what follows each quote is within quotes.
        inside_before: whether the block begins within quotes.
    """

    positions: Positions
    inside: Flags
    inside_before: bool

    def is_inside(self, indexes: Positions) -> Flags:
        """Return for each index, none of which is a quote, whether it lies within quotes."""
        order = np.searchsorted(self.positions, indexes)
        states = np.concatenate(([self.inside_before], self.inside))
        found: Flags = states[order]
        return found


class TextBehindQuoteError(Exception):
    """A quote shut and neither a separator nor another quote follows.

    Attributes:
        index: of the byte behind it, in the bytes that were taken last.
    """

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


class QuoteScanner:
    """Follows the quotes of a file from its first byte, block by block.

    Args:
        signs: of the file.
        strict: whether text right behind a quote that shut is an error.
    """

    def __init__(self, signs: Signs, *, strict: bool = False) -> None:
        self._quote = signs.quote
        self._strict = strict
        self._state = OUTSIDE
        self._last = NEWLINE
        self._transitions = np.full(256, _AFTER_OTHER, np.uint8)
        self._transitions[[signs.delimiter, NEWLINE, RETURN]] = _AFTER_SEPARATOR
        if signs.quote is not None:
            self._transitions[signs.quote] = _AFTER_QUOTE
        self._may_follow = self._transitions != _AFTER_OTHER

    @property
    def inside(self) -> bool:
        """Whether the bytes seen so far end within quotes."""
        return self._state == INSIDE

    def advance(self, block: Bytes) -> Marks:
        """Take the next bytes of the file, at least one, and return their quotes.

        Raises:
            TextBehindQuoteError: if the scanner is strict.
        """
        if self._quote is None:
            return Marks(np.empty(0, np.int64), np.empty(0, np.bool_), False)
        self._check_first(int(block[0]))
        positions = np.flatnonzero(block == self._quote)
        before = self.inside
        inside = self._follow(block, positions)
        if self._strict:
            self._check_shut(block, positions, inside, before)
        self._last = int(block[-1])
        return Marks(positions, inside, before)

    def skip(self, first: int, last: int) -> None:
        """Take bytes from `first` to `last`, without a quote among them.

        Raises:
            TextBehindQuoteError: as `advance` does.
        """
        self._check_first(first)
        self._last = last

    def _check_first(self, first: int) -> None:
        just_shut = self._state == SHUT and self._last == self._quote
        if self._strict and just_shut and not self._may_follow[first]:
            raise TextBehindQuoteError(0)

    def _check_shut(self, block: Bytes, positions: Positions, inside: Flags, before: bool) -> None:
        was_inside = np.concatenate((np.array([before]), inside[:-1])) if len(inside) else inside
        behind = positions[was_inside & ~inside] + 1
        if len(behind) and behind[-1] == len(block):
            behind = behind[:-1]
        stray = behind[~self._may_follow[block[behind]]]
        if len(stray):
            raise TextBehindQuoteError(int(stray[0]))

    def _follow(self, block: Bytes, positions: Positions) -> Flags:
        if len(positions) == 0:
            return np.empty(0, np.bool_)
        opening = positions[int(self.inside) :: 2]
        if (self._transitions_at(block, opening) != _AFTER_OTHER).all() and not (
            self._state == OUTSIDE and self._last == self._quote
        ):
            inside = np.zeros(len(positions), np.bool_)
            inside[int(self.inside) :: 2] = True
            self._state = INSIDE if inside[-1] else SHUT
            return inside
        states = _prefix(self._transitions_at(block, positions), self._state)
        self._state = int(states[-1])
        within: Flags = states == INSIDE
        return within

    def _transitions_at(self, block: Bytes, positions: Positions) -> Bytes:
        before = block[positions - 1]
        if len(positions) and positions[0] == 0:
            before[0] = self._last
        return self._transitions[before]


def _prefix(transitions: Bytes, state: int) -> Bytes:
    """Return the state after each of a sequence of transitions, beginning in `state`.

    Composes along rows of 64 at a time, then along the rows' totals, so each transition is
    looked up three times whatever the length.
    """
    if len(transitions) <= _ROW:
        return _prefix_plainly(transitions, state)
    rows = -(-len(transitions) // _ROW)
    padded = np.full(rows * _ROW, _IDENTITY, np.uint8)
    padded[: len(transitions)] = transitions
    table = np.ascontiguousarray(padded.reshape(rows, _ROW).T)
    for column in range(1, _ROW):
        table[column] = _COMPOSED[table[column - 1], table[column]]
    ends = _prefix(table[-1], state)
    starts = np.concatenate((np.array([state], np.uint8), ends[:-1]))
    states: Bytes = _RESULT[table, starts[np.newaxis, :]]
    return states.T.reshape(-1)[: len(transitions)]


def _prefix_plainly(transitions: Bytes, state: int) -> Bytes:
    states = np.empty(len(transitions), np.uint8)
    for index, transition in enumerate(transitions):
        state = int(_RESULT[transition, state])
        states[index] = state
    return states
