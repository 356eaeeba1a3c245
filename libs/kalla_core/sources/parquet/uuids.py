"""UUIDs of 16 bytes as texts. Pure."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

_BYTES, _SIGNS = 16, 36
_HEX = np.frombuffer("".join(f"{value:02x}" for value in range(256)).encode(), np.uint8)
_DASHES = (8, 13, 18, 23)
_PLACES = np.array([place for place in range(_SIGNS) if place not in _DASHES])


def uuid_texts(stored: pa.FixedSizeBinaryArray) -> pa.StringArray:
    """Return UUIDs as they are usually written: 8c3d7a52-96d6-4f4f-9a1e-0f2f4a9c7b11."""
    count = len(stored)
    data = np.frombuffer(stored.buffers()[1], np.uint8)
    start = stored.offset * _BYTES
    values = data[start : start + count * _BYTES].reshape(count, _BYTES)
    signs = np.full((count, _SIGNS), ord("-"), np.uint8)
    signs[:, _PLACES] = _HEX.reshape(256, 2)[values].reshape(count, 2 * _BYTES)
    ends = np.arange(count + 1, dtype=np.int32) * _SIGNS
    texts = pa.Array.from_buffers(
        pa.string(), count, [None, pa.py_buffer(ends), pa.py_buffer(signs.tobytes())]
    )
    return texts if not stored.null_count else texts.filter(stored.is_valid()).take(_places(stored))


def _places(stored: pa.Array) -> pa.Array:
    """Return where each value stands among those that are there."""
    there = np.asarray(stored.is_valid())
    return pa.array(np.cumsum(there) - 1, pa.int64(), mask=~there)
