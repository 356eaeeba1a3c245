"""What the joins of a late run tell of rows that are in no pair, until these are delivered.

A spool file by windows, see `kalla_core.fragments.windows`: the row's number, and why.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.engine.joins.sinks import EvidenceSinks, Outputs
from kalla_core.engine.reasons.verdicts import Reason
from kalla_core.engine.rows import Ints, one_chunk
from kalla_core.engine.spool.spool import Spool, SpoolFile, SpoolWriter
from kalla_core.engine.spool.store import PART_SHIFT
from kalla_core.errors import EngineFailure
from kalla_core.evidence.build import Reasons
from kalla_core.fragments.remote import DeliveredPart, SpoolInput
from kalla_core.fragments.windows import WINDOW_ROWS, window_count, window_starts
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.planned import Planned
from kalla_core.recipe.model import GroupForm

_CODES = pa.array([reason.value for reason in Reason])
_TOLD = pa.schema(
    [
        pa.field("number", pa.uint64(), nullable=False),
        pa.field("reason", pa.int8(), nullable=False),
        pa.field("detail", pa.string()),
        pa.field("closest", pa.string()),
    ]
)
_PLACE = (1 << PART_SHIFT) - 1


class Windows:
    """The windows of the parts of both sides.

    Attributes:
        count: how many there are.
    """

    def __init__(self, inputs: Sequence[SpoolInput]) -> None:
        """Take the parts in the order in which their windows are counted."""
        *starts, self.count = window_starts(one.rows for one in inputs)
        self._first = {
            side: np.zeros(1 + max((one.part for one in inputs), default=0), dtype=np.int64)
            for side in Side
        }
        for one, start in zip(inputs, starts, strict=True):
            if isinstance(one.table, Side):
                self._first[one.table][one.part] = start

    def of(self, side: Side, numbers: pa.Array) -> Ints:
        """Return the window of each of some rows, given their numbers."""
        whole = numbers.to_numpy().view(np.int64)
        found: Ints = self._first[side][whole >> PART_SHIFT] + (whole & _PLACE) // WINDOW_ROWS
        return found


class TellingWriter:
    """Writes what is told of rows; safe from any thread.

    Args:
        path: the file to make.
        run_bytes: see `SpoolWriter`.
    """

    def __init__(self, path: Path, windows: Windows, run_bytes: int) -> None:
        """Raises `OutOfDisk`, as `tell` and `finish` do."""
        self._windows = windows
        self._writer = SpoolWriter(path, _TOLD, max(windows.count, 1), run_bytes).open()
        self._lock = threading.Lock()

    def tell(self, side: Side, numbers: pa.Array, reasons: Reasons) -> None:
        """Tell why some rows are in no pair."""
        codes = pc.index_in(reasons.rejection_reason, _CODES).cast(pa.int8())
        if codes.null_count:
            raise EngineFailure("Rows are in no pair for a reason that joins do not have.")
        told = [numbers, codes, reasons.reason_detail, reasons.closest_candidate]
        batch = pa.RecordBatch.from_arrays(told, schema=_TOLD)
        windows = self._windows.of(side, numbers)
        with self._lock:
            self._writer.append([batch], windows)

    def finish(self) -> SpoolFile:
        """Write what is held."""
        return self._writer.finish()

    def discard(self) -> None:
        """Remove what was written."""
        self._writer.discard()


class ToldSinks(EvidenceSinks):
    """Writes pairs, and tells of rows without one, whose last column is their number."""

    def __init__(
        self,
        outputs: Outputs,
        planned: Planned,
        matched_at: datetime,
        groups: GroupForm,
        told: TellingWriter,
    ) -> None:
        super().__init__(outputs, planned, matched_at, groups)
        self._told = told

    def unmatched(self, side: Side, rows: pa.RecordBatch, reasons: Reasons) -> None:
        """Tell why rows are in no pair."""
        self._told.tell(side, rows.column(rows.num_columns - 1), reasons)

    def finish(self) -> SpoolFile:
        """Return what was told; nothing more is."""
        return self._told.finish()

    def abandon(self) -> None:
        """Close what is open, and remove what was told."""
        super().abandon()
        self._told.discard()


class ToldOfPart:
    """What all joins told of the rows of one part.

    Attributes:
        unmatched: for each row of the part, whether it is in no pair.
        count: of these rows.
    """

    def __init__(self, part: DeliveredPart, files: Sequence[SpoolFile]) -> None:
        """Raises `FetchFailed` if a file is damaged."""
        spool = Spool(_TOLD, tuple(files))
        numbers = range(part.window, part.window + window_count(part.rows))
        self._windows = [list(spool.read([number])) for number in numbers]
        self.count = sum(batch.num_rows for window in self._windows for batch in window)
        self.unmatched = np.zeros(part.rows, dtype=np.bool_)
        for window in self._windows:
            for batch in window:
                self.unmatched[_places(batch)] = True
        if self.count != int(np.count_nonzero(self.unmatched)):
            raise EngineFailure("More than one join told of the same row.")
        self._sorted = map(self._in_order, range(len(self._windows)))
        self._waiting = _TOLD.empty_table()

    def next(self, count: int) -> Reasons:
        """Return the reasons of the next unmatched rows, in the order of the part."""
        while len(self._waiting) < count:
            self._waiting = pa.concat_tables([self._waiting, next(self._sorted)])
        told, self._waiting = self._waiting.slice(0, count), self._waiting.slice(count)
        _, codes, detail, closest = map(one_chunk, told.columns)
        return Reasons(_CODES.take(codes), detail, closest)

    def _in_order(self, window: int) -> pa.Table:
        """Return what was told of the rows of a window, in their order, and let go of it."""
        batches, self._windows[window] = self._windows[window], []
        if not batches:
            return _TOLD.empty_table()
        start = window * WINDOW_ROWS
        marked = self.unmatched[start : start + WINDOW_ROWS]
        places = np.concatenate([_places(batch) for batch in batches]) - start
        at = np.empty(len(marked), dtype=np.int32)
        at[places] = np.arange(len(places), dtype=np.int32)
        told = pa.concat_batches(batches).take(pa.array(at[marked]))
        return pa.Table.from_batches([told])


def _places(batch: pa.RecordBatch) -> Ints:
    places: Ints = batch.column(0).to_numpy().view(np.int64) & _PLACE
    return places
