"""What joins of numbered rows tell of those that are in no pair, until these are delivered whole.

A spool file by windows, see `kalla_core.fragments.windows`: the row's number, and why.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.engine.joins.context import Sinks
from kalla_core.engine.joins.grouped import GroupedPiece
from kalla_core.engine.joins.late import picked
from kalla_core.engine.reasons.verdicts import Reason
from kalla_core.engine.rows import Bools, Ints, one_chunk
from kalla_core.engine.spool.scan import OpenSource
from kalla_core.engine.spool.spool import Spool, SpoolFile, SpoolWriter
from kalla_core.engine.spool.store import PART_SHIFT
from kalla_core.errors import EngineFailure
from kalla_core.evidence.build import Reasons
from kalla_core.fragments.remote import DeliveredPart
from kalla_core.fragments.windows import WINDOW_ROWS, window_count, window_starts
from kalla_core.matching.sql.query import Side

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

    def __init__(self, parts: Sequence[tuple[Side, int, int]]) -> None:
        """Take side, index and rows of each part, in the order in which windows are counted."""
        *starts, self.count = window_starts(rows for *_, rows in parts)
        most = max((index for _, index, _ in parts), default=0)
        self._first = {side: np.zeros(1 + most, dtype=np.int64) for side in Side}
        for (side, index, _), start in zip(parts, starts, strict=True):
            self._first[side][index] = start

    def first(self, side: Side, index: int) -> int:
        """Return the first window of a part."""
        return int(self._first[side][index])

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


class ToldSinks:
    """Writes pairs, and tells of rows without one, whose last column is their number."""

    def __init__(self, pairs: Sinks, told: TellingWriter) -> None:
        self._pairs = pairs
        self._told = told

    def matched(
        self, output: pa.RecordBatch, left_key: list[pa.Array], right_key: list[pa.Array]
    ) -> None:
        """Write pairs."""
        self._pairs.matched(output, left_key, right_key)

    def grouped(self, output: pa.RecordBatch, rows: GroupedPiece) -> None:
        """Write rows that say which match they belong to."""
        self._pairs.grouped(output, rows)

    def unmatched(self, side: Side, rows: pa.RecordBatch, reasons: Reasons) -> None:
        """Tell why rows are in no pair."""
        self._told.tell(side, rows.column(rows.num_columns - 1), reasons)

    def ended(self, side: Side | None) -> None:
        """Hear that nothing more is written of matches; unmatched rows come after the joins."""
        if side is None:
            self._pairs.ended(None)


class ToldOfPart:
    """What all joins told of the rows of one part.

    Attributes:
        unmatched: for each row of the part, whether it is in no pair.
        count: of these rows.
    """

    def __init__(self, part: DeliveredPart, files: Sequence[SpoolFile]) -> None:
        """Raises `FetchFailed` if a file is damaged."""
        self._spool = Spool(_TOLD, tuple(files))
        self._windows = range(part.window, part.window + window_count(part.rows))
        self.count = 0
        self.unmatched: Bools = np.zeros(part.rows, dtype=np.bool_)
        for batch in self._spool.read(self._windows):
            self.count += batch.num_rows
            self.unmatched[_places(batch)] = True
        if self.count != int(np.count_nonzero(self.unmatched)):
            raise EngineFailure("More than one join told of the same row.")
        self._sorted = 0
        self._waiting = _TOLD.empty_table()

    def next(self, count: int) -> Reasons:
        """Return the reasons of the next unmatched rows, in the order of the part."""
        while len(self._waiting) < count:
            self._waiting = pa.concat_tables([self._waiting, self._in_order(self._sorted)])
            self._sorted += 1
        told, self._waiting = self._waiting.slice(0, count), self._waiting.slice(count)
        _, codes, detail, closest = map(one_chunk, told.columns)
        return Reasons(_CODES.take(codes), detail, closest)

    def _in_order(self, window: int) -> pa.Table:
        """Return what was told of the rows of a window, in their order."""
        batches = list(self._spool.read([self._windows[window]]))
        if not batches:
            return _TOLD.empty_table()
        start = window * WINDOW_ROWS
        marked = self.unmatched[start : start + WINDOW_ROWS]
        places = np.concatenate([_places(batch) for batch in batches]) - start
        at = np.empty(len(marked), dtype=np.int32)
        at[places] = np.arange(len(places), dtype=np.int32)
        told = pa.concat_batches(batches).take(pa.array(at[marked]))
        return pa.Table.from_batches([told])


def deliver(source: OpenSource, part: DeliveredPart, told: ToldOfPart, sinks: Sinks) -> None:
    """Read the unmatched rows of a part whole, and write them with what was told of them.

    Raises:
        SourceChanged: the part has not the rows that it had.
        KallaError: as the connector does.
    """
    if not told.count:
        return
    for rows in picked(source, part.part, source.pinned.schema.names, told.unmatched):
        sinks.unmatched(part.side, rows, told.next(rows.num_rows))


def _places(batch: pa.RecordBatch) -> Ints:
    places: Ints = batch.column(0).to_numpy().view(np.int64) & _PLACE
    return places
