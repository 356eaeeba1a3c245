"""Where the inputs of joins lie, by executor: summed up when a scan changes, not when one asks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from kalla_coordinator.cluster.attempts import FragmentKey
from kalla_coordinator.cluster.layout import Join, Settle
from kalla_core.fragments.outcome import BucketSizes
from kalla_core.recipe.model import MAX_BUCKETS

_FIRST_ROWS = 8


class Near:
    """What each executor has on disk of each bucket, in bytes; a row per executor."""

    def __init__(self) -> None:
        self._row: dict[str, int] = {}
        self._stored: npt.NDArray[np.int64] = np.zeros((_FIRST_ROWS, MAX_BUCKETS), dtype=np.int64)
        self._known: dict[FragmentKey, tuple[Join | Settle, Mapping[str, int]]] = {}

    def add(self, executor: str, sizes: BucketSizes, times: int) -> None:
        """Note what a scan left on an executor, or with -1 that it is not there any more."""
        row = self._row.setdefault(executor, len(self._row))
        if row == len(self._stored):
            self._stored = np.concatenate([self._stored, np.zeros_like(self._stored)])
        self._stored[row, sizes.numbers] += times * sizes.stored_bytes
        self._known.clear()

    def of(self, key: FragmentKey, laid: Join | Settle) -> Mapping[str, int]:
        """Return how many bytes each executor has of the buckets of a fragment, if it has any.

        Args:
            laid: what the fragment `key` does.
        """
        before = self._known.get(key)
        if before is not None and before[0] is laid:
            return before[1]
        sums = self._stored[: len(self._row), list(laid.buckets)].sum(axis=1).tolist()
        near = {name: size for name, size in zip(self._row, sums, strict=True) if size}
        self._known[key] = (laid, near)
        return near
