"""Texts of both sides that are alike, without being equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.functions.scores import token_set_ratio
from kalla_core.inference.agreement import some_of, strangers
from kalla_core.inference.joining import Pairs
from kalla_core.inference.overlaps import Texts
from kalla_core.inference.transforms import UPPER
from kalla_core.inference.values import text_sql

_SCORED = 400
_GAP = 0.25
_LETTERS = 4.0
_LOOKED_AT = 500


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


def alike(pairs: Pairs, left: Sequence[Texts], right: Sequence[Texts]) -> tuple[Likeness, ...]:
    """Return the texts that are alike in pairs, and not by chance; the best two."""
    some = some_of(pairs, _SCORED)
    apart = strangers(some)
    found = []
    wordy = [[one for one in side if _wordy(one)] for side in (left, right)]
    for one in wordy[0]:
        for other in wordy[1]:
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
    some = one.unique.slice(0, _LOOKED_AT)
    letters = pc.utf8_length(pc.replace_substring_regex(some, r"[^\pL]", ""))
    return (pc.mean(letters).as_py() or 0) >= _LETTERS
