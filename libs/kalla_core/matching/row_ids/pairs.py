"""From result rows to the pairs of source rows they stand for.

A result row carries hidden columns (`origins`). Its pairs are all (left row, right row) that can
be read from them together: what sits side by side combines, what was folded into a list combines
only with what was folded from the same row, and with everything beside the list. A null on either
side gives no pair, and a pair counts once per result row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datafusion import DataFrame

from kalla_core.matching.row_ids.named import (
    NOTHING,
    Named,
    Rows,
    changes,
    elements,
    flattened,
    is_plain,
    only_product,
    owned,
    windows,
)
from kalla_core.matching.row_ids.origins import Collected, Origin
from kalla_core.matching.row_ids.pair_numbers import Pairs, Scale
from kalla_core.matching.sql.query import Side

MOST_PAIRS = 1 << 16
"""How many pairs come at a time: groups that match groups have m x n of them."""


@dataclass(frozen=True, slots=True)
class PairFrame:
    """Match SQL, ready to run.

    Attributes:
        frame: the user's columns, then one hidden column per origin.
        columns: how many columns are the user's.
        origins: what the hidden columns hold, in their order.
    """

    frame: DataFrame
    columns: int
    origins: tuple[Origin, ...]


def expand(batch: pa.RecordBatch, pair_frame: PairFrame, most: int = MOST_PAIRS) -> Iterator[Pairs]:
    """Yield the pairs that the rows of `batch`, produced by `pair_frame`, stand for.

    Args:
        most: pairs at a time. More come together only where one row of a side has more partners
            than that.
    """
    hidden = [batch.column(pair_frame.columns + i) for i in range(len(pair_frame.origins))]
    rows = np.arange(batch.num_rows, dtype=np.int64)
    if is_plain(pair_frame.origins):
        for start in range(0, len(rows), most):
            window = [value.slice(start, most) for value in hidden]
            yield plain(pair_frame.origins, window, rows[start : start + most])
        return
    places = only_product(pair_frame.origins)
    if places is not None:
        left, right = (flattened(pair_frame.origins[i], hidden[i], rows) for i in places)
        yield from _in_pieces(left[Side.LEFT], right[Side.RIGHT], most)
        return
    for start, end in windows(most_pairs(pair_frame.origins, hidden, rows), most):
        window = [value.slice(start, end - start) for value in hidden]
        yield from _distinct(_pairs(pair_frame.origins, window, rows[start:end]), most)


def most_pairs(origins: Sequence[Origin], values: Sequence[pa.Array], rows: Rows) -> Rows:
    """Return for each of `rows` how many pairs `_pairs` yields at most; `rows` ascend by one."""
    if is_plain(origins):
        return np.ones(len(rows), dtype=np.int64)
    here = rows - rows[:1]
    total = np.zeros(len(rows), dtype=np.int64)
    parts = zip(origins, values, strict=True) if len(origins) > 1 else ()
    counts = [
        {side: np.bincount(named.rows, minlength=len(rows)) for side, named in flat.items()}
        for flat in (flattened(origin, value, here) for origin, value in parts)
    ]
    for one, other in combinations(counts, 2):
        total += one[Side.LEFT] * other[Side.RIGHT] + other[Side.LEFT] * one[Side.RIGHT]
    for origin, value in zip(origins, values, strict=True):
        if isinstance(origin, Collected) and has_pairs_within(origin):
            if is_plain(origin.members):
                total += pc.list_value_length(value).fill_null(0).to_numpy()
                continue
            members, owners = elements(origin, value)
            each = np.arange(len(owners), dtype=np.int64)
            within = most_pairs(origin.members, members, each)
            np.add.at(total, owners, within)
    return total


def plain(origins: Sequence[Origin], hidden: Sequence[pa.Array], rows: Rows) -> Pairs:
    """Return the pairs of a join of two tables, at most one per row."""
    by_side = dict(zip((next(iter(o.sides)) for o in origins), hidden, strict=True))
    left, right = by_side[Side.LEFT], by_side[Side.RIGHT]
    if left.null_count or right.null_count:
        both = pc.and_(left.is_valid(), right.is_valid())
        left, right = left.filter(both), right.filter(both)
        rows = rows[both.to_numpy(zero_copy_only=False)]
    return Pairs(rows, left.to_numpy(), right.to_numpy())


def _pairs(origins: Sequence[Origin], values: Sequence[pa.Array], rows: Rows) -> Iterator[Pairs]:
    """Yield the pairs of what sits side by side, with repetitions.

    Args:
        origins: what the values hold.
        values: arrays of one length, side by side.
        rows: the result row each of their elements belongs to, ascending.
    """
    if is_plain(origins):
        yield plain(origins, values, rows)
        return
    parts = zip(origins, values, strict=True) if len(origins) > 1 else ()
    flat = [flattened(origin, value, rows) for origin, value in parts]
    for one, other in combinations(flat, 2):
        yield product(one[Side.LEFT], other[Side.RIGHT])
        yield product(other[Side.LEFT], one[Side.RIGHT])
    for origin, value in zip(origins, values, strict=True):
        if isinstance(origin, Collected) and has_pairs_within(origin):
            yield from _pairs_within(origin, value, rows)


def has_pairs_within(origin: Origin) -> bool:
    """Whether rows of both sides may have been folded together."""
    return isinstance(origin, Collected) and len(origin.sides) == len(Side)


def _pairs_within(origin: Collected, value: pa.Array, rows: Rows) -> Iterator[Pairs]:
    """Yield the pairs inside each element of a list, as pairs of the list's result row."""
    members, owners = elements(origin, value)
    if is_plain(origin.members):
        yield plain(origin.members, members, owned(rows, owners))
        return
    # Elements are rows of their own here: what two elements hold does not combine.
    for found in _pairs(origin.members, members, np.arange(len(owners), dtype=np.int64)):
        yield Pairs(rows[owners[found.result_row]], found.left, found.right)


def product(left: Named, right: Named) -> Pairs:
    """Return every left number with every right number of the same row."""
    begin = np.searchsorted(right.rows, left.rows, side="left")
    partners = np.searchsorted(right.rows, left.rows, side="right") - begin
    return _combined(left, right, begin, partners)


def _in_pieces(left: Named, right: Named, most: int) -> Iterator[Pairs]:
    """Yield what `product` returns, about `most` pairs at a time."""
    begin = np.searchsorted(right.rows, left.rows, side="left")
    partners = np.searchsorted(right.rows, left.rows, side="right") - begin
    for start, end in windows(partners, most):
        some = slice(start, end)
        piece = Named(left.rows[some], left.numbers[some])
        yield _combined(piece, right, begin[some], partners[some])


def _combined(left: Named, right: Named, begin: Rows, partners: Rows) -> Pairs:
    """Return each left number with so many right numbers, from the place where they begin."""
    total = int(partners.sum())
    first = np.repeat(np.cumsum(partners) - partners, partners)
    within = np.arange(total, dtype=np.int64) - first
    return Pairs(
        np.repeat(left.rows, partners),
        np.repeat(left.numbers, partners),
        right.numbers[np.repeat(begin, partners) + within],
    )


def joined(parts: Sequence[Pairs]) -> Pairs:
    """Return all pairs of all parts."""
    kept = parts or [product(NOTHING, NOTHING)]
    return Pairs(
        np.concatenate([part.result_row for part in kept]),
        np.concatenate([part.left for part in kept]),
        np.concatenate([part.right for part in kept]),
    )


def _distinct(parts: Iterable[Pairs], most: int) -> Iterator[Pairs]:
    """Yield what `distinct` makes of all parts together, `most` pairs at a time."""
    held = [part for part in parts if len(part)]
    scale = Scale.over(held)
    if scale is None:
        pairs = distinct(joined(held))
        for start in range(0, len(pairs), most):
            some = slice(start, start + most)
            yield Pairs(pairs.result_row[some], pairs.left[some], pairs.right[some])
        return
    numbers = scale.distinct(held)
    del held  # it may be large
    for start in range(0, len(numbers), most):
        yield scale.pairs(numbers[start : start + most])


def distinct(pairs: Pairs) -> Pairs:
    """Return each pair once per result row, sorted."""
    order = np.lexsort((pairs.right, pairs.left, pairs.result_row))
    rows, left, right = pairs.result_row[order], pairs.left[order], pairs.right[order]
    fresh = changes(rows, left, right)
    return Pairs(rows[fresh], left[fresh], right[fresh])
