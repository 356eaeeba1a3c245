"""Evidence read back, and checked against its own metadata.json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path, PurePosixPath
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from kalla_core.errors import SourceUnreadable
from kalla_core.evidence.found import Sought, alike, rows_where
from kalla_core.evidence.metadata import MetadataError, RunMetadata, WrittenFile, from_json
from kalla_core.evidence.names import MATCHED, METADATA, UNMATCHED
from kalla_core.evidence.places import Place, StoredFile, place_of
from kalla_core.evidence.rows import Memory, folded, read_rows, reading_bytes
from kalla_core.matching.sql.query import Side
from kalla_core.s3.ranges import RangeReader

_BUFFER_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class _OpenFile:
    """A file, its rows, and their schema: `rows` has text in dictionaries where the file has."""

    stored: StoredFile
    rows: pq.ParquetFile
    schema: pa.Schema


@dataclass(frozen=True, slots=True)
class Evidence:
    """Complete evidence of one run, its files open; a context manager that closes them.

    Stays whole when newer evidence takes its place: files of a folder are held open, and those in
    S3 are read only as long as they are the same.
    """

    metadata: RunMetadata
    _files: dict[str, _OpenFile]
    _held: ExitStack

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the outputs, as `matched.parquet`, in the order of the metadata."""
        return tuple(dict.fromkeys(PurePosixPath(name).parts[0] for name in self._files))

    def has(self, output: str) -> bool:
        """Whether there is such an output; complete evidence has all three."""
        return bool(self.parts(output))

    def schema(self, output: str) -> pa.Schema:
        """Return the schema of an output, as `matched.parquet`."""
        return self._opened(output)[0].schema

    def rows(self, output: str) -> int:
        """Return the number of rows of an output."""
        return sum(part.rows.metadata.num_rows for part in self._opened(output))

    def batches(
        self,
        output: str,
        limit: int | None = None,
        memory: Memory | None = None,
        columns: Sequence[str] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of an output, or the first `limit` of them, in batches of few bytes.

        Args:
            memory: see `read_rows`; likewise `columns`.
        """
        left = self.rows(output) if limit is None else limit
        for part in self._opened(output):
            for batch in read_rows(part.rows, part.schema, left, memory, columns):
                left -= batch.num_rows
                yield batch
            if left <= 0:
                return

    def where(
        self,
        output: str,
        column: str,
        values: Sequence[str],
        limit: int,
        *,
        each: int | None = None,
        beside: tuple[str, str] | None = None,
    ) -> pa.Table:
        """Return the first `limit` rows of an output whose text in a column is one of `values`.

        Reads that column up to the last of them, and the others only of row groups that have one.

        Args:
            each: most rows with the same text; as many as there are by default.
            beside: another column and the text that it has to have.
        """
        sought = Sought(values, limit, each)
        found = [
            rows
            for part in self._opened(output)
            if not sought.done
            for rows in rows_where(part.rows, part.schema, column, sought, beside)
        ]
        return pa.Table.from_batches(found, self.schema(output))

    def spelled_alike(self, output: str, column: str, text: str) -> str | None:
        """Return a text of a column that is `text` but for case and blanks around it, if any."""
        for part in self._opened(output):
            found = alike(part.rows, column, text)
            if found is not None:
                return found
        return None

    def reading_bytes(self, output: str) -> int:
        """Return how much memory reading an output takes at most, about."""
        return max(reading_bytes(part.rows) for part in self._opened(output))

    def parts(self, output: str) -> tuple[str, ...]:
        """Return the names of the files of an output, in order."""
        return tuple(name for name in self._files if PurePosixPath(name).parts[0] == output)

    def part_batches(self, name: str, memory: Memory | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows of one file in batches of few bytes; see `batches`."""
        part = self._files[name]
        return read_rows(part.rows, part.schema, memory=memory)

    def raw(self, name: str) -> BufferedReader | RangeReader:
        """Return the bytes of one file, of the file that was checked; the caller closes it."""
        return self._files[name].stored.reader()

    def table(self, output: str) -> pa.Table:
        """Return all rows of an output."""
        return pa.Table.from_batches(self.batches(output), self.schema(output))

    def __enter__(self) -> Evidence:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._held.close()

    def _opened(self, output: str) -> list[_OpenFile]:
        return [self._files[part] for part in self.parts(output)]


def read_evidence(folder: Path, *, verify: bool = True) -> Evidence:
    """Open the evidence in a folder; `open_evidence` that compares SHA-256 sums."""
    return open_evidence(folder, verify=verify)


def open_evidence(location: str | Path, *, verify: bool = False, settled: bool = False) -> Evidence:
    """Open the evidence of a run, all files of the same run.

    Args:
        location: the output of a run: a folder, or `s3://bucket/prefix`.
        verify: also compare the SHA-256 of every file, which reads all of it.
        settled: `location` has no links in it (see `place_of`).

    Raises:
        SourceNotFound: there is no complete evidence.
        SourceUnreadable: it is not what its metadata.json says: a file is missing, cut off or
            changed, or rows do not add up.
        OutputUnavailable: the store does not answer.
    """
    place = place_of(location, settled=settled)
    while True:
        document = place.document()
        held = ExitStack()
        try:
            evidence = _open(place, document, held, verify)
        except SourceUnreadable:
            held.close()
            if place.document() == document:
                raise
        except BaseException:
            held.close()
            raise
        else:
            if place.document() == document:
                return evidence
            held.close()
        # Newer evidence took its place meanwhile.


def _open(place: Place, document: bytes, held: ExitStack, verify: bool) -> Evidence:
    try:
        metadata = from_json(json.loads(document))
    except (MetadataError, ValueError) as error:
        raise _damaged(place, METADATA, str(error)) from error
    files = {}
    for written in metadata.files:
        stored = place.open(written.name)
        held.callback(stored.close)
        files[written.name] = _checked(place, stored, written, held, verify)
    evidence = Evidence(metadata, files, held)
    _check_counts(evidence, place)
    return evidence


def _checked(
    place: Place, stored: StoredFile, written: WrittenFile, held: ExitStack, verify: bool
) -> _OpenFile:
    if stored.size_bytes != written.bytes:
        what = f"it has {stored.size_bytes} bytes, not {written.bytes}"
        raise _damaged(place, written.name, what)
    if verify and stored.sha256() != written.sha256:
        raise _damaged(place, written.name, "its SHA-256 differs")
    try:
        # A part of a column at a time: a row group may be much larger than the rows asked for.
        file = held.enter_context(stored.arrow())
        plain = pq.ParquetFile(file, buffer_size=_BUFFER_BYTES)
        schema, metadata = plain.schema_arrow, plain.metadata
        rows = pq.ParquetFile(
            file,
            metadata=metadata,
            read_dictionary=folded(metadata, schema),
            buffer_size=_BUFFER_BYTES,
        )
    except (pa.ArrowInvalid, OSError) as error:
        raise _damaged(place, written.name, f"it is not Parquet ({error})") from error
    if rows.metadata.num_rows != written.rows:
        what = f"it has {rows.metadata.num_rows} rows, not {written.rows}"
        raise _damaged(place, written.name, what)
    return _OpenFile(stored, rows, schema)


def _check_counts(evidence: Evidence, place: Place) -> None:
    metadata = evidence.metadata
    counts = {
        MATCHED: metadata.matched_count,
        UNMATCHED[Side.LEFT]: metadata.left.unmatched,
        UNMATCHED[Side.RIGHT]: metadata.right.unmatched,
    }
    for output, count in counts.items():
        if not evidence.has(output):
            raise _damaged(place, METADATA, f"{output} is not among its files")
        rows = evidence.rows(output)
        if rows != count:
            raise _damaged(place, output, f"it has {rows} rows, not {count}")
    for side, summary in ((Side.LEFT, metadata.left), (Side.RIGHT, metadata.right)):
        if summary.records != summary.matched + summary.unmatched:
            raise _damaged(place, METADATA, f"its {side.word} rows do not add up")


def _damaged(place: Place, name: str, what: str) -> SourceUnreadable:
    path = place.path(name)
    return SourceUnreadable(f"The evidence file {path} is damaged: {what}.", path=path)
