"""What rows of a pass by sums are told of which no set adds up: the nearest, and by how much."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.assignment.components import Ints
from kalla_core.assignment.nearest_sums import nearest_sums, widest_within
from kalla_core.assignment.units import amount_text
from kalla_core.engine.passes.found import Found
from kalla_core.engine.rows import Bools, distinct
from kalla_core.matching.sql.query import Side

_MOST_NAMED = 8


@dataclass(frozen=True)
class Candidates:
    """Candidates of some rows, those of one row after those of the other.

    Attributes:
        at: the candidates.
        sizes: of each row how many.
    """

    at: Ints
    sizes: Ints

    def __len__(self) -> int:
        """How many rows they are of."""
        return len(self.sizes)

    @cached_property
    def starts(self) -> Ints:
        """Where the candidates of each row begin."""
        found: Ints = np.cumsum(self.sizes) - self.sizes
        return found

    @cached_property
    def numbers(self) -> Ints:
        """Of each candidate the row, counted from 0."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    def of(self, number: int) -> Ints:
        """Return those of one row."""
        start = self.starts[number]
        return self.at[start : start + self.sizes[number]]

    def some(self, kept: Bools) -> Candidates:
        """Return those that are marked, of the same rows."""
        counts = np.bincount(self.numbers[kept], minlength=len(self.sizes))
        return Candidates(self.at[kept], counts.astype(np.int64))


@dataclass(frozen=True, slots=True)
class Missed:
    """A set that comes nearest to a row.

    Attributes:
        at: its candidates.
        above: its sum less the amount of the row, in minor units.
        target: that amount.
    """

    at: Ints
    above: int
    target: int


@dataclass(frozen=True, slots=True)
class MissedSums:
    """The sets that come nearest, each to another row of `one`, of a pass.

    Attributes:
        scale: decimals of the minor unit.
    """

    one: Side
    sets: tuple[Missed, ...]
    scale: int


@dataclass(frozen=True, slots=True)
class NearSums:
    """What is said of rows of a side after that no set adds up.

    Attributes:
        rows: where they are, ascending, each once.
        said: string, none of them null.
        closest: string, the key of a row of the other side, or null where several make the set.
    """

    rows: Ints
    said: pa.Array
    closest: pa.Array

    def of(self, rows: Ints) -> tuple[Bools, pa.Array, pa.Array]:
        """Return of which rows something is said, what, and the closest; null of the others."""
        if not len(self.rows):
            none = pa.nulls(len(rows), pa.string())
            return np.zeros(len(rows), dtype=np.bool_), none, none
        at = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        known: Bools = self.rows[at] == rows
        places = pa.array(at, mask=~known)
        return known, self.said.take(places), self.closest.take(places)


def missed_sums(
    items: Ints, targets: Ints, groups: Candidates, most_items: int
) -> Iterator[Missed]:
    """Yield the sets that come nearest, of rows that have none that adds up.

    Rows with so many candidates that all sums would be too many are left out, all alike.

    Args:
        items: of each candidate the amount that may be added up; `targets` of its row.
        groups: the candidates of each row.
    """
    starts, widest = groups.starts, widest_within(groups.sizes)
    for width in distinct(groups.sizes[(groups.sizes > 0) & (groups.sizes <= widest)]).tolist():
        first = starts[groups.sizes == width]
        every = groups.at[first[:, None] + np.arange(width)]
        wanted = targets[every[:, 0]]
        for at, target, near in zip(
            every, wanted.tolist(), nearest_sums(items[every], wanted, most_items), strict=True
        ):
            yield Missed(at[list(near.places)], near.above, target)


def near_sums(missed: MissedSums, found: Found, side: Side) -> NearSums:
    """Say which sets came nearest to the rows of a side, or which such sets they are in.

    A row that is in several such sets is told the one that is nearest, the smallest of equal ones.
    """
    sets = missed.sets
    if not sets:
        none = pa.array([], pa.string())
        return NearSums(np.zeros(0, dtype=np.int64), none, none)
    sizes: Ints = np.array([len(one.at) for one in sets], dtype=np.int64)
    every = np.concatenate([one.at for one in sets])
    of_set: Ints = np.repeat(np.arange(len(sets)), sizes)
    rows = found.places(side)[every]
    ones, others = (found.keys(one, every) for one in (missed.one, missed.one.other))
    ends: Ints = np.cumsum(sizes)
    if side is missed.one:
        rows, at = rows[ends - sizes], np.arange(len(sets))
    else:
        apart: Ints = np.array([abs(one.above) for one in sets], dtype=np.int64)
        ranks = pc.rank(ones, tiebreaker="dense").to_numpy()
        order = np.lexsort((ranks, sizes[of_set], apart[of_set], rows))
        rows, first = np.unique(rows[order], return_index=True)
        at = of_set[order][first]
    told = [_said(missed, sets[n], ones, others, int(ends[n]), side) for n in at.tolist()]
    order = np.argsort(rows, kind="stable")
    said, closest = (pa.array([told[n][part] for n in order], pa.string()) for part in (0, 1))
    return NearSums(rows[order], said, closest)


def _said(
    missed: MissedSums, one: Missed, ones: pa.Array, others: pa.Array, end: int, side: Side
) -> tuple[str, str | None]:
    start = end - len(one.at)
    keys = others.slice(start, len(one.at)).to_pylist()
    named = ", ".join(str(key) for key in keys[:_MOST_NAMED])
    more = f" and {len(keys) - _MOST_NAMED} more" if len(keys) > _MOST_NAMED else ""
    total, apart, target = (
        amount_text(units, missed.scale)
        for units in (one.target + one.above, abs(one.above), one.target)
    )
    than = f"{apart} {'more' if one.above > 0 else 'less'} than"
    if side is missed.one:
        words = f"; the nearest makes {total}, which is {than} its {target}: {named}{more}."
        return words, keys[0] if len(keys) == 1 else None
    whose = ones[start].as_py()
    words = f"; the nearest with it makes {total}, which is {than} the {target} of {whose}: "
    return f"{words}{named}{more}.", whose
