"""What matched should say of the pairs of one result row, by the definition, in plain Python."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.support.xxh64 import xxh64


@dataclass(frozen=True)
class Group:
    """Rows that hang together.

    Attributes:
        rows: of matched, left and right; None where a row is about the other side only.
    """

    left: frozenset[int]
    right: frozenset[int]
    rows: tuple[tuple[int | None, int | None], ...]

    @property
    def id(self) -> str:
        """The id where the keys are the numbers."""
        texts = [sorted(map(str, side)) for side in (self.left, self.right)]
        return f"{xxh64(json.dumps(texts, separators=(',', ':')).encode(), seed=42):016x}"


def groups_of(pairs: Iterable[tuple[int, int]]) -> Iterator[Group]:
    """Yield the groups of the pairs of one result row."""
    left_over = set(pairs)
    while left_over:
        together = {left_over.pop()}
        grown = True
        while grown:
            lefts, rights = ({pair[side] for pair in together} for side in (0, 1))
            near = {(a, b) for a, b in left_over if a in lefts or b in rights}
            grown = bool(near)
            together |= near
            left_over -= near
        yield _group(together)


def _group(pairs: set[tuple[int, int]]) -> Group:
    left, right = (frozenset(pair[side] for pair in pairs) for side in (0, 1))
    members = [*((one, None) for one in left), *((None, one) for one in right)]
    of_groups = min(len(left), len(right)) > 1 and len(pairs) == len(left) * len(right)
    rows = members if of_groups else list(pairs)
    return Group(left, right, tuple(rows))
