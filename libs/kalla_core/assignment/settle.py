"""Iterated mutual best: which candidates of a pass are matches, which compete, which are left over.

The definition goes through the candidates from the best rank to the worst, one rank at a time.
Of those of a rank whose rows have places left, a pair that competes with no other for a place is
accepted; pairs that compete, directly or through others, are a tie. A pair competes with those of
its own rank, and with worse ones that come within the margin. Held ties are accepted by no rank:
their rows are out of what follows at worse ranks.

What is done here says the same without going through the ranks: a pair whose rows have no better
candidates left is decided at once, wherever it stands, together with all that it competes with.
So a round decides all mutual bests, and few rounds are needed. Candidates that each wait for the
next, which would take as many rounds as there are of them, are gone through one by one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kalla_core.assignment.components import Ints, components, numbered
from kalla_core.assignment.in_order import first_in_order, one_rank_at_a_time

Bools = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int8]

LEFT, ACCEPTED, TIED = np.int8(0), np.int8(1), np.int8(2)
"""What becomes of a candidate."""

_NO_TIE = -1
_NEVER = np.iinfo(np.int64).max
_ROUNDS = 64


@dataclass(frozen=True, slots=True)
class Places:
    """How many places rows have.

    Attributes:
        one_left: a left row has one; otherwise as many as it has candidates.
        one_right: likewise.
    """

    one_left: bool
    one_right: bool


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of candidates, in their order.

    Attributes:
        codes: LEFT, ACCEPTED or TIED of each. Without holding, TIED is none.
        ties: of each pair of a tie the least position among the pairs of that tie; else -1. Where
            ties are not held, pairs of the best rank of a tie have theirs as well.
    """

    codes: Codes
    ties: Ints


@dataclass(frozen=True, slots=True)
class Candidates:
    """Distinct pairs of rows.

    Attributes:
        left: a number per left row; any numbers.
        right: likewise.
        rank: less is better.
        reach: the worst rank that does not fall behind a pair's own by the margin; its own rank
            where there is no margin.
        order: distinct; decides inside a tie that is not held.
    """

    left: Ints
    right: Ints
    rank: Ints
    reach: Ints
    order: Ints

    def __len__(self) -> int:
        return len(self.left)

    def some(self, at: Ints) -> Candidates:
        """Return those at some positions."""
        columns = (self.left, self.right, self.rank, self.reach, self.order)
        return Candidates(*(column[at] for column in columns))


def settle(candidates: Candidates, places: Places, *, hold: bool) -> Settled:
    """Return what becomes of the candidates of a pass.

    Args:
        hold: of a tie none is accepted; else its pairs of the best rank are, in their order, as
            far as there are places.
    """
    return _Settling(candidates, places, hold).run()


class _Settling:
    def __init__(self, candidates: Candidates, places: Places, hold: bool) -> None:
        self._all = candidates
        self._places = places
        self._hold = hold
        self._left, lefts = numbered(candidates.left)
        right, rights = numbered(candidates.right)
        self._right = right + lefts
        self._nodes = lefts + rights
        self._out: Ints = np.full(self._nodes, _NEVER, dtype=np.int64)
        self._codes: Codes = np.zeros(len(candidates), dtype=np.int8)
        self._ties: Ints = np.full(len(candidates), _NO_TIE, dtype=np.int64)

    def run(self) -> Settled:
        live: Ints = np.arange(len(self._all), dtype=np.int64)
        for _ in range(_ROUNDS):
            if not len(live):
                break
            live = self._round(live)
        if len(live):
            self._rest(live)
        return Settled(self._codes, self._ties)

    def _round(self, live: Ints) -> Ints:
        """Decide what can be decided; return what is left to decide."""
        left, right = self._left[live], self._right[live]
        rank, reach = self._all.rank[live], self._all.reach[live]
        out = np.minimum(self._out[left], self._out[right])
        best: Ints = np.full(self._nodes, _NEVER, dtype=np.int64)
        np.minimum.at(best, left[rank <= out], rank[rank <= out])
        np.minimum.at(best, right[rank <= out], rank[rank <= out])
        within = self._within(best, left, right, rank, reach)
        ends = [
            # A row that a tie has taken out still competes at the rank of that tie.
            (node, near & (best[node] <= out))
            for node, near, one in (
                (left, within[0], self._places.one_left),
                (right, within[1], self._places.one_right),
            )
            if one
        ]
        takes_part = rank <= out
        for _, near in ends:
            takes_part = takes_part | near
        if not takes_part.all():
            return live[takes_part]
        level = np.minimum(best[left], best[right])
        soonest = self._soonest(ends, best, left, right, np.where(rank <= out, rank, _NEVER))
        labels, blocked = self._joined(ends, best, level)
        for (
            node,
            near,
        ) in ends:  # a row may go with a tie at a better level, and take its pairs along
            waits = near & (np.minimum(soonest[left], soonest[right]) < best[node])
            blocked[labels[node[waits]]] = True
        # A pair is in a tie through the rows for whose place it competes at its level.
        home: Ints = np.full(len(live), -1, dtype=np.int64)
        for node, near in ends:
            here = near & (best[node] == level)
            home[here] = labels[node[here]]
        front = rank == level
        free = front & (soonest[left] == rank) & (soonest[right] == rank)
        lonely = free & (home < 0)
        decided = (home >= 0) & ~blocked[np.maximum(home, 0)]
        size = np.bincount(home[decided], minlength=self._nodes)
        alone = decided & (size[np.maximum(home, 0)] == 1)
        self._codes[live[lonely | alone]] = ACCEPTED
        tied = decided & ~alone
        if tied.any():
            self._tie(live[tied], home[tied], level[tied])
        self._fill(live[self._codes[live] == ACCEPTED])
        return self._still_live(live)

    def _within(
        self, best: Ints, left: Ints, right: Ints, rank: Ints, reach: Ints
    ) -> tuple[Bools, Bools]:
        """Return for each pair whether it is of the best rank of its row, or near it; per side."""
        near: Ints = np.full(self._nodes, -1, dtype=np.int64)
        for node in (left, right):
            at = rank == best[node]
            np.maximum.at(near, node[at], reach[at])
        return rank <= near[left], rank <= near[right]

    def _soonest(
        self, ends: list[tuple[Ints, Bools]], best: Ints, left: Ints, right: Ints, rank: Ints
    ) -> Ints:
        """Return for each row the best rank at which one of its pairs may be decided.

        With a margin a pair may be in the tie of a better rank than its own.

        Args:
            rank: at which a pair is decided if it is in no such tie.
        """
        at = rank.copy()
        for node, near in ends:
            at[near] = np.minimum(at[near], best[node[near]])
        soonest: Ints = np.full(self._nodes, _NEVER, dtype=np.int64)
        np.minimum.at(soonest, left, at)
        np.minimum.at(soonest, right, at)
        return soonest

    def _joined(
        self, ends: list[tuple[Ints, Bools]], best: Ints, level: Ints
    ) -> tuple[Ints, Bools]:
        """Return what rows hang together by competition, and which of these have to wait.

        They wait if a pair that competes for one of them has a better candidate elsewhere.
        """
        labels: Ints = np.arange(self._nodes, dtype=np.int64)
        if len(ends) == len((self._places.one_left, self._places.one_right)):
            (left, near_left), (right, near_right) = ends
            both = near_left & near_right & (best[left] == best[right])
            labels = components(self._nodes, left[both], right[both])
        blocked: Bools = np.zeros(self._nodes, dtype=np.bool_)
        for node, near in ends:
            waits = near & (level < best[node])
            blocked[labels[node[waits]]] = True
        return labels, blocked

    def _tie(self, at: Ints, home: Ints, level: Ints) -> None:
        """Hold ties, or accept of their best pairs the first in order."""
        first: Ints = np.full(self._nodes, len(self._all), dtype=np.int64)
        np.minimum.at(first, home, at)
        if self._hold:
            self._codes[at] = TIED
            self._ties[at] = first[home]
            np.minimum.at(self._out, self._left[at], level)
            np.minimum.at(self._out, self._right[at], level)
            return
        best = self._all.rank[at] == level
        at, home = at[best], home[best]
        taken = at[self._first(at)]
        self._codes[taken] = ACCEPTED
        self._ties[at] = first[home]

    def _first(self, at: Ints) -> Bools:
        return first_in_order(
            self._left[at] if self._places.one_left else None,
            self._right[at] if self._places.one_right else None,
            self._all.order[at],
        )

    def _fill(self, accepted: Ints) -> None:
        """Take away the places of rows of accepted pairs; what competes for them is out."""
        if self._places.one_left:
            self._out[self._left[accepted]] = -1
        if self._places.one_right:
            self._out[self._right[accepted]] = -1

    def _still_live(self, live: Ints) -> Ints:
        open_ = self._codes[live] == LEFT
        open_ &= self._out[self._left[live]] >= 0
        open_ &= self._out[self._right[live]] >= 0
        still: Ints = live[open_]
        return still

    def _rest(self, live: Ints) -> None:
        """Decide what is left one rank at a time."""
        codes, ties = one_rank_at_a_time(
            (self._left[live], self._right[live]),
            (self._all.rank[live], self._all.reach[live], self._all.order[live]),
            (self._places.one_left, self._places.one_right),
            self._out,
            hold=self._hold,
        )
        self._codes[live] = codes
        self._ties[live] = np.where(ties < 0, _NO_TIE, live[np.maximum(ties, 0)])
