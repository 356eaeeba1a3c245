"""From result rows to the pairs of source rows they stand for.

A result row carries hidden columns (`origins`). Its pairs are all (left row, right row) that can
be read from them together: what sits side by side combines, what was folded into a list combines
only with what was folded from the same row, and with everything beside the list. A null on either
side gives no pair, and a pair counts once per result row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from datafusion import DataFrame

from kalla_core.matching.origins import Collected, Origin, RowId
from kalla_core.matching.query import Side

MOST_PAIRS = 1 << 16
"""How many pairs come at a time: groups that match groups have m x n of them."""

Rows = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.uint64]


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


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of source rows; three arrays of one length, in the order of the result rows.

    Attributes:
        result_row: row of the batch that a pair comes from, int64.
        left: row numbers of the left side, uint64.
        right: row numbers of the right side, uint64.
    """

    result_row: Rows
    left: Numbers
    right: Numbers

    def __len__(self) -> int:
        return len(self.result_row)


@dataclass(frozen=True, slots=True)
class _Named:
    """Row numbers of one side, each with the row that names it; sorted by row."""

    rows: Rows
    numbers: Numbers


_Flat = dict[Side, _Named]


def expand(batch: pa.RecordBatch, pair_frame: PairFrame, most: int = MOST_PAIRS) -> Iterator[Pairs]:
    """Yield the pairs that the rows of `batch`, produced by `pair_frame`, stand for.

    Args:
        most: pairs at a time. More come together only where the pairs of one result row have to
            be told apart, or one row of a side has more partners than that.
    """
    hidden = [batch.column(pair_frame.columns + i) for i in range(len(pair_frame.origins))]
    rows = np.arange(batch.num_rows, dtype=np.int64)
    if _is_plain(pair_frame.origins):
        yield _plain(pair_frame.origins, hidden, rows)
        return
    product = _only_product(pair_frame.origins)
    if product is not None:
        left, right = (_flattened(pair_frame.origins[i], hidden[i], rows) for i in product)
        yield from _in_pieces(left[Side.LEFT], right[Side.RIGHT], most)
        return
    for start, end in _windows(_most_pairs(pair_frame.origins, hidden, rows), most):
        window = [value.slice(start, end - start) for value in hidden]
        found = [part for part in _pairs(pair_frame.origins, window, rows[start:end]) if len(part)]
        yield _distinct(_joined(found))


def _only_product(origins: Sequence[Origin]) -> tuple[int, int] | None:
    """Return the places of the only origins of each side; None if pairs come in more ways.

    What one origin names of a side it names once, so that their product has no pair twice.
    """
    left, right = ([i for i, o in enumerate(origins) if side in o.sides] for side in Side)
    if len(left) == 1 and len(right) == 1 and left != right:
        return left[0], right[0]
    return None


def _most_pairs(origins: Sequence[Origin], values: Sequence[pa.Array], rows: Rows) -> Rows:
    """Return for each of `rows` how many pairs `_pairs` yields at most; `rows` ascend by one."""
    if _is_plain(origins):
        return np.ones(len(rows), dtype=np.int64)
    here = rows - rows[:1]
    total = np.zeros(len(rows), dtype=np.int64)
    parts = zip(origins, values, strict=True) if len(origins) > 1 else ()
    counts = [
        {side: np.bincount(named.rows, minlength=len(rows)) for side, named in flat.items()}
        for flat in (_flattened(origin, value, here) for origin, value in parts)
    ]
    for one, other in combinations(counts, 2):
        total += one[Side.LEFT] * other[Side.RIGHT] + other[Side.LEFT] * one[Side.RIGHT]
    for origin, value in zip(origins, values, strict=True):
        if isinstance(origin, Collected) and _has_pairs_within(origin):
            members, owners = _elements(origin, value)
            each = np.arange(len(owners), dtype=np.int64)
            within = _most_pairs(origin.members, members, each)
            np.add.at(total, owners, within)
    return total


def _windows(sizes: Rows, most: int) -> Iterator[tuple[int, int]]:
    """Yield ranges that sum up to `most` or are of one size, and cover all sizes that are not 0."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = int(ends[start] - sizes[start])
        end = max(int(np.searchsorted(ends, before + most, side="right")), start + 1)
        if ends[end - 1] > before:
            yield start, end
        start = end


def _is_plain(origins: Sequence[Origin]) -> bool:
    """Whether there is one row number per side and nothing else: a join of two tables."""
    sides = [origin.side for origin in origins if isinstance(origin, RowId)]
    return len(origins) == 2 and sorted(sides) == sorted(Side)


def _plain(origins: Sequence[Origin], hidden: Sequence[pa.Array], rows: Rows) -> Pairs:
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
    if _is_plain(origins):
        yield _plain(origins, values, rows)
        return
    parts = zip(origins, values, strict=True) if len(origins) > 1 else ()
    flat = [_flattened(origin, value, rows) for origin, value in parts]
    for one, other in combinations(flat, 2):
        yield _product(one[Side.LEFT], other[Side.RIGHT])
        yield _product(other[Side.LEFT], one[Side.RIGHT])
    for origin, value in zip(origins, values, strict=True):
        if isinstance(origin, Collected) and _has_pairs_within(origin):
            yield from _pairs_within(origin, value, rows)


def _has_pairs_within(origin: Origin) -> bool:
    """Whether rows of both sides may have been folded together."""
    return isinstance(origin, Collected) and len(origin.sides) == len(Side)


def _pairs_within(origin: Collected, value: pa.Array, rows: Rows) -> Iterator[Pairs]:
    """Yield the pairs inside each element of a list, as pairs of the list's result row."""
    members, owners = _elements(origin, value)
    # Elements are rows of their own here: what two elements hold does not combine.
    for found in _pairs(origin.members, members, np.arange(len(owners), dtype=np.int64)):
        yield Pairs(rows[owners[found.result_row]], found.left, found.right)


def _flattened(origin: Origin, value: pa.Array, rows: Rows) -> _Flat:
    """Return all row numbers in a column, per side, each with its result row."""
    if isinstance(origin, RowId):
        return {origin.side: _present(value, rows), origin.side.other: _NOTHING}
    members, owners = _elements(origin, value)
    parts = [
        _flattened(member, array, rows[owners])
        for member, array in zip(origin.members, members, strict=True)
    ]
    return {
        side: _merged([part[side] for part in parts]) if side in origin.sides else _NOTHING
        for side in Side
    }


def _present(value: pa.Array, rows: Rows) -> _Named:
    if value.null_count:
        valid = value.is_valid()
        rows = rows[valid.to_numpy(zero_copy_only=False)]
        value = value.drop_null()
    return _Named(rows, value.to_numpy())


_NOTHING = _Named(np.empty(0, np.int64), np.empty(0, np.uint64))


def _elements(origin: Collected, value: pa.Array) -> tuple[list[pa.Array], Rows]:
    """Return the members of all elements of a list column, and the list each element is in."""
    elements = value.flatten()
    owners = pc.list_parent_indices(value).to_numpy()
    if len(origin.members) == 1:
        return [elements], owners
    return elements.flatten(), owners


def _merged(parts: Sequence[_Named]) -> _Named:
    """Return the row numbers of all parts, each once per result row."""
    rows = np.concatenate([part.rows for part in parts])
    numbers = np.concatenate([part.numbers for part in parts])
    ascending = (rows[1:] > rows[:-1]) | ((rows[1:] == rows[:-1]) & (numbers[1:] > numbers[:-1]))
    if ascending.all():
        return _Named(rows, numbers)
    order = np.lexsort((numbers, rows))
    rows, numbers = rows[order], numbers[order]
    fresh = _changes(rows, numbers)
    return _Named(rows[fresh], numbers[fresh])


def _changes(*sorted_columns: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    """Return which rows differ from the one before."""
    fresh = np.ones(len(sorted_columns[0]), dtype=np.bool_)
    fresh[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in sorted_columns])
    return fresh


def _product(left: _Named, right: _Named) -> Pairs:
    """Return every left number with every right number of the same row."""
    begin = np.searchsorted(right.rows, left.rows, side="left")
    partners = np.searchsorted(right.rows, left.rows, side="right") - begin
    return _combined(left, right, begin, partners)


def _in_pieces(left: _Named, right: _Named, most: int) -> Iterator[Pairs]:
    """Yield what `_product` returns, about `most` pairs at a time."""
    begin = np.searchsorted(right.rows, left.rows, side="left")
    partners = np.searchsorted(right.rows, left.rows, side="right") - begin
    for start, end in _windows(partners, most):
        some = slice(start, end)
        piece = _Named(left.rows[some], left.numbers[some])
        yield _combined(piece, right, begin[some], partners[some])


def _combined(left: _Named, right: _Named, begin: Rows, partners: Rows) -> Pairs:
    """Return each left number with so many right numbers, from the place where they begin."""
    total = int(partners.sum())
    first = np.repeat(np.cumsum(partners) - partners, partners)
    within = np.arange(total, dtype=np.int64) - first
    return Pairs(
        np.repeat(left.rows, partners),
        np.repeat(left.numbers, partners),
        right.numbers[np.repeat(begin, partners) + within],
    )


def _joined(parts: Sequence[Pairs]) -> Pairs:
    kept = parts or [_product(_NOTHING, _NOTHING)]
    return Pairs(
        np.concatenate([part.result_row for part in kept]),
        np.concatenate([part.left for part in kept]),
        np.concatenate([part.right for part in kept]),
    )


def _distinct(pairs: Pairs) -> Pairs:
    """Return each pair once per result row, sorted."""
    order = np.lexsort((pairs.right, pairs.left, pairs.result_row))
    rows, left, right = pairs.result_row[order], pairs.left[order], pairs.right[order]
    fresh = _changes(rows, left, right)
    return Pairs(rows[fresh], left[fresh], right[fresh])
