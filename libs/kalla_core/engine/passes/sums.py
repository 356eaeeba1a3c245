"""Groups whose amounts add up: sets of rows that make one row, and groups that balance.

What is decided for each single row here is decided by arrays of its candidates, which are few:
`max_candidates` bounds them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

import numpy as np
import pyarrow as pa

from kalla_core.assignment.components import Ints, pair_components
from kalla_core.assignment.settle import ACCEPTED, LEFT, TIED, Codes
from kalla_core.assignment.subsets import (
    FEW_AMOUNTS,
    MOST_SHOWN,
    subsets_that_fit,
    subsets_that_fit_each,
)
from kalla_core.assignment.units import LARGEST, TooWide, amount_text, minor_units
from kalla_core.engine.passes.found import Found, Looked
from kalla_core.engine.passes.missed_sums import Candidates, MissedSums, missed_sums
from kalla_core.engine.rows import Bools, distinct
from kalla_core.errors import InvalidSql
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.passes import OneSide, SubsetSumPass


@dataclass(frozen=True, slots=True)
class Aside:
    """What is said of rows of a side of some candidates, arrays of one length.

    Attributes:
        codes: which of `said` holds; -1 for none.
        words: of each what is said.
    """

    said: Sequence[str]
    codes: Ints
    words: pa.Array


@dataclass(frozen=True, slots=True)
class Summed:
    """What became of the candidates of a pass by sums; see `Decision`.

    Attributes:
        missed: the sets that came nearest to rows of which none adds up.
    """

    codes: Codes
    ties: Ints
    aside: Aside
    missed: MissedSums


AMBIGUOUS, EXCEEDED = "sum_ambiguous", "sum_budget_exceeded"
UNBALANCED = "unbalanced"


def by_sums(rule: SubsetSumPass, found: Found, looked: Looked, order: Ints) -> Summed:
    """Decide which sets of rows make one row, in rounds.

    A round looks at each row alone, among the rows that no set of an earlier round has taken. Sets
    that are the only one of their row are accepted where they share no row with another such set:
    nothing says which of them has it. Rounds end when one accepts nothing.

    Args:
        order: of the candidates, by both primary keys.

    Raises:
        InvalidSql: amounts have too many digits.
    """
    one = Side.RIGHT if rule.one is OneSide.RIGHT else Side.LEFT
    names = {side: rule.amount[n] for n, side in enumerate(Side)}
    amounts, tolerance, known = in_units(found, looked, names, rule.tolerance)
    demand_room(amounts[one.other], rule.max_candidates + 1, rule.amount)
    items, targets = amounts[one.other], amounts[one]
    rounds = _Rounds(rule, items, targets, tolerance, found.places(one.other))
    state, alone = rounds.run(_groups(found.places(one), order, known))
    scale = scale_of(found, looked, names, rule.tolerance) if found.count else 0
    missed = MissedSums(one, tuple(missed_sums(items, targets, alone, rule.max_items)), scale)
    return Summed(state.codes, state.ties, state.aside(), missed)


class _Rounds:
    """Goes through the rows of a pass by sums.

    Args:
        items: of each candidate the amount of the row that may be added up.
        targets: of each candidate the amount that it is added up to.
        rows: of each candidate where the row that may be added up is.
    """

    def __init__(
        self, rule: SubsetSumPass, items: Ints, targets: Ints, tolerance: int, rows: Ints
    ) -> None:
        self._rule, self._tolerance = rule, tolerance
        self._items, self._targets, self._rows = items, targets, rows
        self._by_row = np.argsort(rows, kind="stable")
        self._sorted = rows[self._by_row]

    def run(self, groups: Candidates) -> tuple[_State, Candidates]:
        """Return what becomes of the candidates of each row.

        Beside it those of the rows that none of their sets makes, without what others took.
        """
        state = _State(len(self._items))
        owner: Ints = np.full(len(self._rows), -1, dtype=np.int64)
        owner[groups.at] = groups.numbers
        fits = self._first_fits(groups, self._useful(owner, len(groups)))
        alone = {number: fit.sets[0] for number, fit in fits.items() if fit.count == 1}
        made: Bools = np.zeros(len(groups), dtype=np.bool_)
        lost: Bools = np.zeros(len(self._rows), dtype=np.bool_)
        while accepted := self._apart(alone):
            made[accepted] = True
            taken = np.concatenate([alone.pop(number) for number in accepted])
            state.accept(taken)
            for number in accepted:
                del fits[number]
            gone = self._of_rows(self._rows[taken])
            lost[gone] = True
            for number in distinct(owner[gone]).tolist():
                if number in fits:
                    at = fits[number].at
                    fits[number] = fit = self._fit(at[~lost[at]])
                    alone.pop(number, None)
                    alone |= {number: fit.sets[0]} if fit.count == 1 else {}
        self._tell(state, fits)
        made[[number for number, fit in fits.items() if fit.count]] = True
        return state, groups.some(~made[groups.numbers] & ~lost[groups.at])

    def _of_rows(self, rows: Ints) -> Ints:
        """Return all candidates of some rows that may be added up."""
        start = np.searchsorted(self._sorted, rows, side="left")
        count = np.searchsorted(self._sorted, rows, side="right") - start
        within = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
        found: Ints = self._by_row[np.repeat(start, count) + within]
        return found

    def _useful(self, owner: Ints, groups: int) -> Bools:
        """Return which candidates may be in a set: where nothing takes from a sum, not all are."""
        takes = np.zeros(groups + 1, dtype=np.bool_)  # the last is of no group
        takes[owner[self._items < 0]] = True
        useful: Bools = takes[owner] | (self._items <= self._targets + self._tolerance)
        return useful

    def _first_fits(self, groups: Candidates, useful: Bools) -> dict[int, _Fit]:
        """Return what makes each row that something makes, or that has too many candidates.

        It is found of many rows with few candidates at once, else of each alone.
        """
        tried = groups.some(useful[groups.at])
        searched = (tried.sizes > FEW_AMOUNTS) | (groups.sizes > self._rule.max_candidates)
        found = (
            (number, self._fit(groups.of(number))) for number in np.flatnonzero(searched).tolist()
        )
        fits = {number: fit for number, fit in found if fit.count}
        for width in distinct(tried.sizes[~searched & (tried.sizes > 0)]).tolist():
            numbers = np.flatnonzero(~searched & (tried.sizes == width))
            every = tried.at[tried.starts[numbers][:, None] + np.arange(width)]
            listed = numbers.tolist()
            for row, fit in subsets_that_fit_each(
                self._items[every],
                self._targets[every[:, 0]],
                self._tolerance,
                self._rule.max_items,
            ):
                number, some = listed[row], every[row]
                sets = tuple(some[_places(one)] for one in fit.sets)
                fits[number] = _Fit(groups.of(number), fit.count, sets)
        return fits

    def _fit(self, at: Ints) -> _Fit:
        """Return the sets of some candidates of one row that make it."""
        if len(at) > self._rule.max_candidates:
            return _Fit(at, _EXCEEDED)
        if not len(at):
            return _Fit(at, 0)
        items, target = self._items[at], int(self._targets[at[0]])
        if not _reachable(items, target, self._tolerance):
            return _Fit(at, 0)
        fits = subsets_that_fit(items, target, self._tolerance, self._rule.max_items)
        return _Fit(at, fits.count, tuple(at[list(some)] for some in fits.sets))

    def _apart(self, alone: Mapping[int, Ints]) -> list[int]:
        """Return which of some sets share no row with another of them."""
        if not alone:
            return []
        numbers = np.repeat(list(alone), [len(some) for some in alone.values()])
        rows = self._rows[np.concatenate(list(alone.values()))]
        _, at, uses = np.unique(rows, return_inverse=True, return_counts=True)
        shared = set(numbers[uses[at] > 1].tolist())
        return [number for number in alone if number not in shared]

    def _tell(self, state: _State, fits: Mapping[int, _Fit]) -> None:
        """Hold what fits in several ways, or in one that others want as well."""
        most = self._rule.max_candidates
        for fit in fits.values():
            if fit.count == _EXCEEDED:
                state.exceeded(fit.at, most)
            elif fit.count > 1:
                state.ambiguous(fit.sets, fit.count)
        shared = [fit.sets[0] for fit in fits.values() if fit.count == 1]
        if shared:
            numbers = np.repeat(np.arange(len(shared)), [len(some) for some in shared])
            every = np.concatenate(shared)
            groups = pair_components(numbers, self._rows[every])
            for first in np.unique(groups).tolist():
                words = "Sets for several rows share a row; each adds up alone."
                state.hold(every[groups == first], words)


@lru_cache(1 << FEW_AMOUNTS)
def _places(some: tuple[int, ...]) -> Ints:
    return np.array(some, dtype=np.int64)


_EXCEEDED = -1


@dataclass(frozen=True, slots=True)
class _Fit:
    """What of some candidates of one row makes it: how many sets, and the first of them.

    Attributes:
        count: `_EXCEEDED` if there are too many candidates to try.
    """

    at: Ints
    count: int
    sets: tuple[Ints, ...] = ()


class _State:
    def __init__(self, count: int) -> None:
        self.codes: Codes = np.full(count, LEFT, dtype=np.int8)
        self.ties: Ints = np.full(count, -1, dtype=np.int64)
        self._said: Ints = np.full(count, -1, dtype=np.int64)
        self._words: list[str | None] = [None]
        self._which: Ints = np.zeros(count, dtype=np.int64)

    def accept(self, at: Ints) -> None:
        """Accept a set."""
        self.codes[at] = ACCEPTED

    def exceeded(self, at: Ints, most: int) -> None:
        """Say that there were more candidates than are tried."""
        self._say(at, 1, exceeded_words(len(at), most))

    def ambiguous(self, sets: Sequence[Ints], count: int) -> None:
        """Hold the sets that fit, of which there are several."""
        every: Ints = np.array(
            sorted({row for one in sets for row in one.tolist()}), dtype=np.int64
        )
        fit = f"More than {MOST_SHOWN}" if count > MOST_SHOWN else str(count)
        self.hold(every, f"{fit} sets of {len(sets[0])} rows add up equally well.")

    def hold(self, at: Ints, words: str) -> None:
        """Hold candidates as one tie."""
        self.codes[at] = TIED
        self.ties[at] = at.min()
        self._say(at, 0, words)

    def _say(self, at: Ints, what: int, words: str) -> None:
        self._said[at] = what
        self._which[at] = len(self._words)
        self._words.append(words)

    def aside(self) -> Aside:
        """Return what is said of the candidates."""
        words = pa.array(self._words, pa.string()).take(pa.array(self._which))
        return Aside((AMBIGUOUS, EXCEEDED), self._said, words)


def exceeded_words(count: int, most: int) -> str:
    """Return a sentence on more candidates than are tried."""
    return (
        f"{count} rows could be added up for one of the other side, more than the {most} "
        "that are tried (`max_candidates`)."
    )


def balanced(
    groups: Ints, found: Found, looked: Looked, names: Mapping[Side, str], tolerance: Decimal
) -> tuple[Codes, Aside]:
    """Accept groups of pairs whose rows add up alike on both sides.

    Args:
        groups: of each pair the group that it is of.
        names: the columns that are added up.

    Raises:
        InvalidSql: amounts have too many digits.
    """
    if not found.count:
        return np.zeros(0, dtype=np.int8), Aside((UNBALANCED,), groups, pa.array([], pa.string()))
    amounts, most, known = in_units(found, looked, names, tolerance)
    for side in Side:
        demand_room(amounts[side], found.count, (names[side],))
    labels, dense = np.unique(groups, return_inverse=True)
    sums = {}
    for side in Side:
        _, first = np.unique(found.places(side), return_index=True)
        total: Ints = np.zeros(len(labels), dtype=np.int64)
        np.add.at(total, dense[first], np.where(known[first], amounts[side][first], 0))
        sums[side] = total
    apart = sums[Side.LEFT] - sums[Side.RIGHT]
    holds = np.abs(apart) <= most
    codes: Codes = np.where(holds[dense], ACCEPTED, LEFT).astype(np.int8)
    scale = scale_of(found, looked, names, tolerance)
    texts = [
        f"its group does not balance: left less right is {amount_text(n, scale)}." for n in apart
    ]
    words = pa.array(texts, pa.string()).take(pa.array(dense))
    return codes, Aside((UNBALANCED,), np.where(holds[dense], -1, 0), words)


def in_units(
    found: Found, looked: Looked, names: Mapping[Side, str], tolerance: Decimal
) -> tuple[dict[Side, Ints], int, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Return amounts of both rows in one unit, the tolerance in it, and which pairs have both."""
    known = np.ones(found.count, dtype=np.bool_)
    if not found.count:
        none: Ints = np.zeros(0, dtype=np.int64)
        return dict.fromkeys(Side, none), 0, known
    scale = scale_of(found, looked, names, tolerance)
    amounts: dict[Side, Ints] = {}
    for side, name in names.items():
        values = found.looked(looked.place(side, name)).combine_chunks()
        known &= values.is_valid().to_numpy(zero_copy_only=False)
        try:
            amounts[side] = minor_units(values.fill_null(0), scale)
        except TooWide as error:
            raise _too_wide(name) from error
    return amounts, int(tolerance.scaleb(scale)), known


def demand_room(amounts: Ints, count: int, names: Sequence[str]) -> None:
    """Demand that the sum of so many of some amounts is a number of 63 bits.

    Raises:
        InvalidSql: it may not be.
    """
    if len(amounts) and int(np.abs(amounts).max()) > LARGEST // count:
        raise _too_wide(" and ".join(dict.fromkeys(names)))


def _too_wide(name: str) -> InvalidSql:
    message = f"The amounts of `{name}` have too many digits to be added up in sets."
    return InvalidSql(message, column_name=name)


def scale_of(found: Found, looked: Looked, names: Mapping[Side, str], tolerance: Decimal) -> int:
    """Return the decimals of the unit of `in_units`."""
    kinds = [found.looked(looked.place(side, name)).type for side, name in names.items()]
    own = max(kind.scale if pa.types.is_decimal(kind) else 0 for kind in kinds)
    exponent = tolerance.normalize().as_tuple().exponent
    return max(own, -exponent if isinstance(exponent, int) else 0)


def _groups(
    rows: Ints, order: Ints, known: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> Candidates:
    """Return the candidates of each row, in their order."""
    at = np.flatnonzero(known)
    at = at[np.lexsort((order[at], rows[at]))]
    starts = np.flatnonzero(np.diff(rows[at], prepend=rows[at[:1]] - 1))
    return Candidates(at, np.diff(starts, append=len(at)))


def _reachable(items: Ints, target: int, tolerance: int) -> bool:
    """Whether a sum could be as far as this: all that add to it together, or take from it."""
    most, least = int(items[items > 0].sum()), int(items[items < 0].sum())
    return least - tolerance <= target <= most + tolerance
