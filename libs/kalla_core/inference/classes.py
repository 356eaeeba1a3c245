"""Classes of pairs: how near amounts and days are, alone or in groups, and what is believed.

A class is what a rule takes or leaves as a whole. What is believed of it before anybody judged is
told by the kind of class; judged pairs outweigh that soon. A class of nearer amounts is never
believed less than one of farther amounts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from kalla_core.inference.joining import Ints, Pairs
from kalla_core.inference.model import Judgement
from kalla_core.inference.values import NONE, SCALE

LEVELS = 6
"""Amounts equal; within 5 cents; 1 % or 1; 5 % or 5; 20 %; any, or missing."""
_CENTS = SCALE * 5 // 100
BELIEVED = 0.5


class Kind(StrEnum):
    """How the rows of a class go together."""

    ALONE = "alone"
    SUM_RIGHT = "several right rows add up to a left one"
    SUM_LEFT = "several left rows add up to a right one"
    MANY_RIGHT = "several right rows for a left one"
    MANY_LEFT = "several left rows for a right one"
    MANY = "several rows on both sides"


@dataclass(frozen=True, slots=True, eq=False)
class Class:
    """Pairs that a rule takes or leaves together.

    Attributes:
        source: number of the rule that brings them together.
        level: how far amounts are apart, from 0; see `LEVELS`.
        outside: whether their days are outside the usual window.
        unlike: how little names are alike, from 0; always 0 where there are none.
        prior: share of the pairs that are thought to be right before anybody judged.
        yes: judged pairs of it.
        belief: what is thought of it with these.
    """

    source: int
    kind: Kind
    level: int
    outside: bool
    unlike: int
    pairs: Pairs
    prior: float
    yes: int = 0
    no: int = 0
    belief: float = 0.0

    @property
    def taken(self) -> bool:
        """Whether a rule should take it."""
        return self.belief > BELIEVED

    @property
    def doubt(self) -> float:
        """About how many of its pairs are decided wrongly, less the more were judged."""
        return min(self.belief, 1 - self.belief) * len(self.pairs) / (1 + self.yes + self.no)


def levels(left: Ints, right: Ints) -> Ints:
    """Return how far amounts are apart, as a level each."""
    there = (left != NONE) & (right != NONE)
    off = np.where(there, np.abs(np.where(there, left - right, 0)), NONE)
    size = np.where(there, np.abs(left), 0)
    found = np.full(len(left), LEVELS - 1)
    for level, near in (
        (4, off <= 0.2 * size),
        (3, (off <= 0.05 * size) | ((off <= 5 * SCALE) & (off <= 0.2 * size))),
        (2, (off <= 0.01 * size) | ((off <= SCALE) & (off <= 0.05 * size))),
        (1, off <= _CENTS),
        (0, off == 0),
    ):
        found = np.where(there & near, level, found)
    return found


def judged_in(pairs: Pairs, judged: Sequence[tuple[int, int, Judgement]]) -> tuple[int, int]:
    """Return how many of some pairs were judged yes, and no."""
    if not judged or not len(pairs):
        return 0, 0
    width = int(max(pairs.right.max(), *(right for _, right, _ in judged))) + 1
    ids = pairs.left * width + pairs.right
    counts = {Judgement.YES: 0, Judgement.NO: 0, Judgement.UNSURE: 0}
    for left, right, judgement in judged:
        counts[judgement] += int(np.isin(left * width + right, ids).any())
    return counts[Judgement.YES], counts[Judgement.NO]


def weighed(found: Sequence[Class], judged: Sequence[tuple[int, int, Judgement]]) -> list[Class]:
    """Return classes with what is believed of them, after all that was judged."""
    counted = []
    for one in found:
        yes, no = judged_in(one.pairs, judged)
        belief = (one.prior + yes) / (1 + yes + no)
        counted.append(replace(one, yes=yes, no=no, belief=belief))
    return [_beside(one, counted) for one in counted]


def _beside(one: Class, others: Sequence[Class]) -> Class:
    """Let what was judged of nearer and farther classes tell of one that nobody judged."""
    if one.yes or one.no:
        return one
    belief = one.belief
    for other in others:
        if (other.source, other.kind) != (one.source, one.kind) or not (other.yes or other.no):
            continue
        mine, theirs = ((each.level, each.outside, each.unlike) for each in (one, other))
        if all(m <= t for m, t in zip(mine, theirs, strict=True)):
            belief = max(belief, other.belief)
        elif all(m >= t for m, t in zip(mine, theirs, strict=True)):
            belief = min(belief, other.belief)
    return replace(one, belief=belief)


def split(
    source: int,
    kind: Kind,
    pairs: Pairs,
    cells: tuple[Ints, npt.NDArray[np.bool_], Ints],
    priors: dict[tuple[int, bool, int], float],
) -> list[Class]:
    """Return the classes of some pairs by level, window and likeness."""
    level, outside, unlike = cells
    found = []
    for key in sorted({*zip(level.tolist(), outside.tolist(), unlike.tolist(), strict=True)}):
        here = (level == key[0]) & (outside == key[1]) & (unlike == key[2])
        found.append(Class(source, kind, *key, pairs.where(here), priors[key]))
    return found
