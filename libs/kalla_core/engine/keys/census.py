"""Counts rows whose primary key is null or taken, in bounded memory.

Keys are counted by a 64-bit hash: two different keys are taken for one with a probability of
about n² / 2⁶⁵, one in 90,000 at 20 million rows.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kalla_core.engine.keys.key_counts import KeyCounts
from kalla_core.evidence.disk import disk_errors

Hashes = npt.NDArray[np.int64]

_CLASSES = 64


@dataclass
class KeyCensus:
    """Collects the hashes of one side's primary keys from several threads.

    Args:
        folder: where hashes go once more than `held_rows` are held.
    """

    folder: Path
    name: str
    held_rows: int = 4_000_000
    _held: list[Hashes] = field(default_factory=list)
    _count: int = 0
    _nulls: int = 0
    _spilled: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, hashes: Hashes, nulls: int) -> None:
        """Take the hashes of keys without nulls, and the number of keys with nulls.

        Raises:
            OutOfDisk: here and from `finish`.
        """
        with self._lock:
            self._held.append(hashes)
            self._count += len(hashes)
            self._nulls += nulls
            if self._count > self.held_rows:
                self._spill()

    def finish(self) -> KeyCounts:
        """Return the counts and delete what was written."""
        if not self._spilled:
            return KeyCounts(repeats(self._take()), self._nulls)
        self._spill()
        duplicates = 0
        for number in range(_CLASSES):
            path = self._path(number)
            with disk_errors(path):
                duplicates += repeats(np.fromfile(path, dtype=np.int64))
                path.unlink()
        return KeyCounts(duplicates, self._nulls)

    def _take(self) -> Hashes:
        hashes = np.concatenate(self._held) if self._held else np.zeros(0, dtype=np.int64)
        self._held.clear()
        self._count = 0
        return hashes

    def _spill(self) -> None:
        """Append what is held to one file per class, so that equal hashes meet in one file."""
        hashes = np.sort(self._take())
        edges = np.linspace(-(2**63), 2**63, _CLASSES + 1)[1:-1].astype(np.int64)
        mode = "ab" if self._spilled else "wb"  # an earlier scan may have left files behind
        for number, piece in enumerate(np.split(hashes, np.searchsorted(hashes, edges))):
            path = self._path(number)
            with disk_errors(path), path.open(mode) as file:
                file.write(piece.tobytes())
        self._spilled = True

    def _path(self, number: int) -> Path:
        return self.folder / f"keys-{self.name}-{number}"


def repeats(hashes: Hashes) -> int:
    """Return how many of these hashes an earlier one has already."""
    ordered = np.sort(hashes)
    return int((ordered[1:] == ordered[:-1]).sum())
