"""The most that a folder held while something went on: what was spilled is gone at its end."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType

from kalla_core.engine.spool.spool_folder import tree_bytes

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
        self._thread = threading.Thread(target=self._look, name="disk-peak", daemon=True)

    def __enter__(self) -> DiskPeak:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(_INTERVAL_S):
            self.bytes = max(self.bytes, tree_bytes(self._folder))
