"""Where the inputs of joins lie, by executor: summed up when a scan changes, not when one asks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from operator import is_

import numpy as np
import numpy.typing as npt

from kalla_coordinator.cluster.attempts import Accepted, FragmentKey
from kalla_coordinator.cluster.layout import Join, Settle
from kalla_core.fragments.outcome import ScanDone

Sizes = npt.NDArray[np.int64]


class Near:
    """Remembers sums over accepted scans for as long as these are the same ones.

    States of a run share it: what it tells depends on its arguments alone, which are compared by
    identity, for none of them ever changes.
    """

    def __init__(self) -> None:
        self._scans: list[Accepted] = []
        self._stored: Mapping[str, Sizes] = {}
        self._near: dict[FragmentKey, tuple[Join | Settle, Mapping[str, int]]] = {}

    def look_at(self, scans: Iterable[Accepted], buckets: int) -> None:
        """Take note of the scans that are accepted and can be read, spread over `buckets`."""
        found = list(scans)
        if len(found) != len(self._scans) or not all(map(is_, found, self._scans)):
            self._scans, self._stored, self._near = found, _stored(found, buckets), {}

    def of(self, key: FragmentKey, laid: Join | Settle) -> Mapping[str, int]:
        """Return how many bytes each executor has on disk of the buckets of a fragment.

        Args:
            laid: what the fragment `key` does.
        """
        before = self._near.get(key)
        if before is not None and before[0] is laid:
            return before[1]
        chosen = list(laid.buckets)
        near = {name: int(sizes[chosen].sum()) for name, sizes in self._stored.items()}
        self._near[key] = (laid, near)
        return near


def _stored(scans: Iterable[Accepted], buckets: int) -> Mapping[str, Sizes]:
    """Return what each executor has on disk of each bucket, in bytes."""
    stored: dict[str, Sizes] = defaultdict(lambda: np.zeros(buckets, dtype=np.int64))
    for scan in scans:
        if isinstance(scan.outcome, ScanDone):
            sizes = stored[scan.executor]
            for bucket in scan.outcome.buckets:
                sizes[bucket.bucket] += bucket.stored_bytes
    return dict(stored)
