"""Which row of the other side comes closest: a sorted search, linear on a hot key.

All candidates of a key are laid out together, sorted by value and then by rank (the order of
their primary keys). For each wanted value a binary search finds its neighbours in that order;
the nearer one wins, and of two that are equally near the one with the lower rank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.engine.rows import distinct

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Values = npt.NDArray[Any]

NONE = -1


@dataclass(frozen=True, slots=True)
class Keyed:
    """Rows with a code for their key and a value to compare.

    Attributes:
        codes: int64, equal for equal keys, from 0.
        values: int64 or float64, the same on both sides of a search.
        known: which values there are (False: null or NaN).
        exact: the values themselves, decimals of one type, where `values` tells their order only.
    """

    codes: Ints
    values: Values
    known: Bools
    exact: pa.Array | None = None


def nearest(wanted: Keyed, offered: Keyed, rank: Ints) -> Ints:
    """Return for each wanted row the position of the nearest offered row of the same key.

    `rank` orders offered rows of equal distance, lowest first; ranks are unique. `NONE` where
    the wanted value is unknown or no offered row of the key has a value.
    """
    usable, asked = np.flatnonzero(offered.known), np.flatnonzero(wanted.known)
    found = np.full(len(wanted.codes), NONE, dtype=np.int64)
    if len(usable) == 0 or len(asked) == 0:
        return found
    line = _line(wanted, asked, offered, usable)
    ranks = rank[usable]
    if bool((ranks[1:] > ranks[:-1]).all()):
        ordered = np.argsort(line.offered, kind="stable")
    else:
        ordered = np.lexsort((ranks, line.offered))
    order = usable[ordered]
    codes, values = offered.codes[order], offered.values[order]
    places = _places(line.offered[ordered], line.wanted)
    above = _same_key(places.above, codes, wanted.codes[asked])
    below = _same_key(places.below, codes, wanted.codes[asked])
    distances = (
        _Distances(wanted.values[asked], values)
        if wanted.exact is None or offered.exact is None
        else _Distances(wanted.exact.take(pa.array(asked)), offered.exact.take(pa.array(order)))
    )
    choice = _nearer(distances, rank[order], below, above)
    found[asked] = np.where(choice == NONE, NONE, order[choice])
    return found


def nearest_of_pairs(wanted: Measures, offered: Measures, counts: Ints) -> Bools | None:
    """Mark of each wanted row's pairs those that are nearest, one or several that are as near.

    None of a row of which no distance is known; None for all if distances are not told by numbers.

    Args:
        wanted: values of the wanted row of each pair.
        offered: likewise, of the same type.
        counts: of the pairs of each wanted row, at least one, which lie side by side.
    """
    if wanted.exact is not None or offered.exact is not None:
        return None
    known = wanted.known & offered.known
    distances = _distance(wanted.values, offered.values)
    most = np.inf if distances.dtype == np.float64 else np.iinfo(distances.dtype).max
    distances[~known] = most
    least = np.minimum.reduceat(distances, np.cumsum(counts) - counts)
    near: Bools = known & (distances == np.repeat(least, counts))
    return near


@dataclass(frozen=True, slots=True)
class _Line:
    """Numbers whose order is that of codes, and of values of one code."""

    wanted: Ints
    offered: Ints


def _line(wanted: Keyed, asked: Ints, offered: Keyed, usable: Ints) -> _Line:
    ours, theirs = wanted.values[asked], offered.values[usable]
    most = int(max(wanted.codes[asked].max(), offered.codes[usable].max())) + 1
    if ours.dtype == theirs.dtype == np.int64:
        least = min(int(ours.min()), int(theirs.min()))
        size = max(int(ours.max()), int(theirs.max())) - least + 1
        if most * size <= np.iinfo(np.int64).max:  # which leaves room for each difference, too
            return _Line(
                wanted.codes[asked] * size + (ours - least),
                offered.codes[usable] * size + (theirs - least),
            )
    known = distinct(theirs)
    size = len(known) + 1
    return _Line(
        wanted.codes[asked] * size + np.searchsorted(known, ours),
        offered.codes[usable] * size + np.searchsorted(known, theirs),
    )


@dataclass(frozen=True, slots=True)
class _Places:
    """Positions in the sorted offers.

    Attributes:
        below: the first of those that are equal to the one just below the wanted value.
        above: the first that is not below it.
    """

    below: Ints
    above: Ints


def _places(sorted_offers: Ints, wanted: Ints) -> _Places:
    above = np.searchsorted(sorted_offers, wanted, side="left")
    before = above - 1
    below = np.where(
        before < 0, NONE, np.searchsorted(sorted_offers, sorted_offers[before], side="left")
    )
    return _Places(below, above)


def _same_key(places: Ints, codes: Ints, want_codes: Ints) -> Ints:
    """Return the places that are in range and of the wanted key, `NONE` for the others."""
    inside = (places >= 0) & (places < len(codes))
    clipped = np.where(inside, places, 0)
    return np.where(inside & (codes[clipped] == want_codes), places, NONE)


@dataclass(frozen=True, slots=True)
class _Distances:
    """Wanted values, and those that they may be near to: numbers or decimals of one type."""

    wanted: Values | pa.Array
    offered: Values | pa.Array

    def compared(self, below: Ints, above: Ints) -> tuple[Bools, Bools]:
        """Return where the value below is nearer than the one above, and where as near."""
        if isinstance(self.wanted, pa.Array):
            near, far = (
                pc.abs(pc.subtract(self.wanted, self.offered.take(pa.array(np.maximum(at, 0)))))
                for at in (below, above)
            )
            return np.asarray(pc.less(near, far)), np.asarray(pc.equal(near, far))
        one, other = (_distance(self.wanted, self.offered[at]) for at in (below, above))
        return one < other, one == other


def _nearer(distances: _Distances, rank: Ints, below: Ints, above: Ints) -> Ints:
    is_nearer, tie = distances.compared(below, above)
    by_rank = np.where(rank[below] < rank[above], below, above)
    choice = np.where(is_nearer, below, above)
    choice = np.where(tie, by_rank, choice)
    choice = np.where(below == NONE, above, choice)
    return np.where(above == NONE, below, choice)


def _distance(wanted: Values, other: Values) -> Values:
    """Return |difference|, exact: as uint64 for integers, whose difference may need 64 bits."""
    if wanted.dtype == np.int64:
        high, low = np.maximum(wanted, other), np.minimum(wanted, other)
        return high.view(np.uint64) - low.view(np.uint64)
    with np.errstate(invalid="ignore"):
        return np.where(wanted == other, 0.0, np.abs(wanted - other))


@dataclass(frozen=True, slots=True)
class Measures:
    """Values of one side on a scale that both have; attributes as `Keyed` has them."""

    values: Values
    known: Bools
    exact: pa.Array | None = None

    def take(self, places: Ints) -> Measures:
        """Return those in some places."""
        exact = None if self.exact is None else self.exact.take(pa.array(places))
        return Measures(self.values[places], self.known[places], exact)

    def keyed(self, codes: Ints) -> Keyed:
        """Return them with the keys of their rows."""
        return Keyed(codes, self.values, self.known, self.exact)


_Both = tuple[Measures, Measures]


def comparable(left: pa.Array, right: pa.Array) -> _Both:
    """Return both arrays as numbers on one scale.

    Integers, dates, timestamps and decimals that fit become int64, exactly; larger ones their
    order, beside themselves; floating-point numbers float64.
    """
    for scale in (_as_scaled_integers, _as_ordered, _as_floats):
        both = scale(left, right)
        if both is not None:
            return both
    raise TypeError(f"{left.type} and {right.type} have no distance")


def _as_ordered(left: pa.Array, right: pa.Array) -> _Both | None:
    """Return the places of decimals in the order of all of them, equal ones alike."""
    common = _integer_scale(left.type, right.type)
    if common is None or not pa.types.is_decimal(common):
        return None
    wide = pa.decimal256(_MOST_DIGITS, common.scale)
    try:
        values = pa.concat_arrays([left.cast(wide), right.cast(wide)])
    except pa.ArrowInvalid:  # more digits than a difference could be told in
        return None
    order = pc.sort_indices(values)
    ordered = values.take(order)
    steps = pc.not_equal(ordered.slice(1), ordered.slice(0, max(len(ordered) - 1, 0)))
    places = np.zeros(len(values), dtype=np.int64)
    dense = np.cumsum(np.asarray(steps.fill_null(False), dtype=np.int64))
    places[order.to_numpy()] = np.concatenate([[0], dense])[: len(values)]
    known = values.is_valid().to_numpy(zero_copy_only=False)
    ours, theirs = slice(0, len(left)), slice(len(left), None)
    return (
        Measures(places[ours], known[ours], values.slice(0, len(left))),
        Measures(places[theirs], known[theirs], values.slice(len(left))),
    )


_MOST_DIGITS = 75
"""Of decimals whose differences are decimals as well."""


def _as_scaled_integers(left: pa.Array, right: pa.Array) -> _Both | None:
    common = _integer_scale(left.type, right.type)
    if common is None:
        return None
    try:
        return Measures(*_int64(left, common)), Measures(*_int64(right, common))
    except pa.ArrowInvalid:  # does not fit into 64 bits at this scale
        return None


def _integer_scale(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    kinds = (left, right)
    if all(pa.types.is_date(kind) for kind in kinds):
        return pa.date32()
    if all(pa.types.is_temporal(kind) for kind in kinds):
        return pa.timestamp("us")
    if all(pa.types.is_integer(kind) for kind in kinds):
        return pa.int64()
    if all(pa.types.is_integer(kind) or pa.types.is_decimal(kind) for kind in kinds):
        scale = max(getattr(kind, "scale", 0) for kind in kinds)
        return pa.decimal256(76, max(scale, 0))
    return None


def _int64(array: pa.Array, common: pa.DataType) -> tuple[Values, Bools]:
    known = pc.is_valid(array).to_numpy(zero_copy_only=False)
    if pa.types.is_decimal(common):
        kept = pa.types.is_decimal128(array.type) and array.type.scale == common.scale
        exact = array if kept else array.cast(common)
        narrow = exact.cast(pa.decimal128(18, common.scale))
        words = np.frombuffer(narrow.buffers()[1], dtype=np.int64)
        low = words[2 * narrow.offset : 2 * (narrow.offset + len(narrow)) : 2]
        return np.where(known, low, 0), known
    if pa.types.is_timestamp(common) and pa.types.is_timestamp(array.type):
        array = array.cast(pa.timestamp("us", array.type.tz), safe=False)
    elif pa.types.is_timestamp(common):
        array = array.cast(common, safe=False)
    whole = array.cast(pa.int32()) if pa.types.is_date32(common) else array
    return whole.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False), known


def _as_floats(left: pa.Array, right: pa.Array) -> _Both:
    return Measures(*_float64(left)), Measures(*_float64(right))


def _float64(array: pa.Array) -> tuple[Values, Bools]:
    floats = array.cast(pa.float64(), safe=False)
    known = pc.and_(pc.is_valid(floats), pc.invert(pc.is_nan(floats))).fill_null(False)
    values = floats.fill_null(0.0).to_numpy(zero_copy_only=False)
    is_known = known.to_numpy(zero_copy_only=False)
    return np.where(is_known, values, 0.0), is_known
