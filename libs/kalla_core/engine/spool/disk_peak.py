"""The most that a folder held while something went on: what was spilled is gone at its end."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future, wait
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from kalla_core.kept_threads import kept_threads

_INTERVAL_S = 0.5


class DiskPeak:
    """Looks at a folder twice a second, on a thread of its own, while a block runs.

    Attributes:
        bytes: the most that was seen; what comes and goes between two looks is not.
    """

    def __init__(self, folder: Path) -> None:
        self.bytes = 0
        self._folder = folder
        self._over = threading.Event()
        self._looking: Future[None] | None = None

    def __enter__(self) -> DiskPeak:
        self._looking = kept_threads(1, "disk-peak").submit(self._look)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        if self._looking is not None and not self._looking.cancel():
            wait([self._looking])

    def _look(self) -> None:
        while not self._over.wait(_INTERVAL_S):
            self.bytes = max(self.bytes, tree_bytes(self._folder))


def tree_bytes(folder: Path) -> int:
    """Return the bytes of all files below a folder that may change meanwhile."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.stat(os.path.join(place, name)).st_size
    return total
