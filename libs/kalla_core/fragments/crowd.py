"""Keys that many rows of both sides share, all of which are in several matches.

Mostly such a key is no key: `N/A`, 0, the empty text, or a word that some system writes where it
knows nothing. Its matches are as many as the rows of one side times those of the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

FEWEST_PAIRS_OF_A_PLACEHOLDER = 100
FEWEST_ROWS = 100
"""Of either side, for a key that is not known to be a placeholder."""
_LEAST_SHARE = 10
"""A crowd that is no placeholder makes at least the tenth part of all matches."""
KEPT = 3
"""Of either kind."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """A key and how many rows have it.

    Attributes:
        key: readable, all of its columns with their values.
        left, right: rows of the sides that have it and are in two matches or more.
        placeholder: it has a value that stands for no value.
    """

    key: str
    left: int
    right: int
    placeholder: bool

    @property
    def pairs(self) -> int:
        """The pairs that all of these rows make."""
        return self.left * self.right


def largest(crowds: Iterable[Crowd]) -> tuple[Crowd, ...]:
    """Return the few with the most pairs of either kind, the same whatever their order.

    Those of different rows may be put together, and those of some be left out before.
    """
    ordered = sorted(crowds, key=lambda crowd: (-crowd.pairs, crowd.key))
    kinds = ([one for one in ordered if one.placeholder is kind] for kind in (True, False))
    return tuple(one for kind in kinds for one in kind[:KEPT])


def telling(crowds: Iterable[Crowd], matches: int) -> tuple[Crowd, ...]:
    """Return those that the user should know of.

    A placeholder always. Any other key only if all of its rows can match each other, which other
    conditions may prevent, and make a good part of all matches.
    """
    return tuple(
        crowd
        for crowd in largest(crowds)
        if crowd.placeholder or crowd.pairs <= matches <= _LEAST_SHARE * crowd.pairs
    )
