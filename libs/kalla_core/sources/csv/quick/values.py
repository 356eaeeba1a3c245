"""The values of a column that are read from their bytes, and which are left to patterns."""

from __future__ import annotations

import pyarrow as pa

from kalla_core.sources.csv.quick.arrays import Flags
from kalla_core.sources.csv.quick.moments import quick_moments
from kalla_core.sources.csv.quick.numbers import quick_numbers
from kalla_core.sources.csv.spelling import Spelling


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
    found = None
    if formats := spelling.formats(wanted):
        found = quick_moments(texts, formats[0], wanted)
    elif spelling.numbers is not None and spelling.rewrites(wanted):
        found = quick_numbers(texts, spelling.numbers, currency, wanted, canonical=canonical)
    if found is None:
        return None
    values, read = found
    left = ~read
    if texts.null_count:
        left &= texts.is_valid().to_numpy(zero_copy_only=False)
    return values, left
