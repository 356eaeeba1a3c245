"""What pairs have in common beside what brings them together: amounts, days, columns, names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kalla_core.inference.agreement import (
    AmountPair,
    DayPair,
    Equal,
)
from kalla_core.inference.anchors import Anchor
from kalla_core.inference.likeness import Likeness, alike
from kalla_core.inference.overlaps import Overlap, Texts

_SCORED = 400
_GAP = 0.25
_BLOCK_SHARE = 0.93
_LETTERS = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class Traits:
    """What is common to pairs that belong together.

    Attributes:
        blocks: columns equal in nearly all of them, and not by chance.
        equal: all columns that are equal more often than by chance.
        names: texts that are alike, best first.
    """

    amounts: AmountPair | None
    days: DayPair | None
    blocks: tuple[Overlap, ...] = ()
    equal: tuple[Equal, ...] = ()
    names: tuple[Likeness, ...] = field(default=())


def traits(anchor: Anchor, left: Sequence[Texts], right: Sequence[Texts]) -> Traits:
    """Return what is common to the pairs that an anchor brings out alone."""
    sample = anchor.alone if len(anchor.alone) >= 10 else anchor.pairs
    amounts, days = anchor.amounts, anchor.days
    texts: list[Overlap] = []
    for one in anchor.equalities:
        match one.what:
            case AmountPair():
                amounts = one.what
            case DayPair():
                days = one.what
            case Overlap():
                texts.append(one.what)
    blocks = [
        one.overlap for one in anchor.equal
        if one.share >= _BLOCK_SHARE and one.by_chance < 0.95 and one.bits > 0.05
    ]  # fmt: skip
    if any(isinstance(one.what, AmountPair) for one in anchor.equalities):
        blocks = [*texts, *blocks]
    return Traits(amounts, days, tuple(_once(blocks)), anchor.equal, alike(sample, left, right))


def _once(blocks: Sequence[Overlap]) -> list[Overlap]:
    """Return blocks, each column once."""
    left: set[str] = set()
    right: set[str] = set()
    found = []
    for one in blocks:
        first, second = one.left.texts.column, one.right.texts.column
        if first not in left and second not in right:
            found.append(one)
            left.add(first)
            right.add(second)
    return found
