"""What pairs have in common beside what brings them together: amounts, days, columns, names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.functions.scores import token_set_ratio
from kalla_core.inference.agreement import (
    AmountPair,
    DayPair,
    Equal,
    some_of,
    strangers,
)
from kalla_core.inference.anchors import Anchor
from kalla_core.inference.joining import Pairs
from kalla_core.inference.overlaps import Overlap, Texts
from kalla_core.inference.transforms import REFERENCE, UPPER
from kalla_core.inference.values import text_sql

_SCORED = 400
_GAP = 0.25
_BLOCK_SHARE = 0.93
_LETTERS = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """Texts of both sides that are alike in pairs.

    Attributes:
        usual: their likeness in nearly all pairs that belong together.
        by_chance: on average in pairs at random.
    """

    left: Texts
    right: Texts
    usual: float
    by_chance: float

    def scores(self, pairs: Pairs) -> npt.NDArray[np.float64]:
        """Return how alike they are in each pair, 0 where one is null."""
        found = []
        for one, rows in ((self.left, pairs.left), (self.right, pairs.right)):
            upper = UPPER.apply(one.unique)
            places = one.rows[rows]
            found.append(pc.take(upper, pa.array(places, mask=places < 0)))
        scores = pc.fill_null(token_set_ratio(*found), 0.0).to_numpy()
        return np.asarray(scores, dtype=np.float64)

    def sql(self, left: str, right: str) -> str:
        """Return the SQL of their likeness, never null."""
        texts = [
            f"upper({text_sql(one.column, one.arrow_type).replace('{}', alias)})"
            for one, alias in ((self.left, left), (self.right, right))
        ]
        return f"coalesce(token_set_ratio({', '.join(texts)}), 0)"

    @property
    def says(self) -> str:
        """Return it in words."""
        return f"`{self.left.column}` like `{self.right.column}`"


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
    return Traits(
        amounts, days, tuple(_once(blocks)), anchor.equal, _names(sample, left, right, texts)
    )


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


def _names(
    pairs: Pairs, left: Sequence[Texts], right: Sequence[Texts], taken: Sequence[Overlap]
) -> tuple[Likeness, ...]:
    some = some_of(pairs, _SCORED)
    apart = strangers(some)
    found = []
    for one in left:
        for other in right:
            if not (_wordy(one) and _wordy(other)):
                continue
            likeness = Likeness(one, other, 0, 0)
            mine, theirs = likeness.scores(some), likeness.scores(apart)
            if mine.mean() - theirs.mean() > _GAP:
                usual = float(np.quantile(mine, 0.05))
                found.append(
                    (mine.mean() - theirs.mean(), Likeness(one, other, usual, float(theirs.mean())))
                )
    found.sort(key=lambda each: -each[0])
    return tuple(one for _, one in found[:2])


def _wordy(one: Texts) -> bool:
    if one.number:
        return False
    letters = pc.utf8_length(pc.replace_substring_regex(one.unique, r"[^\pL]", ""))
    return (pc.mean(letters).as_py() or 0) >= _LETTERS


def key_likeness(anchor: Anchor) -> tuple[str, str] | None:
    """Return the SQL of the keys of both sides, where they are texts whose likeness can rank."""
    one = anchor.equalities[0].what
    if not isinstance(one, Overlap) or one.left.texts.number or one.right.texts.number:
        return None
    sides = [
        view.transform.of(text_sql(view.texts.column, view.texts.arrow_type))
        if view.transform.derived
        else REFERENCE.of(text_sql(view.texts.column, view.texts.arrow_type))
        for view in (one.left, one.right)
    ]
    return sides[0], sides[1]
