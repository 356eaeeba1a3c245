"""Files that are read as the CSV that they could be saved as (see `FormatReader`)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kalla_core.errors import SourceUnreadable
from kalla_core.recipe.source_format import SourceFormat
from kalla_core.sources.csv.format import CsvFormat
from kalla_core.sources.filters import RowFilter
from kalla_core.sources.formats import FileSource, Pruned, Shape
from kalla_core.sources.protocol import Part, PinnedSource
from kalla_core.sources.read_through import PythonFile
from kalla_core.sources.store import NO_PROMISE, ByteStore, Promise, StoredFile
from kalla_core.sources.transcripts.fields import demand_fields
from kalla_core.sources.transcripts.pieces import PieceStream

_CSV = CsvFormat()


class UntranscribedError(Exception):
    """What a file holds cannot be written as CSV; the message is a sentence without its subject."""


@dataclass(frozen=True, slots=True)
class Transcript:
    r"""How one kind of files is written as CSV.

    Attributes:
        kind: what the files are called, in the plural.
        fields: of `format` that they have.
        pieces: yields the CSV of an open file, in UTF-8, with tabs and `\\n`, as its format says;
            raises `UntranscribedError`, or a `KallaError` that needs no name of a file.
        as_csv: the format in which the CSV is read.
        first_line: what number its first line has.
        notes: sentences about an open file.
    """

    kind: str
    fields: frozenset[str]
    pieces: Callable[[pa.NativeFile, str, SourceFormat], Iterator[bytes]]
    as_csv: Callable[[SourceFormat], SourceFormat]
    first_line: int = 1
    notes: Callable[[pa.NativeFile, str, SourceFormat], tuple[str, ...]] = lambda *_: ()


@dataclass(frozen=True, slots=True)
class TranscribedStore:
    """A byte store whose files are opened as the CSV that they could be saved as."""

    store: ByteStore
    transcript: Transcript
    format: SourceFormat

    def list(self, location: str) -> tuple[StoredFile, ...]:
        """See `ByteStore.list`."""
        return self.store.list(location)

    def changed(self, file: StoredFile) -> bool:
        """See `ByteStore.changed`."""
        return self.store.changed(file)

    def open(self, file: StoredFile, promise: Promise = NO_PROMISE) -> pa.NativeFile:
        """Open a file for reading from its start; see `ByteStore.open`."""
        return PythonFile(PieceStream(self._pieces(file, promise)), mode="r")

    def _pieces(self, file: StoredFile, promise: Promise) -> Iterator[bytes]:
        with self.store.open(file, promise) as raw:
            try:
                yield from self.transcript.pieces(raw, file.path, self.format)
            except UntranscribedError as cause:
                raise SourceUnreadable(f"`{file.path}` {cause}", file=file.path) from cause


@dataclass(frozen=True, slots=True)
class TranscribedFormat:
    """Reads one kind of files by the reader of CSV."""

    transcript: Transcript

    def shape(self, source: FileSource) -> Shape:
        """Read the first rows; fix the types."""
        found = _CSV.shape(self._as_csv(source))
        notes = [*found.detail["notes"], *self._notes(source)]
        return replace(found, detail={**found.detail, "notes": notes})

    def plan(self, source: FileSource, pinned: PinnedSource, parts: int) -> tuple[Part, ...]:
        """Share out the files, none of which is cut."""
        return _CSV.plan(self._as_csv(source), pinned, parts)

    def read(
        self,
        source: FileSource,
        pinned: PinnedSource,
        part: Part,
        row_filter: RowFilter,
        columns: Collection[str] | None = None,
    ) -> Iterator[pa.RecordBatch | Pruned]:
        """Read the files of a part."""
        return _CSV.read(self._as_csv(source), pinned, part, row_filter, columns)

    def pick(
        self,
        source: FileSource,
        pinned: PinnedSource,
        part: Part,
        wanted: npt.NDArray[np.bool_],
        columns: Collection[str] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Read the files of a part, and keep what is wanted."""
        return _CSV.pick(self._as_csv(source), pinned, part, wanted, columns)

    def read_whole(
        self, source: FileSource, pinned: PinnedSource, row_filter: RowFilter
    ) -> Iterator[pa.RecordBatch | Pruned]:
        """Read all files in order."""
        return _CSV.read_whole(self._as_csv(source), pinned, row_filter)

    def _as_csv(self, source: FileSource) -> FileSource:
        demand_fields(source.format, self.transcript.fields, self.transcript.kind)
        return FileSource(
            store=TranscribedStore(source.store, self.transcript, source.format),
            files=source.files,
            types=source.types,
            format=self.transcript.as_csv(source.format),
            streamed=True,
            first_line=self.transcript.first_line,
            root=source.root,
        )

    def _notes(self, source: FileSource) -> Iterator[str]:
        for index, file in enumerate(source.files):
            with source.open(index) as raw:
                yield from self.transcript.notes(raw, file.path, source.format)
