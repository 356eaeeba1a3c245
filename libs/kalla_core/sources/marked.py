"""Rows by flags, one per row, of what is read batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kalla_core.errors import SourceChanged

Bools = npt.NDArray[np.bool_]


class Flags:
    """Hands out one flag per row, in the order of the rows.

    Raises:
        SourceChanged: by `take` and `finish`, when there are more rows, or fewer, than flags.
    """

    def __init__(self, flags: Bools) -> None:
        self._flags = flags
        self._taken = 0

    def take(self, rows: int) -> Bools:
        """Return the flags of the next rows."""
        start, self._taken = self._taken, self._taken + rows
        if self._taken > len(self._flags):
            raise self._changed()
        return self._flags[start : self._taken]

    def finish(self) -> None:
        """Say that there are no more rows."""
        if self._taken != len(self._flags):
            raise self._changed()

    def _changed(self) -> SourceChanged:
        return SourceChanged(
            f"It changed while it was read: a part of it had {len(self._flags)} rows at first and "
            "another number later."
        )


def marked(batches: Iterable[pa.RecordBatch], flags: Bools) -> Iterator[pa.RecordBatch]:
    """Yield the rows that `flags` marks; no batch is empty.

    Raises:
        SourceChanged: there are not as many rows as flags.
    """
    left = Flags(flags)
    for batch in batches:
        wanted = left.take(batch.num_rows)
        if wanted.any():
            yield batch.take(pa.array(np.flatnonzero(wanted)))
    left.finish()
