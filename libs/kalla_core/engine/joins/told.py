"""What joins of numbered rows tell of those that are in no pair, until these are delivered whole.

A spool file by windows, see `kalla_core.fragments.windows`: of each row its number, why, and the
pieces of the sentence that says so which are its own. What all sentences of a form have in common
is told once: rows are told of in buckets by the form of their sentences, the words of these forms
in one bucket for all. A whole sentence is one piece, of the form that has no words.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kalla_core.engine.joins.context import Sinks
from kalla_core.engine.joins.late import picked
from kalla_core.engine.reasons.said import Codes, Lot, Said, Sentences, fewest
from kalla_core.engine.rows import Bools, IdArray, Ints
from kalla_core.engine.spool.scan import OpenSource
from kalla_core.engine.spool.spool import Segment, Spool, SpoolFile, SpoolWriter
from kalla_core.engine.spool.store import PART_SHIFT
from kalla_core.errors import EngineFailure
from kalla_core.evidence.build import Reasons
from kalla_core.fragments.remote import DeliveredPart
from kalla_core.fragments.windows import (
    FORMS,
    WINDOW_ROWS,
    WORDS,
    told_bucket,
    window_count,
    window_starts,
)
from kalla_core.matching.sql.query import Side

_WORDS = pa.schema([pa.field("form", pa.string(), nullable=False)])
_PLACE = (1 << PART_SHIFT) - 1

Form = tuple[str | None, ...]
"""The words of a sentence, and None in the place of each piece that is a row's own."""

_WHOLE: Form = (None,)


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

    def of(self, side: Side, numbers: IdArray) -> Ints:
        """Return the window of each of some rows, given their numbers."""
        whole = numbers.view(np.int64)
        found: Ints = self._first[side][whole >> PART_SHIFT] + (whole & _PLACE) // WINDOW_ROWS
        return found


class TellingWriter:
    """Writes what is told of rows whose last column is their number; safe from any thread.

    Args:
        path: the file to make.
    """

    def __init__(self, path: Path, windows: Windows) -> None:
        """Raises `OutOfDisk`, as `tell` and `finish` do."""
        self._windows = windows
        self._writer = SpoolWriter(path, _WORDS, told_bucket(windows.count, 0), 1).open()
        self._forms: dict[Form, int] = {_WHOLE: 0}
        self._lock = threading.Lock()

    def tell(
        self, side: Side, rows: Sequence[pa.RecordBatch], unmatched: Bools, said: Said
    ) -> None:
        """Tell why those rows of some batches are in no pair that `unmatched` marks."""
        every = [batch.column(batch.num_columns - 1).to_numpy() for batch in rows]
        numbers = np.concatenate(every)[unmatched]
        windows = self._windows.of(side, numbers)
        for lot in said.lots:
            if len(lot.at):
                self._tell(lot, numbers[lot.at], said.codes[lot.at], windows[lot.at])

    def finish(self) -> SpoolFile:
        """Write the words, and return the file."""
        words = pa.array([json.dumps(form) for form in self._forms])
        self._writer.write(WORDS, pa.RecordBatch.from_arrays([words], schema=_WORDS))
        return self._writer.finish()

    def discard(self) -> None:
        """Remove what was written."""
        self._writer.discard()

    def _tell(self, lot: Lot, numbers: IdArray, codes: Codes, windows: Ints) -> None:
        form, pieces = self._form(lot.sentences)
        columns = [pa.array(numbers), pa.array(codes), lot.closest, *pieces]
        batch = pa.RecordBatch.from_arrays(columns, schema=_schema(len(pieces)))
        if (windows[1:] < windows[:-1]).any():
            order = np.argsort(windows, kind="stable")
            batch, windows = batch.take(pa.array(order)), windows[order]
        ends = np.flatnonzero(windows[1:] != windows[:-1]) + 1
        with self._lock:
            for start, end in pairwise([0, *ends.tolist(), len(windows)]):
                bucket = told_bucket(int(windows[start]), form)
                self._writer.write(bucket, batch.slice(start, end - start))

    def _form(self, sentences: Sentences) -> tuple[int, list[pa.Array]]:
        """Return the number of the form of sentences, and the pieces that are not of it."""
        pieces = fewest(sentences.pieces)
        form = tuple(piece if isinstance(piece, str) else None for piece in pieces)
        with self._lock:
            if len(self._forms) < FORMS:
                self._forms.setdefault(form, len(self._forms))
            number = self._forms.get(form, 0)
        if number == 0:
            return 0, [sentences.whole()]
        return number, [piece for piece in pieces if not isinstance(piece, str)]


@contextmanager
def telling(path: Path, windows: Windows) -> Iterator[TellingWriter]:
    """Give what writes such a file; leaving by an error closes and removes it.

    Raises:
        OutOfDisk: it cannot be made.
    """
    writer = TellingWriter(path, windows)
    try:
        yield writer
    except BaseException:
        writer.discard()
        raise


class ToldFile:
    """What one join told."""

    def __init__(self, file: SpoolFile) -> None:
        """Raises `FetchFailed` if it is damaged, as `of` does."""
        self._file = file
        self._segments: dict[int, list[Segment]] = {}
        for segment in file.segments:
            self._segments.setdefault(segment.bucket, []).append(segment)
        words = [
            text for batch in self._read(WORDS, _WORDS) for text in batch.column(0).to_pylist()
        ]
        self._forms = [tuple(json.loads(text)) for text in words]

    def of(self, window: int) -> Iterator[tuple[Form, pa.RecordBatch]]:
        """Yield what is told of rows of a window, each time by sentences of one form."""
        for number, form in enumerate(self._forms):
            for batch in self._read(told_bucket(window, number), _schema(form.count(None))):
                yield form, batch

    def _read(self, bucket: int, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        chosen = tuple(self._segments.get(bucket, ()))
        file = SpoolFile(self._file.path, chosen, self._file.origin)
        return Spool(schema, (file,)).read([bucket])


class ToldOfPart:
    """What all joins told of the rows of one part.

    Attributes:
        unmatched: for each row of the part, whether it is in no pair.
        count: of these rows.
    """

    def __init__(self, part: DeliveredPart, files: Sequence[ToldFile]) -> None:
        """Raises `FetchFailed` if a file is damaged."""
        numbers = range(part.window, part.window + window_count(part.rows))
        told = [[one for file in files for one in file.of(number)] for number in numbers]
        self.unmatched = np.zeros(part.rows, dtype=np.bool_)
        for window in told:
            for _, batch in window:
                self.unmatched[_places(batch)] = True
        self.count = sum(batch.num_rows for window in told for _, batch in window)
        if self.count != int(np.count_nonzero(self.unmatched)):
            raise EngineFailure("More than one join told of the same row.")
        self._told = told
        self._window = _Window((), np.zeros(0, dtype=np.int32))
        self._windows = self._done = 0

    def next(self, count: int) -> Reasons:
        """Return the reasons of the next unmatched rows, in the order of the part."""
        found = [self._next(count)]
        while (got := sum(len(one.rejection_reason) for one in found)) < count:
            found.append(self._next(count - got))
        return found[0] if len(found) == 1 else _together(found)

    def _next(self, most: int) -> Reasons:
        """Return the reasons of the next rows of one window, as many as it has of so many."""
        while self._done == len(self._window.order):
            self._window, self._done = self._in_order(self._windows), 0
            self._windows += 1
        order = self._window.order[self._done : self._done + most]
        self._done += len(order)
        return self._window.reasons(order)

    def _in_order(self, number: int) -> _Window:
        """Return what was told of the rows of a window, and let go of it."""
        told, self._told[number] = self._told[number], []
        by_form: dict[Form, list[pa.RecordBatch]] = {}
        for form, batch in told:
            by_form.setdefault(form, []).append(batch)
        start = number * WINDOW_ROWS
        marked = self.unmatched[start : start + WINDOW_ROWS]
        at = np.empty(len(marked), dtype=np.int32)
        first = 0
        for batch in chain.from_iterable(by_form.values()):
            places = np.arange(first, first + batch.num_rows, dtype=np.int32)
            at[_places(batch) - start] = places
            first += batch.num_rows
        lots = [(form, pa.concat_batches(batches)) for form, batches in by_form.items()]
        return _Window(lots, at[marked])


def deliver(source: OpenSource, part: DeliveredPart, told: ToldOfPart, sinks: Sinks) -> None:
    """Read the unmatched rows of a part whole, and write them with what was told of them.

    Raises:
        SourceChanged: the part has not the rows that it had.
        KallaError: as the connector does.
    """
    if not told.count:
        return
    for rows in picked(source, part.part, source.pinned.schema.names, told.unmatched):
        if rows.num_rows:
            sinks.unmatched(part.side, rows, told.next(rows.num_rows))


@dataclass(frozen=True, slots=True)
class _Window:
    """What is told of the rows of a window.

    Attributes:
        lots: by the form of sentences.
        order: for each row, in the order of the part, its place in all lots one after the other.
    """

    lots: Sequence[tuple[Form, pa.RecordBatch]]
    order: npt.NDArray[np.int32]

    def reasons(self, order: npt.NDArray[np.int32]) -> Reasons:
        """Return those of some rows, given their part of the order."""
        codes = np.empty(len(order), dtype=np.int8)
        lots, first = [], 0
        for form, batch in self.lots:
            at = np.flatnonzero((order >= first) & (order < first + batch.num_rows))
            if len(at):
                _, reason, closest, *own = batch.take(pa.array(order[at] - first)).columns
                codes[at] = reason
                pieces = iter(own)
                words = [next(pieces) if word is None else word for word in form]
                lots.append(Lot(at, Sentences(words, len(at)), closest))
            first += batch.num_rows
        return Said(codes, lots).reasons()


def _together(found: Sequence[Reasons]) -> Reasons:
    columns = ("rejection_reason", "reason_detail", "closest_candidate")
    return Reasons(*(pa.concat_arrays([getattr(one, name) for one in found]) for name in columns))


@cache
def _schema(pieces: int) -> pa.Schema:
    """Return the schema of what is told by sentences with so many pieces that are a row's own."""
    return pa.schema(
        [
            pa.field("number", pa.uint64(), nullable=False),
            pa.field("reason", pa.int8(), nullable=False),
            pa.field("closest", pa.string()),
            *(pa.field(f"piece_{place}", pa.string(), nullable=False) for place in range(pieces)),
        ]
    )


def _places(batch: pa.RecordBatch) -> Ints:
    places: Ints = batch.column(0).to_numpy().view(np.int64) & _PLACE
    return places
