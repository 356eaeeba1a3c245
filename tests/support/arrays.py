"""Small arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def int64s(values: Sequence[int]) -> npt.NDArray[np.int64]:
    """Return values as int64."""
    return np.array(values, dtype=np.int64)
