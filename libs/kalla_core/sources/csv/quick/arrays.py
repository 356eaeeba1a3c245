"""Values of 64 bits as columns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]


class Column:
    """Room for the values of a column of a type of 32 or 64 bits, or a decimal.

    Args:
        wanted: the type.
        size: how many values there will be.
    """

    def __init__(self, wanted: pa.DataType, size: int) -> None:
        self._wanted = wanted
        is_wide = pa.types.is_decimal128(wanted)
        kind = np.int32 if wanted.bit_width == 32 else np.int64
        self._values = np.empty((size, 2) if is_wide else size, kind)
        self._low = self._values[:, 0] if is_wide else self._values
        self._high = self._values[:, 1] if is_wide else None

    def put(self, start: int, values: Numbers) -> None:
        """Put values in from a place on."""
        places = slice(start, start + len(values))
        self._low[places] = values
        if self._high is not None:
            np.right_shift(values, 63, out=self._high[places])

    def array(self, texts: pa.StringArray) -> pa.Array:
        """Return the values, null where the texts are."""
        validity = None
        if texts.null_count:
            given = texts.is_valid().to_numpy(zero_copy_only=False)
            validity = pa.py_buffer(np.packbits(given, bitorder="little"))
        values = pa.py_buffer(self._values)
        return pa.Array.from_buffers(self._wanted, len(texts), [validity, values])
