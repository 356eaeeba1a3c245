"""Row numbers of both sides in the hidden columns of result rows, each with the row that names it.

What `pairs` and `members` make of result rows begins here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.matching.row_ids.origins import Collected, Origin, RowId
from kalla_core.matching.sql.query import Side

Rows = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Named:
    """Row numbers of one side, each with the row that names it; sorted by row."""

    rows: Rows
    numbers: Numbers


Flat = dict[Side, Named]


def is_plain(origins: Sequence[Origin]) -> bool:
    """Whether there is one row number per side and nothing else: a join of two tables."""
    sides = [origin.side for origin in origins if isinstance(origin, RowId)]
    return len(origins) == 2 and sorted(sides) == sorted(Side)


def only_product(origins: Sequence[Origin]) -> tuple[int, int] | None:
    """Return the places of the only origins of each side; None if pairs come in more ways.

    What one origin names of a side it names once, so that their product has no pair twice.
    """
    left, right = ([i for i, o in enumerate(origins) if side in o.sides] for side in Side)
    if len(left) == 1 and len(right) == 1 and left != right:
        return left[0], right[0]
    return None


def flattened(origin: Origin, value: pa.Array, rows: Rows) -> Flat:
    """Return all row numbers in a column, per side, each with its result row."""
    if isinstance(origin, RowId):
        return {origin.side: _present(value, rows), origin.side.other: NOTHING}
    members, owners = elements(origin, value)
    parts = [
        flattened(member, array, owned(rows, owners))
        for member, array in zip(origin.members, members, strict=True)
    ]
    return {
        side: merged([part[side] for part in parts]) if side in origin.sides else NOTHING
        for side in Side
    }


def _present(value: pa.Array, rows: Rows) -> Named:
    if value.null_count:
        valid = value.is_valid()
        rows = rows[valid.to_numpy(zero_copy_only=False)]
        value = value.drop_null()
    return Named(rows, value.to_numpy())


NOTHING = Named(np.empty(0, np.int64), np.empty(0, np.uint64))


def elements(origin: Collected, value: pa.Array) -> tuple[list[pa.Array], Rows]:
    """Return the members of all elements of a list column, and the list each element is in."""
    elements = value.flatten()
    if len(value) == 1:  # may have millions of them
        owners = np.broadcast_to(np.int64(0), len(elements))
    else:
        owners = pc.list_parent_indices(value).to_numpy()
    if len(origin.members) == 1:
        return [elements], owners
    return elements.flatten(), owners


def owned(rows: Rows, owners: Rows) -> Rows:
    """Return the rows of the elements of lists: those of the lists that `elements` tells."""
    return np.broadcast_to(rows, len(owners)) if len(rows) == 1 else rows[owners]


def merged(parts: Sequence[Named]) -> Named:
    """Return the row numbers of all parts, each once per result row."""
    rows = np.concatenate([part.rows for part in parts])
    numbers = np.concatenate([part.numbers for part in parts])
    ascending = (rows[1:] > rows[:-1]) | ((rows[1:] == rows[:-1]) & (numbers[1:] > numbers[:-1]))
    if ascending.all():
        return Named(rows, numbers)
    order = np.lexsort((numbers, rows))
    rows, numbers = rows[order], numbers[order]
    fresh = changes(rows, numbers)
    return Named(rows[fresh], numbers[fresh])


def changes(*sorted_columns: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    """Return which rows differ from the one before."""
    fresh = np.ones(len(sorted_columns[0]), dtype=np.bool_)
    fresh[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in sorted_columns])
    return fresh


def windows(sizes: Rows, most: int) -> Iterator[tuple[int, int]]:
    """Yield ranges that sum up to `most` or are of one size, and cover all sizes that are not 0."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = int(ends[start] - sizes[start])
        end = max(int(np.searchsorted(ends, before + most, side="right")), start + 1)
        if ends[end - 1] > before:
            yield start, end
        start = end
