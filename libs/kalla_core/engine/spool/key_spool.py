"""Hashes of primary keys by class, for a census that is divided among machines.

Equal keys are in the same class on every machine, so whoever has all of a class counts for itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa

from kalla_core.engine.keys.census import Hashes, repeats
from kalla_core.engine.keys.keying import Ints
from kalla_core.engine.spool.spool import Spool, SpoolFile, SpoolWriter
from kalla_core.fragments.remote import CENSUS_CLASSES

_SCHEMA = pa.schema([pa.field("h", pa.int64(), nullable=False)])
_RUN_BYTES = 8 << 20
_SHIFT = 64 - (CENSUS_CLASSES - 1).bit_length()


class KeySpool:
    """Spools the hashes of one part's keys; for one thread."""

    def __init__(self, path: Path) -> None:
        """Raises `OutOfDisk`, as `add` and `finish` do."""
        self.nulls = 0
        self._writer = SpoolWriter(path, _SCHEMA, CENSUS_CLASSES, _RUN_BYTES).open()

    def add(self, hashes: Ints, nulls: int) -> None:
        """Take the hashes of keys without nulls, and the number of keys with nulls."""
        self.nulls += nulls
        if len(hashes):
            batch = pa.RecordBatch.from_arrays([pa.array(hashes)], schema=_SCHEMA)
            self._writer.append([batch], _classes(hashes))

    def finish(self) -> SpoolFile:
        """Write what is held."""
        return self._writer.finish()

    def discard(self) -> None:
        """Remove what was written."""
        self._writer.discard()


def count_repeats(files: Iterable[SpoolFile], classes: Iterable[int]) -> int:
    """Return how many keys in some classes repeat an earlier one, given the files of all parts."""
    spool = Spool(_SCHEMA, tuple(files))
    return sum(repeats(_hashes(spool, each)) for each in classes)


def _hashes(spool: Spool, which: int) -> Hashes:
    pieces = [batch.column(0).to_numpy() for batch in spool.read([which])]
    return np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int64)


def _classes(hashes: Ints) -> Ints:
    return (hashes.view(np.uint64) >> np.uint64(_SHIFT)).astype(np.int64)
