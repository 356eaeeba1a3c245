"""Groups whose amounts add up: sets of rows that make one row, and groups that balance.

What is decided for each single row here is decided by arrays of its candidates, which are few:
`max_candidates` bounds them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pyarrow as pa

from kalla_core.assignment.components import Ints, pair_components
from kalla_core.assignment.settle import ACCEPTED, LEFT, TIED, Codes
from kalla_core.assignment.subsets import MOST_SHOWN, subsets_that_fit
from kalla_core.assignment.units import TooWide, minor_units
from kalla_core.engine.passes.found import Found, Looked
from kalla_core.errors import InvalidSql
from kalla_core.matching.query import Side
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
    """What became of the candidates of a pass by sums; see `Decision`."""

    codes: Codes
    ties: Ints
    aside: Aside


AMBIGUOUS, EXCEEDED = "sum_ambiguous", "sum_budget_exceeded"
UNBALANCED = "unbalanced"


def by_sums(rule: SubsetSumPass, found: Found, looked: Looked, order: Ints) -> Summed:
    """Decide which sets of rows make one row, each alone.

    Sets that share a row are all held: nothing says which of them has it.

    Args:
        order: of the candidates, by both primary keys.

    Raises:
        InvalidSql: amounts have too many digits.
    """
    one = Side.RIGHT if rule.one is OneSide.RIGHT else Side.LEFT
    amounts, tolerance, known = _amounts(
        found, looked, {side: rule.amount[n] for n, side in enumerate(Side)}, rule.tolerance
    )
    state = _State(found.count)
    rows = found.places(one)
    for at in _groups(rows, order, known):
        items, target = amounts[one.other][at], int(amounts[one][at[0]])
        if len(at) > rule.max_candidates:
            state.exceeded(at, len(at), rule.max_candidates)
            continue
        if not _reachable(items, target, tolerance):
            continue
        fits = subsets_that_fit(items, target, tolerance, rule.max_items)
        if fits.count == 1:
            state.chosen.append(at[list(fits.sets[0])])
        elif fits.count:
            state.ambiguous([at[list(some)] for some in fits.sets], fits.count)
    state.settle(found.places(one.other))
    return Summed(state.codes, state.ties, state.aside())


class _State:
    def __init__(self, count: int) -> None:
        self.codes: Codes = np.full(count, LEFT, dtype=np.int8)
        self.ties: Ints = np.full(count, -1, dtype=np.int64)
        self.chosen: list[Ints] = []
        self._said: Ints = np.full(count, -1, dtype=np.int64)
        self._words: dict[int, str] = {}

    def exceeded(self, at: Ints, count: int, most: int) -> None:
        self._said[at] = 1
        for place in at.tolist():
            self._words[place] = (
                f"{count} rows could be added up for one of the other side, more than the {most} "
                "that are tried (`max_candidates`)."
            )

    def ambiguous(self, sets: Sequence[Ints], count: int) -> None:
        """Hold the sets that fit, of which there are several."""
        every = np.unique(np.concatenate(sets))
        fit = f"More than {MOST_SHOWN}" if count > MOST_SHOWN else str(count)
        self._hold(every, f"{fit} sets of {len(sets[0])} rows add up equally well.")

    def _hold(self, at: Ints, words: str) -> None:
        self.codes[at] = TIED
        self.ties[at] = at.min()
        self._said[at] = 0
        self._words |= dict.fromkeys(at.tolist(), words)

    def settle(self, items: Ints) -> None:
        """Accept the sets that share no row with another, and hold those that do."""
        if not self.chosen:
            return
        numbers = np.repeat(np.arange(len(self.chosen)), [len(some) for some in self.chosen])
        every = np.concatenate(self.chosen)
        groups = pair_components(numbers, items[every])
        for first in np.unique(groups).tolist():
            mine = groups == first
            if len(np.unique(numbers[mine])) == 1:
                self.codes[every[mine]] = ACCEPTED
            else:
                self._hold(every[mine], "Sets for several rows share a row; each adds up alone.")

    def aside(self) -> Aside:
        words = [self._words.get(place) for place in range(len(self._said))]
        return Aside((AMBIGUOUS, EXCEEDED), self._said, pa.array(words, pa.string()))


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
    amounts, most, known = _amounts(found, looked, names, tolerance)
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
    scale = _scale(found, looked, names, tolerance)
    texts = [f"Its group does not balance: left less right is {_text(n, scale)}." for n in apart]
    words = pa.array(texts, pa.string()).take(pa.array(dense))
    return codes, Aside((UNBALANCED,), np.where(holds[dense], -1, 0), words)


def _amounts(
    found: Found, looked: Looked, names: Mapping[Side, str], tolerance: Decimal
) -> tuple[dict[Side, Ints], int, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Return amounts of both rows in one unit, the tolerance in it, and which pairs have both."""
    known = np.ones(found.count, dtype=np.bool_)
    if not found.count:
        none: Ints = np.zeros(0, dtype=np.int64)
        return dict.fromkeys(Side, none), 0, known
    scale = _scale(found, looked, names, tolerance)
    amounts: dict[Side, Ints] = {}
    for side, name in names.items():
        values = found.looked(looked.place(side, name)).combine_chunks()
        known &= values.is_valid().to_numpy(zero_copy_only=False)
        try:
            amounts[side] = minor_units(values.fill_null(0), scale)
        except TooWide as error:
            message = f"The amounts of `{name}` have too many digits to be added up in sets."
            raise InvalidSql(message, column_name=name) from error
    return amounts, int(tolerance.scaleb(scale)), known


def _scale(found: Found, looked: Looked, names: Mapping[Side, str], tolerance: Decimal) -> int:
    kinds = [found.looked(looked.place(side, name)).type for side, name in names.items()]
    own = max(kind.scale if pa.types.is_decimal(kind) else 0 for kind in kinds)
    exponent = tolerance.normalize().as_tuple().exponent
    return max(own, -exponent if isinstance(exponent, int) else 0)


def _text(units: int, scale: int) -> str:
    return f"{Decimal(int(units)).scaleb(-scale):.{scale}f}"


def _groups(
    rows: Ints, order: Ints, known: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> Iterator[Ints]:
    """Yield the candidates of each row, in their order."""
    at = np.flatnonzero(known)
    at = at[np.lexsort((order[at], rows[at]))]
    if not len(at):
        return
    starts = np.flatnonzero(np.diff(rows[at], prepend=rows[at[0]] - 1))
    yield from np.split(at, starts[1:])


def _reachable(items: Ints, target: int, tolerance: int) -> bool:
    """Whether a sum could be as far as this: all that add to it together, or take from it."""
    most, least = int(items[items > 0].sum()), int(items[items < 0].sum())
    return least - tolerance <= target <= most + tolerance
