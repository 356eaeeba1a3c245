"""The assignment of the largest total: which pairs every one of the best assignments has.

Candidates have whole numbers as scores. Those above zero compete: a set of them in which no row is
used too often is an assignment, and the best ones have the largest sum. A pair that all best ones
have is accepted. Pairs that only some of them have are a tie with those that stand in their place:
equal optima are never told apart by position.

What is certain at once is taken first: a pair that scores more than the best other pair of its left
row and of its right row together is in every best assignment, since whoever gives these two up for
it gains. Only what is left after that, and hangs together, is solved as a matrix; where that has
more than `MOST_ROWS` rows on a side it is for another rule to decide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kalla_core.assignment.components import Ints, pair_components
from kalla_core.assignment.optimum import in_best
from kalla_core.assignment.settle import ACCEPTED, TIED, Places

Bools = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int8]

MOST_ROWS = 256
"""Rows of a side that are assigned together at most."""

_ROUNDS = 1000


@dataclass(frozen=True, slots=True)
class Assigned:
    """What became of candidates, in their order.

    Attributes:
        codes: ACCEPTED, TIED or LEFT.
        ties: of each pair of a tie the least position among the pairs of that tie; else -1.
        beyond: those that hang together in more than `MOST_ROWS` rows of a side, undecided.
    """

    codes: Codes
    ties: Ints
    beyond: Bools


def assign(left: Ints, right: Ints, score: Ints, places: Places) -> Assigned:
    """Return which of some distinct pairs are in the best assignments.

    Args:
        left: a number per left row; any numbers.
        right: likewise.
        score: below 2 ** 62; pairs of 0 or less are in no assignment.
        places: of one side at least rows have one place.
    """
    count = len(left)
    made = Assigned(
        np.zeros(count, dtype=np.int8),
        np.full(count, -1, dtype=np.int64),
        np.zeros(count, dtype=np.bool_),
    )
    live = np.flatnonzero(score > 0)
    if places.one_left and places.one_right:
        _one_to_one(made, live, left, right, score)
    else:
        _best_of_rows(made, live, left if places.one_left else right, score)
    return made


def _best_of_rows(made: Assigned, live: Ints, rows: Ints, score: Ints) -> None:
    """Take for each row its best pair: as many as there are may have the same partner."""
    _, row = np.unique(rows[live], return_inverse=True)
    best = _most(row, score[live], len(live))
    top = live[score[live] == best[row]]
    of_row = row[score[live] == best[row]]
    first: Ints = np.full(len(live), len(score), dtype=np.int64)
    np.minimum.at(first, of_row, top)
    alone = np.bincount(of_row, minlength=len(live))[of_row] == 1
    made.codes[top] = np.where(alone, ACCEPTED, TIED)
    made.ties[top[~alone]] = first[of_row[~alone]]


def _one_to_one(made: Assigned, live: Ints, left: Ints, right: Ints, score: Ints) -> None:
    for _ in range(_ROUNDS):
        sure = live[_certain(left[live], right[live], score[live])]
        if not len(sure):
            break
        made.codes[sure] = ACCEPTED
        used = np.isin(left[live], left[sure]) | np.isin(right[live], right[sure])
        live = live[~used]
    if not len(live):
        return
    labels = pair_components(left[live], right[live])
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[order], prepend=-1))
    for group in np.split(live[order], starts[1:]):
        lefts, at_left = np.unique(left[group], return_inverse=True)
        rights, at_right = np.unique(right[group], return_inverse=True)
        if max(len(lefts), len(rights)) > MOST_ROWS:
            made.beyond[group] = True
            continue
        codes, ties = in_best(at_left, at_right, score[group])
        made.codes[group] = codes
        tied = ties >= 0
        made.ties[group[tied]] = group[ties[tied]]


def _certain(left: Ints, right: Ints, score: Ints) -> Bools:
    """Return which pairs score more than the best other ones of both their rows together."""
    others = []
    for rows in (left, right):
        _, row = np.unique(rows, return_inverse=True)
        best = _most(row, score, len(score))
        top = score == best[row]
        second = _most(row[~top], score[~top], len(score))
        shared = np.bincount(row[top], minlength=len(score)) > 1
        others.append(np.where(top & ~shared[row], second[row], best[row]))
    # Both are below 2 ** 62, so their sum is a number.
    certain: Bools = score > others[0] + others[1]
    return certain


def _most(rows: Ints, score: Ints, count: int) -> Ints:
    best: Ints = np.zeros(count, dtype=np.int64)
    np.maximum.at(best, rows, score)
    return best
