"""From result rows to the matches they stand for, groups told by their members.

What of a result row's pairs (`pairs`) shares a row hangs together and is one match. Where all left
rows of a match go with all its right rows, and there are two or more of either, a group matches a
group: it is told by its members, m + n of them, each with the other side left empty. Every other
match is told by its pairs.

The pairs of a result row are products of sets of rows, so that a group is mostly seen without
making its pairs: one of the products has all rows of the match.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, permutations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kalla_core.matching.row_ids.named import (
    NOTHING,
    Flat,
    Named,
    Rows,
    changes,
    elements,
    flattened,
    is_plain,
    merged,
    only_product,
    owned,
    windows,
)
from kalla_core.matching.row_ids.origins import Collected, Origin
from kalla_core.matching.row_ids.pair_numbers import Pairs, Scale
from kalla_core.matching.row_ids.pairs import (
    MOST_PAIRS,
    PairFrame,
    distinct,
    has_pairs_within,
    most_pairs,
    plain,
    product,
)
from kalla_core.matching.sql.query import Side

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Matches:
    """Rows of the evidence, match by match; arrays of one length.

    Attributes:
        result_row: row of the batch that a match comes from, int64.
        match: its number, int64, ascending from 0.
        left: row numbers of the left side, uint64; null in the rows of a group's right members.
        right: likewise.
    """

    result_row: Rows
    match: Rows
    left: pa.Array
    right: pa.Array

    def __len__(self) -> int:
        return len(self.match)


@dataclass(frozen=True, slots=True)
class _Products:
    """Sets of left rows and of right rows, all of which go with each other; none is empty.

    Attributes:
        owners: the result row of each product, ascending.
        left: row numbers, named by their product.
        right: likewise.
    """

    owners: Rows
    left: Named
    right: Named

    def __len__(self) -> int:
        return len(self.owners)


def matches(
    batch: pa.RecordBatch, pair_frame: PairFrame, most: int = MOST_PAIRS
) -> Iterator[Matches]:
    """Yield the matches that the rows of `batch`, produced by `pair_frame`, stand for.

    Args:
        most: rows at a time, about. More come together where one result row has more.
    """
    origins = pair_frame.origins
    hidden = [batch.column(pair_frame.columns + place) for place in range(len(origins))]
    rows = np.arange(batch.num_rows, dtype=np.int64)
    if is_plain(origins):
        yield _pair_by_pair(plain(origins, hidden, rows))
        return
    for start, end in windows(_sizes(origins, hidden, rows), most):
        window = [value.slice(start, end - start) for value in hidden]
        found = _together(list(_products(origins, window, rows[start:end])))
        if len(found):
            yield _told(found, _match_of(found))


def _pair_by_pair(pairs: Pairs) -> Matches:
    each = np.arange(len(pairs), dtype=np.int64)
    return Matches(pairs.result_row, each, pa.array(pairs.left), pa.array(pairs.right))


def _sizes(origins: Sequence[Origin], values: Sequence[pa.Array], rows: Rows) -> Rows:
    """Return for each of `rows`, which ascend from 0, about how much there is to look at."""
    places = only_product(origins)
    if places is None:
        return most_pairs(origins, values, rows)
    left, right = (flattened(origins[place], values[place], rows) for place in places)
    named = np.concatenate([left[Side.LEFT].rows, right[Side.RIGHT].rows])
    return np.bincount(named, minlength=len(rows))


def _products(
    origins: Sequence[Origin], values: Sequence[pa.Array], rows: Rows
) -> Iterator[_Products]:
    """Yield the products of what sits side by side, with repetitions.

    Args:
        origins: what the values hold.
        values: arrays of one length, side by side.
        rows: the result row each of their elements belongs to, ascending.
    """
    if is_plain(origins):
        yield from _of_pairs(plain(origins, values, rows))
        return
    if len(origins) > 1:
        here = np.arange(len(rows), dtype=np.int64)
        parts = zip(origins, values, strict=True)
        for left, right in _meeting([flattened(origin, value, here) for origin, value in parts]):
            yield _of_both(rows, left, right)
    for origin, value in zip(origins, values, strict=True):
        if isinstance(origin, Collected) and has_pairs_within(origin):
            members, owners = elements(origin, value)
            yield from _products(origin.members, members, owned(rows, owners))


def _of_pairs(pairs: Pairs) -> Iterator[_Products]:
    """Yield a product for each result row whose pairs are one, and for each pair of the others."""
    scale = Scale.over([pairs] if len(pairs) else [])
    if scale is not None:
        rows, left, right, pairs = scale.complete(scale.distinct([pairs]))
        yield _Products(rows, left, right)
    each = np.arange(len(pairs), dtype=np.int64)
    yield _Products(pairs.result_row, Named(each, pairs.left), Named(each, pairs.right))


def _meeting(parts: Sequence[Flat]) -> Iterator[tuple[Named, Named]]:
    """Yield sets of both sides that go with each other, of what sits side by side.

    What names one side only goes with all that names the other only: that is one product.
    """
    has_both = [all(len(part[side].rows) for side in Side) for part in parts]
    both = list(compress(parts, has_both))
    single = [part for part, one in zip(parts, has_both, strict=True) if not one]
    left, right = (merged([NOTHING, *(part[side] for part in single)]) for side in Side)
    yield left, right
    for part in both:
        yield part[Side.LEFT], right
        yield left, part[Side.RIGHT]
    for one, other in permutations(both, 2):
        yield one[Side.LEFT], other[Side.RIGHT]


def _of_both(rows: Rows, left: Named, right: Named) -> _Products:
    """Return the products of those rows that have something of both sides."""
    counts = (np.bincount(named.rows, minlength=len(rows)) for named in (left, right))
    has_both = np.logical_and(*(count > 0 for count in counts))
    place = np.cumsum(has_both) - 1
    kept = (_kept(named, has_both[named.rows]) for named in (left, right))
    return _Products(rows[has_both], *(Named(place[one.rows], one.numbers) for one in kept))


def _kept(named: Named, which: Bools) -> Named:
    return Named(named.rows[which], named.numbers[which])


def _together(parts: Sequence[_Products]) -> _Products:
    """Return the products of all parts, those of one result row beside each other."""
    parts = [part for part in parts if len(part)]
    if len(parts) == 1:
        return parts[0]
    owners = np.concatenate([NOTHING.rows, *(part.owners for part in parts)])
    order = np.argsort(owners, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    shifts = np.cumsum([0, *map(len, parts)])
    left, right = (
        merged(
            [
                NOTHING,
                *(_renamed(one, place, by) for one, by in zip(side, shifts[:-1], strict=True)),
            ]
        )
        for side in ([part.left for part in parts], [part.right for part in parts])
    )
    return _Products(owners[order], left, right)


def _renamed(named: Named, names: Rows, shift: int) -> Named:
    return Named(names[named.rows + shift], named.numbers)


def _match_of(products: _Products) -> Rows:
    """Return the number of the match that each product belongs to."""
    if (products.owners[1:] > products.owners[:-1]).all():
        return np.arange(len(products), dtype=np.int64)
    sharing = [_sharing(products.owners, named) for named in (products.left, products.right)]
    touched = np.concatenate([of_side for of_side, _ in sharing])
    starts = np.concatenate([sharing[0][1], sharing[1][1] + len(sharing[0][0])])
    sizes = np.diff(np.append(starts, len(touched)))
    # Connected components: each product knows the least one it hangs together with so far; what
    # shares a row hands the least on to the least of the other, until nothing changes.
    least = np.arange(len(products), dtype=np.int64)
    while True:
        before = least
        reached = np.repeat(np.minimum.reduceat(before[touched], starts), sizes)
        least = before.copy()
        np.minimum.at(least, before[touched], reached)
        while (least[least] != least).any():
            least = least[least]
        if np.array_equal(least, before):
            return np.unique(least, return_inverse=True)[1].astype(np.int64)


def _sharing(owners: Rows, named: Named) -> tuple[Rows, Rows]:
    """Return products sorted by the rows they have, and where those of the next row begin."""
    of = owners[named.rows]
    order = np.lexsort((named.numbers, of))
    starts = np.flatnonzero(changes(of[order], named.numbers[order]))
    return named.rows[order], starts.astype(np.int64)


def _told(products: _Products, match_of: Rows) -> Matches:
    left, right = (
        merged([Named(match_of[named.rows], named.numbers)])
        for named in (products.left, products.right)
    )
    count = int(match_of.max()) + 1
    lefts, rights = (np.bincount(named.rows, minlength=count) for named in (left, right))
    several = (lefts > 1) & (rights > 1)
    is_group = several & _covered(products, match_of, lefts, rights)
    pairs = _pairs(products, match_of, ~is_group)
    complete = np.bincount(pairs.result_row, minlength=count) == lefts * rights
    is_group |= several & complete
    owner_of = np.empty(count, dtype=np.int64)
    owner_of[match_of] = products.owners
    return _rows(
        owner_of,
        _kept(left, is_group[left.rows]),
        _kept(right, is_group[right.rows]),
        _some(pairs, ~is_group[pairs.result_row]),
    )


def _covered(products: _Products, match_of: Rows, lefts: Rows, rights: Rows) -> Bools:
    """Return which matches have a product that has all their rows."""
    here, there = (
        np.bincount(named.rows, minlength=len(products))
        for named in (products.left, products.right)
    )
    whole = (here == lefts[match_of]) & (there == rights[match_of])
    return np.bincount(match_of[whole], minlength=len(lefts)) > 0


def _pairs(products: _Products, match_of: Rows, wanted: Bools) -> Pairs:
    """Return the distinct pairs of the wanted matches, the match as their `result_row`."""
    use = wanted[match_of]
    left, right = (_kept(named, use[named.rows]) for named in (products.left, products.right))
    found = product(left, right)
    return distinct(Pairs(match_of[found.result_row], found.left, found.right))


def _some(pairs: Pairs, which: Bools) -> Pairs:
    return Pairs(pairs.result_row[which], pairs.left[which], pairs.right[which])


def _rows(owner_of: Rows, left: Named, right: Named, pairs: Pairs) -> Matches:
    """Return the members of groups and the pairs, match by match."""
    match = np.concatenate([left.rows, right.rows, pairs.result_row])
    order = np.argsort(match, kind="stable")
    lefts = pa.concat_arrays([pa.array(left.numbers), _absent(right), pa.array(pairs.left)])
    rights = pa.concat_arrays([_absent(left), pa.array(right.numbers), pa.array(pairs.right)])
    places = pa.array(order)
    match = match[order]
    return Matches(owner_of[match], match, lefts.take(places), rights.take(places))


def _absent(named: Named) -> pa.Array:
    return pa.nulls(len(named.rows), pa.uint64())
