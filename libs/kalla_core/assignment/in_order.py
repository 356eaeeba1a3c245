"""Candidates gone through one by one, for those that each wait for the next."""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby

import numpy as np
import numpy.typing as npt

from kalla_core.assignment.components import Ints

Bools = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int8]

_ACCEPTED, _TIED = 1, 2


def first_in_order(left: Ints | None, right: Ints | None, order: Ints) -> Bools:
    """Return which pairs are taken when they are gone through in their order.

    Args:
        left: rows that have one place each; None where they have any number.
        right: likewise; no row has the number of one of the other side.
        order: distinct.
    """
    kept: Bools = np.zeros(len(order), dtype=np.bool_)
    sides = [one.tolist() for one in (left, right) if one is not None]
    taken: set[int] = set()
    for place in np.argsort(order).tolist():
        rows = [side[place] for side in sides]
        if taken.isdisjoint(rows):
            taken.update(rows)
            kept[place] = True
    return kept


def one_rank_at_a_time(
    rows: tuple[Ints, Ints],
    ranks: tuple[Ints, Ints, Ints],
    one: tuple[bool, bool],
    out: Ints,
    *,
    hold: bool,
) -> tuple[Codes, Ints]:
    """Return codes and ties of candidates by the definition that `settle` gives.

    Args:
        rows: of the left and of the right, which share no number.
        ranks: rank, reach and order of each candidate.
        one: whether rows of the left, and of the right, have one place.
        out: the last rank at which a row takes part; changed.
    """
    walk = _Walk(rows, ranks, one, out, hold)
    for _, group in groupby(np.argsort(ranks[0], kind="stable").tolist(), walk.rank.__getitem__):
        walk.step(list(group))
    return np.array(walk.codes, dtype=np.int8), np.array(walk.ties, dtype=np.int64)


class _Walk:
    def __init__(
        self,
        rows: tuple[Ints, Ints],
        ranks: tuple[Ints, Ints, Ints],
        one: tuple[bool, bool],
        out: Ints,
        hold: bool,
    ) -> None:
        self.rank, self.reach, self.order = (column.tolist() for column in ranks)
        self.rows = list(zip(rows[0].tolist(), rows[1].tolist(), strict=True))
        self.one, self.out, self.hold = one, out, hold
        self.codes = [0] * len(self.rows)
        self.ties = [-1] * len(self.rows)
        self.of_row: dict[int, list[int]] = defaultdict(list)
        for place, pair in enumerate(self.rows):
            for row in self._contested(pair):
                self.of_row[row].append(place)

    def _contested(self, pair: tuple[int, int]) -> list[int]:
        return [row for row, alone in zip(pair, self.one, strict=True) if alone]

    def _live(self, place: int, rank: int) -> bool:
        """Whether a candidate takes part in what is decided at a rank."""
        return self.codes[place] == 0 and all(rank <= self.out[row] for row in self.rows[place])

    def step(self, group: list[int]) -> None:
        """Decide the candidates of one rank; those of better ranks are decided."""
        rank = self.rank[group[0]]
        live = [place for place in group if self._live(place, rank)]
        seen: set[int] = set()
        ties = []
        for place in live:
            if place not in seen:
                tie = self._tie(place, seen)
                if len(tie) > 1:
                    ties.append(sorted(tie))
                else:
                    self.codes[place] = _ACCEPTED
        for place in live:
            if self.codes[place] == _ACCEPTED:
                self._fill(place)
        for competing in ties:
            self._decide(competing, rank)

    def _tie(self, first: int, seen: set[int]) -> set[int]:
        """Return all that hangs together with a candidate by competition at its rank."""
        rank, tie, waiting = self.rank[first], {first}, [first]
        seen.add(first)
        rows_seen: set[int] = set()
        while waiting:
            place = waiting.pop()
            for row in self._contested(self.rows[place]):
                mates = self._at_rank(row, rank)
                if row in rows_seen or not mates:
                    continue
                rows_seen.add(row)
                near = max(self.reach[mate] for mate in mates)
                for other in self.of_row[row]:
                    within = rank <= self.rank[other] <= near
                    if within and other not in tie and self._live(other, rank):
                        tie.add(other)
                        waiting.append(other)
                        seen.add(other)
        return tie

    def _at_rank(self, row: int, rank: int) -> list[int]:
        return [p for p in self.of_row[row] if self.rank[p] == rank and self._live(p, rank)]

    def _decide(self, tie: list[int], rank: int) -> None:
        if self.hold:
            for place in tie:
                self.codes[place] = _TIED
                self.ties[place] = tie[0]
                for row in self.rows[place]:
                    self.out[row] = min(self.out[row], rank)
            return
        for place in sorted((p for p in tie if self.rank[p] == rank), key=self.order.__getitem__):
            self.ties[place] = tie[0]
            if self._live(place, rank):
                self.codes[place] = _ACCEPTED
                self._fill(place)

    def _fill(self, place: int) -> None:
        for row in self._contested(self.rows[place]):
            self.out[row] = -1
