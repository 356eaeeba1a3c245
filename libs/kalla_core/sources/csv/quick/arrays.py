"""Values of 64 bits as columns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]


def array_of(
    values: npt.NDArray[np.int64] | npt.NDArray[np.int32],
    texts: pa.StringArray,
    wanted: pa.DataType,
) -> pa.Array:
    """Return values as a column of a type of their size or a decimal, null where the texts are."""
    if pa.types.is_decimal128(wanted):
        wide = np.empty((len(values), 2), np.int64)
        wide[:, 0] = values
        wide[:, 1] = values >> 63
        values = wide
    validity = None
    if texts.null_count:
        given = texts.is_valid().to_numpy(zero_copy_only=False)
        validity = pa.py_buffer(np.packbits(given, bitorder="little"))
    return pa.Array.from_buffers(wanted, len(texts), [validity, pa.py_buffer(values)])
