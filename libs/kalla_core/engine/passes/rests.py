"""What accepted matches leave open: the amount by which one row has more than it is matched with.

A match settles what its other side has. Where one row alone has more, that is its rest, and open;
where several have, nothing says which of them it is of, and where what is matched does not have
the sign of the row nothing is settled: such pairs are no match. All in whole minor units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.assignment.components import pair_components
from kalla_core.assignment.settle import ACCEPTED, LEFT
from kalla_core.assignment.units import amount_text
from kalla_core.engine.passes.deciding import Decision
from kalla_core.engine.passes.found import Found, Looked
from kalla_core.engine.passes.sums import (
    UNBALANCED,
    Aside,
    demand_room,
    in_units,
    scale_of,
)
from kalla_core.engine.rows import Bools, Ints
from kalla_core.evidence.keys import value_text
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.passes import Amounts


@dataclass(frozen=True, slots=True)
class Rests:
    """Rows of a side that are matched in part, arrays of one length.

    Attributes:
        places: where they are, each once.
        open: decimal256, what is open of each.
        groups: string, `match_group`.
        rules: string, the pass.
    """

    places: Ints
    open: pa.Array
    groups: pa.Array
    rules: pa.Array

    def some(self, at: Ints) -> Rests:
        """Return the rests at some positions, as they are wanted."""
        taken = (column.take(pa.array(at)) for column in (self.open, self.groups, self.rules))
        return Rests(self.places[at], *taken)


@dataclass(frozen=True, slots=True)
class _Groups:
    """Accepted pairs that hang together, arrays by group; `of` says of each pair which it is of.

    Attributes:
        sums: of the rows of a side.
        rows: how many of them there are.
        even: whether all amounts are known, of one currency.
    """

    of: Ints
    sums: Mapping[Side, Ints]
    rows: Mapping[Side, Ints]
    even: Bools


def leave_rests(
    name: str,
    tolerance: Decimal,
    amounts: Amounts,
    found: Found,
    looked: Looked,
    decision: Decision,
) -> tuple[Decision, dict[Side, Rests]]:
    """Return a decision without the matches that settle no row, and what the others leave open.

    Args:
        name: of the pass.
        tolerance: what may be missing of a row that counts as settled.
        looked: has the columns of `amounts`.

    Raises:
        InvalidSql: amounts have too many digits.
    """
    accepted = decision.accepted
    if not len(accepted):
        return decision, {}
    names = {Side.LEFT: amounts.left, Side.RIGHT: amounts.right}
    units, most, known = in_units(found, looked, names, tolerance)
    for side in Side:
        demand_room(units[side], found.count, (names[side],))
    groups = _grouped(found, looked, amounts, accepted, units, known)
    scale = scale_of(found, looked, names, tolerance)
    rests = {
        side: _rest(groups, side, 10 ** (scale - _scale(found, looked, side, names[side])))
        for side in Side
    }
    apart = groups.sums[Side.LEFT] - groups.sums[Side.RIGHT]
    holds = groups.even & (np.abs(apart) <= most)
    holds |= (rests[Side.LEFT] != 0) | (rests[Side.RIGHT] != 0)
    open_ = {side: np.where(np.abs(apart) <= most, 0, rests[side]) for side in Side}
    kept = replace_without(decision, accepted[~holds[groups.of]])
    if not holds.all():
        words = [_words(n, scale, even) for n, even in zip(apart, groups.even, strict=True)]
        kept = replace(kept, aside=_aside(found, decision, accepted, groups.of, holds, words))
    return kept, {
        side: _of_rows(name, found, kept, side, accepted, groups.of, open_[side], scale)
        for side in Side
    }


def together(several: Sequence[Mapping[Side, Rests]], side: Side) -> Rests:
    """Return the rests of all passes on a side, in the order of their rows."""
    some = [one[side] for one in several if side in one]
    places = np.concatenate([np.zeros(0, dtype=np.int64), *(one.places for one in some)])
    kind = pa.decimal256(75, max((one.open.type.scale for one in some), default=0))
    texts = pa.nulls(0, pa.string())
    every = Rests(
        places,
        pa.concat_arrays([pa.nulls(0, kind), *(one.open.cast(kind) for one in some)]),
        pa.concat_arrays([texts, *(one.groups for one in some)]),
        pa.concat_arrays([texts, *(one.rules for one in some)]),
    )
    return every.some(np.argsort(places, kind="stable"))


def _grouped(
    found: Found,
    looked: Looked,
    amounts: Amounts,
    accepted: Ints,
    units: Mapping[Side, Ints],
    known: Bools,
) -> _Groups:
    places = {side: found.places(side)[accepted] for side in Side}
    labels, of = np.unique(pair_components(*places.values()), return_inverse=True)
    even = np.ones(len(labels), dtype=np.bool_)
    np.logical_and.at(even, of, known[accepted])
    sums, rows = {}, {}
    for side in Side:
        _, first = np.unique(places[side], return_index=True)
        total: Ints = np.zeros(len(labels), dtype=np.int64)
        np.add.at(total, of[first], units[side][accepted[first]])
        sums[side], rows[side] = total, np.bincount(of[first], minlength=len(labels))
    if amounts.currency is not None:
        even &= _of_one_currency(found, looked, amounts.currency, accepted, of, len(labels))
    return _Groups(of, sums, rows, even)


def _of_one_currency(
    found: Found, looked: Looked, names: tuple[str, str], accepted: Ints, of: Ints, count: int
) -> Bools:
    at = pa.array(accepted)
    columns = [
        value_text(found.looked(looked.place(side, name)).take(at).combine_chunks())
        for side, name in zip(Side, names, strict=True)
    ]
    codes = pa.chunked_array(columns).combine_chunks().dictionary_encode().indices
    numbers = codes.fill_null(-1).to_numpy(zero_copy_only=False)
    both = np.concatenate([of, of])
    least, most = np.full(count, len(numbers)), np.full(count, -1)
    np.minimum.at(least, both, numbers)
    np.maximum.at(most, both, numbers)
    same: Bools = least == most
    return same


def _rest(groups: _Groups, side: Side, unit: int) -> Ints:
    """Return what is open of the one row of a side in each group; 0 of groups that leave none.

    Args:
        unit: the least amount that the column of the side can tell.
    """
    mine, theirs = groups.sums[side], groups.sums[side.other]
    rest = mine - theirs
    settled = (np.sign(theirs) == np.sign(mine)) & (np.abs(theirs) < np.abs(mine))
    fits = groups.even & settled & (groups.rows[side] == 1) & (rest % unit == 0)
    return np.where(fits, rest, 0)


def _scale(found: Found, looked: Looked, side: Side, name: str) -> int:
    kind = found.looked(looked.place(side, name)).type
    return kind.scale if pa.types.is_decimal(kind) else 0


def replace_without(decision: Decision, rejected: Ints) -> Decision:
    """Return a decision in which some accepted candidates, whole groups of them, are left over."""
    if not len(rejected):
        return decision
    codes = decision.codes.copy()
    codes[rejected] = LEFT
    kept = codes[decision.picked] != LEFT
    labels = decision.label().filter(pa.array(kept))
    return replace(decision, codes=codes, picked=decision.picked[kept], label=lambda: labels)


def _words(apart: int, scale: int, even: bool) -> str:
    if not even:
        return "amounts of its group are null, or of several currencies."
    return (
        f"its group does not balance: left less right is {amount_text(apart, scale)}, and no one "
        "row of it has that left."
    )


def _aside(
    found: Found,
    decision: Decision,
    accepted: Ints,
    of: Ints,
    holds: Bools,
    words: Sequence[str],
) -> Aside:
    """Return what is said of candidates of the rows of matches that settle nothing."""
    group: Ints = np.full(found.count, -1, dtype=np.int64)
    for side in Side:
        places = found.places(side)
        by_row: Ints = np.full(int(places.max()) + 1, -1, dtype=np.int64)
        wrong = ~holds[of]
        by_row[places[accepted[wrong]]] = of[wrong]
        group = np.maximum(group, by_row[places])
    was_left = (decision.codes == LEFT) | (decision.codes == ACCEPTED)
    here = (group >= 0) & was_left
    said = pa.array(words, pa.string()).take(pa.array(np.maximum(group, 0)))
    before = decision.aside
    if before is None:
        return Aside((UNBALANCED,), np.where(here, 0, -1), said)
    codes = np.where(here, len(before.said), before.codes)
    both = pc.if_else(pa.array(here), said, before.words)
    return Aside((*before.said, UNBALANCED), codes, both)


def _of_rows(
    name: str,
    found: Found,
    decision: Decision,
    side: Side,
    accepted: Ints,
    of: Ints,
    open_: Ints,
    scale: int,
) -> Rests:
    """Return the rests of a side by row: that of a group is of its one row there."""
    pairs = np.flatnonzero(open_[of])
    places, first = np.unique(found.places(side)[accepted[pairs]], return_index=True)
    chosen = pairs[first]
    whole = pa.array(open_[of[chosen]]).cast(pa.decimal256(19, 0))
    unit = pa.scalar(Decimal(1).scaleb(-scale), pa.decimal256(scale + 1, scale))
    at = np.searchsorted(decision.picked, accepted[chosen])
    return Rests(
        places,
        pc.multiply(whole, unit),
        decision.label().groups.take(pa.array(at)),
        pa.repeat(pa.scalar(name), len(places)),
    )
