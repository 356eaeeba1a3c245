"""The files of a CSV source, and the bytes of their rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from kalla_core.errors import SourceUnreadable
from kalla_core.sources.csv.dialect import Dialect
from kalla_core.sources.csv.encodings import has_byte_order, with_byte_order
from kalla_core.sources.csv.footer import end_of_rows, stopping_record
from kalla_core.sources.csv.header import Header, delimiter_remedy, read_header
from kalla_core.sources.csv.packed import NotUnpackedError, packing_of, unpacked
from kalla_core.sources.folder_columns import missing_notes
from kalla_core.sources.formats import FileSource
from kalla_core.sources.protocol import JsonObject
from kalla_core.sources.store import NO_PROMISE, Promise

_PACKED_GUESS = 5
"""How much larger a packed file is thought to be when it is unpacked; only sizes rest on it."""

_SHOWN_COLUMNS = 5
_GLANCE_BYTES = 4096

Read = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class CsvFile:
    """One file of a CSV source.

    Attributes:
        index: which of the source's files.
        start: offset of the first row, in the bytes that are read: unpacked, transcoded.
        end: offset likewise of the end of the last row; None for the file's own.
        size_bytes: of the file as it is stored.
        terminator: the byte that ends records.
        streamed: whether its bytes have to be unpacked or transcoded; then it is never cut.
        columns: those of the file, in its order.
    """

    index: int
    path: str
    start: int
    end: int | None
    size_bytes: int
    terminator: int
    streamed: bool
    columns: tuple[str, ...]

    @property
    def rows_end(self) -> int:
        """Where the rows of a file end that can be cut."""
        return self.size_bytes if self.end is None else self.end

    @property
    def body_bytes(self) -> int:
        """Bytes of rows; a guess if they are packed."""
        if self.streamed:
            return self.size_bytes * (_PACKED_GUESS if packing_of(self.path) else 1)
        return self.rows_end - self.start

    def as_json(self) -> JsonObject:
        """Return what `of` needs beside the pinned file."""
        return {
            "start": self.start,
            "end": self.end,
            "terminator": self.terminator,
            "streamed": self.streamed,
            "columns": list(self.columns),
        }


@dataclass(frozen=True, slots=True)
class CsvSource:
    """A CSV source: its files in order, and how they are written."""

    source: FileSource
    files: tuple[CsvFile, ...]
    dialect: Dialect

    def stream(
        self, file: CsvFile, promise: Promise = NO_PROMISE
    ) -> AbstractContextManager[pa.NativeFile]:
        """Open a file from its first byte, unpacked and transcoded.

        Args:
            file: one of this source's.
            promise: what will be read of its stored bytes.

        Raises:
            SourceUnreadable: on opening or in the context, bytes that cannot be unpacked or
                transcoded.
        """
        return _opened(self.source, file.index, self.dialect, promise)

    @contextmanager
    def rows(self, file: CsvFile, promise: Promise = NO_PROMISE) -> Iterator[Read]:
        """Open a file at its first row; what is given reads up to so many bytes of rows.

        Raises:
            SourceUnreadable: as `stream` does.
        """
        with self.stream(file, promise) as stream:
            stream.read(file.start)
            left = None if file.end is None else file.end - file.start

            def read(size: int = -1) -> bytes:
                nonlocal left
                if left is None:
                    return bytes(stream.read() if size < 0 else stream.read(size))
                data = bytes(stream.read(left if size < 0 else min(size, left)))
                left -= len(data)
                return data

            yield read

    @staticmethod
    def of(source: FileSource, detail: Mapping[str, Any]) -> CsvSource:
        """Return the source that was pinned with `detail`."""
        files = tuple(
            CsvFile(
                index=index,
                path=stored.path,
                size_bytes=stored.size_bytes,
                **{**found, "columns": tuple(found["columns"])},
            )
            for index, (stored, found) in enumerate(
                zip(source.files, detail["bodies"], strict=True)
            )
        )
        return CsvSource(source, files, Dialect.of(source.format))


def open_csv_source(source: FileSource) -> tuple[CsvSource, tuple[str, ...], tuple[str, ...]]:
    """Read the header of every file; return the source, its column names and notes.

    Columns are united by name.

    Raises:
        SourceUnreadable: see `read_header`; files without headers that have unlike columns; or a
            file that shares no column with the others.
    """
    dialect = Dialect.of(source.format)
    headers = [_header(source, index, dialect) for index in range(len(source.files))]
    files = tuple(
        CsvFile(
            index=index,
            path=stored.path,
            start=header.body_start,
            end=_end(
                source, index, dialect, header, streamed=_is_streamed(source, stored.path, dialect)
            ),
            size_bytes=stored.size_bytes,
            terminator=header.terminator,
            streamed=_is_streamed(source, stored.path, dialect),
            columns=header.columns,
        )
        for index, (stored, header) in enumerate(zip(source.files, headers, strict=True))
    )
    columns = tuple(dict.fromkeys(name for file in files for name in file.columns))
    for file in files:
        if dialect.header is False and file.columns != columns:
            raise SourceUnreadable(
                f"`{file.path}` has {len(file.columns)} columns, but another file of the source"
                f" {len(columns)}; files without headers have the same.",
                file=file.path,
            )
    _refuse_strangers(files)
    notes = tuple(note for header in headers for note in header.notes)
    missing = missing_notes([file.columns for file in files], [file.path for file in files])
    return CsvSource(source, files, dialect), columns, (*notes, *missing)


def _refuse_strangers(files: Sequence[CsvFile]) -> None:
    """Refuse a file that has no column of any other: all its values would be NULL elsewhere."""
    held = Counter(name for file in files for name in set(file.columns))
    for file in sorted(files, key=lambda file: len(file.columns)):
        if len(files) > 1 and all(held[name] == 1 for name in file.columns):
            shown = ", ".join(f"`{name}`" for name in file.columns[:_SHOWN_COLUMNS])
            raise SourceUnreadable(
                f"`{file.path}` shares no column with the other files of the source: it has"
                f" {shown}.{delimiter_remedy(file.columns)}",
                file=file.path,
            )


def _header(source: FileSource, index: int, dialect: Dialect) -> Header:
    with _opened(source, index, dialect) as stream:
        return read_header(stream, source.files[index].path, dialect)


def _end(
    source: FileSource, index: int, dialect: Dialect, header: Header, *, streamed: bool
) -> int | None:
    """Return where the rows of a file end, if it is not where the file does."""
    ends = []
    if dialect.skip_last:
        with _opened(source, index, dialect) as stream:
            size = None if streamed else source.files[index].size_bytes
            ends.append(
                end_of_rows(stream, header.body_start, size, header.terminator, dialect.skip_last)
            )
    if dialect.stop is not None:
        with _opened(source, index, dialect) as stream:
            stream.read(header.body_start)
            found = stopping_record(stream.read, header.terminator, dialect)
        if found is not None:
            ends.append(header.body_start + found)
    return min(ends, default=None)


@contextmanager
def _opened(
    source: FileSource, index: int, dialect: Dialect, promise: Promise = NO_PROMISE
) -> Iterator[pa.NativeFile]:
    path = source.files[index].path
    encoding = _encoding(source, index, dialect)
    with source.open(index, promise) as raw:
        if source.streamed:
            yield raw
            return
        try:
            with unpacked(raw, path) as stream:
                yield (
                    stream
                    if encoding is None
                    else pa.transcoding_input_stream(stream, encoding, "utf-8")
                )
        except UnicodeError as cause:
            source.check_unchanged(index)
            raise SourceUnreadable(f"`{path}` is not {encoding}: {cause}.", file=path) from cause
        except NotUnpackedError as cause:
            source.check_unchanged(index)
            raise SourceUnreadable(f"`{path}` {cause}", file=path) from cause


def _encoding(source: FileSource, index: int, dialect: Dialect) -> str | None:
    """Return what the bytes of a file have to be transcoded from; None where they are as read."""
    if dialect.transcoded is None or not has_byte_order(dialect.transcoded):
        return dialect.transcoded
    with source.open(index) as raw, unpacked(raw, source.files[index].path) as stream:
        return with_byte_order(dialect.transcoded, bytes(stream.read(_GLANCE_BYTES)))


def _is_streamed(source: FileSource, path: str, dialect: Dialect) -> bool:
    packed = packing_of(path) is not None or dialect.transcoded is not None
    return source.streamed or packed
