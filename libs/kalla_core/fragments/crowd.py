"""Keys that many rows of both sides share, all of which are in several matches.

Mostly such a key is no key: `N/A`, 0, the empty text, or a word that some system writes where it
knows nothing. Its matches are as many as the rows of one side times those of the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from kalla_core.matching.sql.query import Side

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


@dataclass(frozen=True, slots=True)
class KeyCount:
    """A key of a side, and how many of its rows have it, as far as they were looked at.

    Attributes:
        key, placeholder: as of a `Crowd`.
        fewest: rows of either side from which on it is worth a word before the join.
    """

    key: str
    rows: int
    placeholder: bool
    fewest: int


def foreseen(counted: Mapping[Side, Iterable[KeyCount]], rows: int) -> tuple[Crowd, ...]:
    """Return the crowds to be expected of a join, before it begins.

    A placeholder as `largest` has it. Any other key only if its pairs are more than all rows.

    Args:
        counted: of each side; those of different rows are added up.
        rows: of both sides.
    """
    left, right = (_added_up(counted[side]) for side in Side)
    both = ((left[key], right[key]) for key in left if key in right)
    return largest(
        Crowd(one.key, one.rows, other.rows, one.placeholder)
        for one, other in both
        if min(one.rows, other.rows) >= (one.fewest if one.placeholder else FEWEST_ROWS)
        and one.rows * other.rows >= (FEWEST_PAIRS_OF_A_PLACEHOLDER if one.placeholder else rows)
    )


def _added_up(counted: Iterable[KeyCount]) -> dict[str, KeyCount]:
    sums: dict[str, KeyCount] = {}
    for one in counted:
        before = sums.get(one.key)
        sums[one.key] = one if before is None else replace(one, rows=one.rows + before.rows)
    return sums


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
