"""Evidence read back, and checked against its own metadata.json."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from kalla_core.errors import SourceNotFound, SourceUnreadable
from kalla_core.evidence.metadata import MetadataError, RunMetadata, WrittenFile, from_json
from kalla_core.evidence.schema import MATCHED, METADATA, UNMATCHED
from kalla_core.matching.query import Side


@dataclass(frozen=True, slots=True)
class Evidence:
    """Complete evidence of one run, its files open; a context manager that closes them.

    Stays whole when the folder gets newer evidence: the files are held open.
    """

    folder: Path
    metadata: RunMetadata
    _files: dict[str, pq.ParquetFile]
    _held: ExitStack

    def has(self, output: str) -> bool:
        """Whether there is such an output; complete evidence has all three."""
        return bool(self._parts(output))

    def schema(self, output: str) -> pa.Schema:
        """Return the schema of an output, as `matched.parquet`."""
        return self._parts(output)[0].schema_arrow

    def rows(self, output: str) -> int:
        """Return the number of rows of an output."""
        return sum(part.metadata.num_rows for part in self._parts(output))

    def batches(self, output: str) -> Iterator[pa.RecordBatch]:
        """Yield the rows of an output as a stream."""
        for part in self._parts(output):
            yield from part.iter_batches()

    def parts(self, output: str) -> tuple[str, ...]:
        """Return the names of the files of an output, in order."""
        return tuple(name for name in self._files if PurePosixPath(name).parts[0] == output)

    def part_batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """Yield the rows of one file as a stream."""
        yield from self._files[name].iter_batches()

    def raw(self, name: str) -> BinaryIO:
        """Open one file anew, for its bytes; the caller closes it."""
        path = self.folder / name
        try:
            return path.open("rb")
        except OSError as error:
            raise _damaged(path, f"it cannot be read ({error.strerror})") from error

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

    def _parts(self, output: str) -> list[pq.ParquetFile]:
        return [
            file for name, file in self._files.items() if PurePosixPath(name).parts[0] == output
        ]


def read_evidence(folder: Path, *, verify: bool = True) -> Evidence:
    """Open the evidence in a folder, all files of the same run.

    Args:
        folder: the output folder of a run.
        verify: also compare the SHA-256 of every file, which reads all of it.

    Raises:
        SourceNotFound: there is no complete evidence.
        SourceUnreadable: it is not what its metadata.json says: a file is missing, cut off or
            changed, or rows do not add up.
    """
    while True:
        document = _document(folder)
        held = ExitStack()
        try:
            evidence = _open(folder, document, held, verify)
        except SourceUnreadable:
            held.close()
            if _document(folder) == document:
                raise
        except BaseException:
            held.close()
            raise
        else:
            if _document(folder) == document:
                return evidence
            held.close()
        # Newer evidence took its place meanwhile.


def _document(folder: Path) -> bytes:
    try:
        return (folder / METADATA).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceNotFound(f"There is no complete evidence in {folder}.") from error


def _open(folder: Path, document: bytes, held: ExitStack, verify: bool) -> Evidence:
    try:
        metadata = from_json(json.loads(document))
    except (MetadataError, ValueError) as error:
        raise _damaged(folder / METADATA, str(error)) from error
    files = {}
    for written in metadata.files:
        path = folder / written.name
        file = held.enter_context(_open_file(path))
        files[written.name] = _check_file(path, file, written, verify)
    evidence = Evidence(folder, metadata, files, held)
    _check_counts(evidence)
    return evidence


def _open_file(path: Path) -> BufferedReader:
    try:
        return path.open("rb")
    except OSError as error:
        raise _damaged(path, f"it cannot be read ({error.strerror})") from error


def _check_file(
    path: Path, file: BufferedReader, written: WrittenFile, verify: bool
) -> pq.ParquetFile:
    size = os.fstat(file.fileno()).st_size
    if size != written.bytes:
        raise _damaged(path, f"it has {size} bytes, not {written.bytes}")
    if verify and hashlib.file_digest(file, "sha256").hexdigest() != written.sha256:
        raise _damaged(path, "its SHA-256 differs")
    try:
        opened = pq.ParquetFile(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise _damaged(path, f"it is not Parquet ({error})") from error
    if opened.metadata.num_rows != written.rows:
        raise _damaged(path, f"it has {opened.metadata.num_rows} rows, not {written.rows}")
    return opened


def _check_counts(evidence: Evidence) -> None:
    metadata = evidence.metadata
    counts = {
        MATCHED: metadata.matched_count,
        UNMATCHED[Side.LEFT]: metadata.left.unmatched,
        UNMATCHED[Side.RIGHT]: metadata.right.unmatched,
    }
    for output, count in counts.items():
        if not evidence.has(output):
            raise _damaged(evidence.folder / METADATA, f"{output} is not among its files")
        rows = evidence.rows(output)
        if rows != count:
            raise _damaged(evidence.folder / output, f"it has {rows} rows, not {count}")
    for side, summary in ((Side.LEFT, metadata.left), (Side.RIGHT, metadata.right)):
        if summary.records != summary.matched + summary.unmatched:
            raise _damaged(evidence.folder / METADATA, f"its {side.word} rows do not add up")


def _damaged(path: Path, what: str) -> SourceUnreadable:
    return SourceUnreadable(f"The evidence file {path} is damaged: {what}.", path=str(path))
