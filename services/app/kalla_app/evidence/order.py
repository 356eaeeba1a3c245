"""Rows in the order of one column: all of them in a file of places, or only the first ones.

The smallest come first, then what is no number, then nulls, and equal ones as they lie in the
file. The greatest first is what is known the other way round, and then the same as before.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kalla_app.evidence.beside import read, told_by, written

Places = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_KNOWN = "known"


@dataclass(frozen=True, slots=True)
class Order:
    """All rows of a set in the order of a column.

    Attributes:
        places: of the rows, the smallest first.
        known: how many of them have a value.
    """

    places: npt.NDArray[np.uint32]
    known: int

    def page(self, mask: Mask | None, offset: int, most: int, *, descending: bool) -> Places:
        """Return the places from `offset` up to `most` of those that are asked for."""
        places, known = self.places, self.known
        if mask is not None:
            kept = mask[places]
            known = int(np.count_nonzero(kept[:known]))
            places = places[kept]
        if not descending:
            return places[offset:most].astype(np.int64)
        last, first = max(0, known - offset), max(0, known - most)
        unknown = places[known + max(0, offset - known) : max(known, most)]
        return np.concatenate([places[first:last][::-1], unknown]).astype(np.int64)


class First:
    """The first rows of an order, out of pieces of the column in whatever sequence."""

    def __init__(self, most: int, *, descending: bool) -> None:
        self._most = most
        self._descending = descending
        self._kept: pa.Table | None = None
        self._last: pa.Scalar | None = None

    def is_beyond(self, least: Any, greatest: Any) -> bool:
        """Whether no value between two, and none that is unknown, is one of the first any more."""
        if self._last is None:
            return False
        last = self._last.as_py()
        return bool(greatest < last if self._descending else least > last)

    def add(self, values: pa.ChunkedArray | pa.Array, places: Places) -> None:
        """Take values in, and where each of them stands."""
        found = pa.table({"by": values, "place": places})
        if self._last is not None:
            # What is equal to the last may stand before it in the file.
            is_near = pc.greater_equal if self._descending else pc.less_equal
            found = found.filter(is_near(found.column("by"), self._last))
            if not found.num_rows:
                return
        kept = found if self._kept is None else pa.concat_tables([self._kept, found])
        order = _ordered(kept, descending=self._descending)[: self._most]
        self._kept = kept.take(pa.array(order))
        if self._kept.num_rows == self._most:
            last = self._kept.column("by")[-1]
            self._last = last if _is_known(last) else None

    def join(self, other: First) -> None:
        """Take in what another has kept of other pieces."""
        if other._kept is not None:
            places = other._kept.column("place").to_numpy()
            self.add(other._kept.column("by"), np.asarray(places, np.int64))

    def places(self) -> Places:
        """Return the places of the first, in order."""
        if self._kept is None:
            return np.empty(0, np.int64)
        return np.asarray(self._kept.column("place").to_numpy(), np.int64)


def order_of(values: pa.ChunkedArray) -> Order:
    """Return the order of a whole column."""
    places = pc.sort_indices(values).to_numpy()  # stable, and what is unknown last
    return Order(places.astype(np.uint32), len(values) - _unknown(values))


def write_order(path: Path, of: str, values: pa.ChunkedArray) -> None:
    """Write the order of a column of a set; `of` as `made_of` says."""
    order = order_of(values)
    field = pa.field("place", pa.uint32())
    with written(path, field, of, {_KNOWN: order.known}, packed=False) as writer:
        writer.write_batch(pa.record_batch([pa.array(order.places)], schema=pa.schema([field])))


def read_order(path: Path, of: str) -> Order | None:
    """Return an order that was written; None if there is none of these files."""
    reader = read(path, of, mapped=True)
    if reader is None:
        return None
    known = told_by(reader)[_KNOWN]
    assert isinstance(known, int)  # noqa: S101 - as we have written it
    return Order(reader.get_batch(0).column(0).to_numpy(), known)


def _ordered(kept: pa.Table, *, descending: bool) -> Places:
    """Return rows of `by` and `place` in order."""
    order = "descending" if descending else "ascending"
    indices = pc.sort_indices(kept, sort_keys=[("by", order), ("place", order)])
    if not descending:
        return np.asarray(indices.to_numpy(), np.int64)
    # What is unknown stands last all the same, and there as the smallest first have it.
    known = kept.num_rows - _unknown(kept.column("by"))
    tail = indices.to_numpy()[known:]
    nulls = kept.column("by").is_null().to_numpy()
    tail = tail[np.lexsort((kept.column("place").to_numpy()[tail], nulls[tail]))]
    return np.concatenate([indices.to_numpy()[:known], tail]).astype(np.int64)


def _unknown(values: pa.ChunkedArray) -> int:
    count = int(values.null_count)
    if pa.types.is_floating(values.type):
        count += int(pc.sum(pc.is_nan(values)).as_py() or 0)
    return count


def _is_known(value: pa.Scalar) -> bool:
    plain = value.as_py()
    return plain is not None and bool(plain == plain)
