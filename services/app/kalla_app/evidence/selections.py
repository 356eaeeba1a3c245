"""Which rows were asked for lately: whoever scrolls through a selection has it found only once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from threading import Lock

import numpy as np
import numpy.typing as npt

from kalla_app.evidence.asked import Asked
from kalla_app.evidence.kept import Kept
from kalla_app.evidence.order import Mask

_MOST_BYTES = 32 << 20
_EACH_BYTES = 500


class Selections:
    """Selections of rows, a bit each, as long as there is room; for several threads.

    Args:
        most_bytes: that all of them may take.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._kept = Kept[npt.NDArray[np.uint8]](most_bytes)
        self._lock = Lock()

    def mask(self, of: str, asked: Asked, count: int, make: Callable[[], Mask]) -> Mask:
        """Return which of `count` rows are asked for, made only if it is not kept.

        Args:
            of: what tells the files of the set from any others.
        """
        found = self.find(of, asked, count)
        if found is None:
            found = make()
            self.keep(of, asked, found)
        return found

    def find(self, of: str, asked: Asked, count: int) -> Mask | None:
        """Return which of `count` rows are asked for, if that is kept."""
        with self._lock:
            packed = self._kept.find((of, replace(asked, sort=None)))
        return None if packed is None else np.unpackbits(packed, count=count).view(np.bool_)

    def keep(self, of: str, asked: Asked, mask: Mask) -> None:
        """Keep which rows are asked for."""
        packed = np.packbits(mask)
        size = packed.nbytes + _EACH_BYTES + asked.bytes
        with self._lock:
            self._kept.keep((of, replace(asked, sort=None)), packed, size)
