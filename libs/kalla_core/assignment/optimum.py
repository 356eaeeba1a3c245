"""The best assignments of one small matrix of scores, exactly: what all, some or none of them have.

The matrix is squared with zeros, which stand for no partner, and solved by shortest augmenting
paths with potentials (Jonker and Volgenant, "A shortest augmenting path algorithm for dense and
sparse linear assignment problems", 1987), over whole numbers only. With the potentials of an
optimum, the perfect matchings of the tight entries are all optima there are. So another one differs
from the one found by cycles that go over its pairs and other tight entries in turn, and what
strongly connected rows have between them is what optima differ by.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from kalla_core.assignment.components import Ints
from kalla_core.assignment.settle import ACCEPTED, TIED, Codes

Matrix = npt.NDArray[Any]
"""Whole numbers: 64 bits where no sum of them is wider, else Python's."""

_ROOM = 1 << 62


def in_best(left: Ints, right: Ints, score: Ints) -> tuple[Codes, Ints]:
    """Return of each pair whether all best assignments have it, some or none, and the tie.

    Args:
        left: rows, numbered from 0 without gaps.
        right: likewise.
        score: above 0.

    Returns:
        ACCEPTED, TIED or LEFT; and of pairs that are TIED the least position of their tie, else -1.
    """
    size = int(max(left.max(), right.max())) + 1
    wide = int(score.max()) >= _ROOM // (4 * size)
    cost: Matrix = np.zeros((size, size), dtype=object if wide else np.int64)
    cost[left, right] = -(score.astype(object) if wide else score)
    column, tight = _optimum(cost)
    group = _strongly_connected(column, tight)
    owner = np.empty(size, dtype=np.int64)
    owner[column] = np.arange(size)
    own = column[left] == right
    alone = np.bincount(group, minlength=size)[group] == 1
    within = group[left] == group[owner[right]]
    codes: Codes = np.zeros(len(left), dtype=np.int8)
    codes[own & alone[left]] = ACCEPTED
    tied = ~alone[left] & within & (own | tight[left, right])
    codes[tied] = TIED
    first: Ints = np.full(size, len(left), dtype=np.int64)
    np.minimum.at(first, group[left[tied]], np.flatnonzero(tied))
    return codes, np.where(tied, first[group[left]], -1)


def _optimum(cost: Matrix) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Return the column of each row in an assignment of least cost, and which entries are tight."""
    size = len(cost)
    of_rows: Matrix = np.zeros(size, dtype=cost.dtype)
    of_columns: Matrix = np.zeros(size + 1, dtype=cost.dtype)
    row_of: Ints = np.full(size + 1, -1, dtype=np.int64)
    for row in range(size):
        _augment(cost, row, of_rows, of_columns, row_of)
    column: Ints = np.empty(size, dtype=np.int64)
    column[row_of[:size]] = np.arange(size)
    tight = cost - of_rows[:, None] - of_columns[None, :size] == 0
    return column, tight.astype(np.bool_)


def _augment(cost: Matrix, row: int, of_rows: Matrix, of_columns: Matrix, row_of: Ints) -> None:
    """Give a row a column along a shortest path; rows before it keep one, perhaps another."""
    size = len(cost)
    row_of[size] = row  # a column beside the matrix, from which the path sets out
    at, before = size, np.full(size, size, dtype=np.int64)
    reached = np.zeros(size + 1, dtype=np.bool_)
    least: Matrix = np.full(size, 1 << 80 if cost.dtype == object else _ROOM, dtype=cost.dtype)
    while row_of[at] >= 0:
        reached[at] = True
        here = row_of[at]
        slack = cost[here] - of_rows[here] - of_columns[:size]
        nearer = ~reached[:size] & (slack < least).astype(np.bool_)
        least[nearer] = slack[nearer]
        before[nearer] = at
        free = np.flatnonzero(~reached[:size])
        following = int(free[np.argmin(least[free])])
        step = least[following]
        of_rows[row_of[reached]] += step
        of_columns[reached] -= step
        least[free] -= step
        at = following
    while at != size:
        row_of[at] = row_of[before[at]]
        at = int(before[at])


def _strongly_connected(column: Ints, tight: npt.NDArray[np.bool_]) -> Ints:
    """Return for each row the least one that it is on a cycle with; itself if on none.

    A row leads to those whose columns are tight for it beside its own.
    """
    size = len(column)
    reach = tight[:, column] | np.eye(size, dtype=np.bool_)
    length = 1
    while length < size:
        wider = reach.astype(np.float32)
        reach = (wider @ wider) > 0
        length *= 2
    least: Ints = np.argmax(reach & reach.T, axis=1).astype(np.int64)
    return least
