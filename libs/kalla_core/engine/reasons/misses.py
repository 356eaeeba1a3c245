"""Pairs that fulfil the key of the match SQL and nothing more, as its one join finds them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kalla_core.engine.keys.keyed import KeyedSides
from kalla_core.engine.reasons.candidates import (
    Choice,
    Coded,
    choose_candidates,
    compared,
    first_by_primary_key,
    measured,
)
from kalla_core.engine.reasons.closest import NONE, comparable, nearest_of_pairs
from kalla_core.engine.reasons.scores import scored
from kalla_core.engine.rows import Bools, Ints, Rows
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.planned import Planned, Rule

_Places = npt.NDArray[np.signedinteger[Any]]

_HALF_BYTES = 4
"""Of a number that holds two places."""

FEW_ROWS = 1 << 16
"""Of both sides; for so few, looking for their keys again costs less than another plan."""


class Misses:
    """Remembers them as long as they are not too many: a key that all rows have makes n x m.

    Attributes:
        most: how many are remembered.
        known: a join has found all there are, and they are at hand.
        keys: of all rows of a side, as `__k0`, `__k1`, ..., where the join computed them.
    """

    def __init__(self, left: Rows, right: Rows) -> None:
        self.most = left.count + right.count
        self.known = False
        self.keys: dict[Side, pa.Table] = {}
        few = max(left.count, right.count) < 1 << 31
        self._type: np.dtype[np.signedinteger[Any]] = np.dtype(np.int32 if few else np.int64)
        self._found: list[tuple[_Places, _Places]] = []
        self._count = 0
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Note that a join begins that finds them all."""
        self.known = True

    def add(self, at_left: Ints, at_right: Ints) -> None:
        """Take the positions of some pairs, side by side; from any thread."""
        found = at_left.astype(self._type), at_right.astype(self._type)
        with self._lock:
            self._count += len(at_left)
            if self._count > self.most:
                self.known = False
                self._found.clear()
            if self.known:
                self._found.append(found)

    def of(self, side: Side, unmatched: Bools) -> tuple[_Places, _Places]:
        """Return those of the rows of `side` that `unmatched` marks: these, and the others."""
        with self._lock:  # one thread a side
            left, right = self._both
        own, other = (left, right) if side is Side.LEFT else (right, left)
        marked = unmatched[own]
        return own[marked], other[marked]

    @cached_property
    def _both(self) -> tuple[_Places, _Places]:
        none = np.zeros(0, dtype=self._type)
        left, right = zip(*self._found, strict=True) if self._found else ((none,), (none,))
        self._found.clear()
        return np.concatenate(left), np.concatenate(right)


@dataclass(frozen=True, slots=True)
class MissJudge:
    """Chooses among misses as `choose_candidates` does among all rows."""

    planned: Planned
    rule: Rule
    rows: Mapping[Side, Rows]
    keyed: KeyedSides
    misses: Misses

    def choose(self, side: Side, unmatched: Bools) -> Choice:
        """Return the closest candidate of each row of `side` that `unmatched` marks and has any."""
        own, other = _by_row(*self.misses.of(side, unmatched))
        starts = np.flatnonzero(np.append(True, own[1:] != own[:-1])[: len(own)])
        counts = np.diff(np.append(starts, len(own)))
        wanted, chosen = own[starts].astype(np.int64), other[starts].astype(np.int64)
        sizes = np.zeros(len(wanted), dtype=np.int64)
        several = counts > 1
        if several.any():
            rivals = np.repeat(several, counts)
            rows = _Rivals(own[rivals], other[rivals], counts[several])
            chosen[several], sizes[several] = self._closest(side, rows)
        return Choice(wanted, chosen, sizes)

    def _closest(self, side: Side, rivals: _Rivals) -> tuple[Ints, Ints]:
        """Return the closest candidate of each row that has several, and how many were tried."""
        chosen = self._nearest(side, rivals)
        sizes = np.zeros(len(chosen), dtype=np.int64)
        far = chosen == NONE
        if far.any():
            rest = np.repeat(far, rivals.counts)
            left_over = _Rivals(rivals.own[rest], rivals.other[rest], rivals.counts[far])
            if self._fail_alike:
                chosen[far], sizes[far] = self._first(side, left_over), left_over.counts
            else:
                chosen[far], sizes[far] = self._searched(side, left_over)
        return chosen, sizes

    @property
    def _fail_alike(self) -> bool:
        """Whether all that pairs can fail is one condition, so that none is nearer by how many."""
        return len(self.rule.conditions) == 1 and not (self.rule.beyond or scored(self.rule))

    def _nearest(self, side: Side, rivals: _Rivals) -> Ints:
        """Return the nearest candidate of each row, by the distance of the rule.

        `NONE` where it limits none, none is known, or it asks for more than to be near.
        """
        found = np.full(len(rivals.counts), NONE, dtype=np.int64)
        if self.rule.beyond or self.rule.chooses:
            return found
        ours, mine = self._measured(side, rivals.own)
        theirs, others = self._measured(side.other, rivals.other)
        if ours is None or theirs is None:
            return found
        one, two = comparable(ours, theirs)
        near = nearest_of_pairs(one.take(mine), two.take(others), rivals.counts)
        if near is None:
            return found
        row, nearest = rivals.rows[near], rivals.other[near].astype(np.int64)
        found[row] = nearest
        tied = np.bincount(row)[row] > 1
        if tied.any():
            ranked = first_by_primary_key(self.rows[side.other], Coded(nearest[tied], row[tied]))
            found[ranked.codes] = ranked.positions
        return found

    def _first(self, side: Side, rivals: _Rivals) -> Ints:
        """Return the candidate of each row that is the first by primary key."""
        every = Coded(rivals.other.astype(np.int64), rivals.rows)
        return first_by_primary_key(self.rows[side.other], every).positions

    def _measured(self, side: Side, places: _Places) -> tuple[pa.Array | None, Ints]:
        """Return what the rule measures of rows, each once, and where each place's row is there."""
        marked = np.zeros(self.rows[side].count, dtype=np.bool_)
        marked[places] = True
        rows = self.rows[side].take(np.flatnonzero(marked), compared(self.rule, side))
        return measured(self.planned, self.rule, side, rows), (np.cumsum(marked) - 1)[places]

    def _searched(self, side: Side, rivals: _Rivals) -> tuple[Ints, Ints]:
        """Return the closest candidate of each row as `choose_candidates` finds it."""
        ours, theirs = _each_once(rivals.own), _each_once(rivals.other)
        wanted, offered = self.keyed.codes(
            self.keyed.table(side).take(ours).combine_chunks(),
            self.keyed.table(side.other).take(theirs).combine_chunks(),
        )
        found = choose_candidates(
            self.planned,
            self.rule,
            side,
            self.rows[side],
            self.rows[side.other],
            Coded(ours, wanted),
            Coded(theirs[offered != NONE], offered[offered != NONE]),
        )
        return found.chosen, found.sizes


@dataclass(frozen=True, slots=True)
class _Rivals:
    """Pairs of rows that have several candidates.

    Attributes:
        own: ascending.
        other: of each, a candidate.
        counts: how many each row has.
    """

    own: _Places
    other: _Places
    counts: Ints

    @property
    def rows(self) -> Ints:
        """Which row each pair is of, counted from 0."""
        return np.repeat(np.arange(len(self.counts)), self.counts)


def _by_row(own: _Places, other: _Places) -> tuple[_Places, _Places]:
    """Return pairs in the order of their own rows."""
    if own.dtype.itemsize > _HALF_BYTES:
        order = np.argsort(own)
        return own[order], other[order]
    both = (own.astype(np.int64) << (8 * _HALF_BYTES)) | other
    both.sort()  # numbers themselves, which takes a fraction of sorting where they lie
    return (both >> (8 * _HALF_BYTES)).astype(own.dtype), both.astype(own.dtype)


def _each_once(places: _Places) -> Ints:
    marked = np.zeros(int(places.max()) + 1, dtype=np.bool_)
    marked[places] = True
    return np.flatnonzero(marked)
