"""The values of a column that are read from their bytes, and which are left to patterns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from kalla_core.sources.csv.quick.arrays import Column, Flags, Numbers
from kalla_core.sources.csv.quick.moments import quick_moments
from kalla_core.sources.csv.quick.numbers import ROWS, quick_numbers
from kalla_core.sources.csv.spelling import Spelling

_MOST_BYTES = 128 * ROWS
"""Of texts looked at; longer ones are no numbers and no moments, and would take much memory."""


def quick_values(
    texts: pa.StringArray,
    spelling: Spelling,
    wanted: pa.DataType,
    currency: str | None = None,
    *,
    canonical: bool = False,
) -> tuple[pa.Array, Flags] | None:
    """Return the values of texts, and which texts are yet to be read; None if all are.

    Args:
        texts: as they are written, null where there is no value.
        spelling: how they are written.
        wanted: what the values shall be.
        currency: the only one that may stand beside numbers.
        canonical: whether integers have no leading zeros.
    """
    column = None
    left = np.ones(len(texts), np.bool_)
    for start in range(0, len(texts), ROWS):
        some = texts.slice(start, ROWS)
        if some.nbytes > _MOST_BYTES:
            return None
        found = _quick(some, spelling, wanted, currency, canonical=canonical)
        if found is None:
            return None
        column = column or Column(wanted, len(texts))
        values, read = found
        column.put(start, values)
        np.logical_not(read, out=left[start : start + len(some)])
    if column is None:
        return None
    if texts.null_count:
        left &= texts.is_valid().to_numpy(zero_copy_only=False)
    return column.array(texts), left


def _quick(
    texts: pa.StringArray,
    spelling: Spelling,
    wanted: pa.DataType,
    currency: str | None,
    *,
    canonical: bool,
) -> tuple[Numbers, Flags] | None:
    if formats := spelling.formats(wanted):
        return quick_moments(texts, formats[0], wanted)
    if spelling.numbers is not None and spelling.rewrites(wanted):
        return quick_numbers(texts, spelling.numbers, currency, wanted, canonical=canonical)
    return None
