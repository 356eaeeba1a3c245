"""The files of a CSV source, and the bytes of their rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from kalla_core.errors import SourceUnreadable
from kalla_core.sources.csv.dialect import Dialect
from kalla_core.sources.csv.header import Header, read_header
from kalla_core.sources.formats import FileSource
from kalla_core.sources.protocol import JsonObject
from kalla_core.sources.store import NO_PROMISE, Promise

_GZIP_GUESS = 5
"""How much larger a gzip file is thought to be when it is unpacked; only sizes rest on it."""


@dataclass(frozen=True, slots=True)
class CsvFile:
    """One file of a CSV source.

    Attributes:
        index: which of the source's files.
        start: offset of the first row, in the uncompressed bytes.
        size_bytes: of the file as it is stored.
        terminator: the byte that ends records.
        gzip: whether it has to be unpacked; then only a stream, never cut.
    """

    index: int
    path: str
    start: int
    size_bytes: int
    terminator: int
    gzip: bool

    @property
    def body_bytes(self) -> int:
        """Bytes of rows; a guess if compressed."""
        return self.size_bytes * _GZIP_GUESS if self.gzip else self.size_bytes - self.start

    def as_json(self) -> JsonObject:
        """Return what `from_json` needs beside the pinned file."""
        return {"start": self.start, "terminator": self.terminator, "gzip": self.gzip}


@dataclass(frozen=True, slots=True)
class CsvSource:
    """A CSV source: its files in order, and how they are written."""

    source: FileSource
    files: tuple[CsvFile, ...]
    dialect: Dialect

    def stream(
        self, file: CsvFile, promise: Promise = NO_PROMISE
    ) -> AbstractContextManager[pa.NativeFile]:
        """Open a file from its first byte, unpacked.

        Args:
            file: one of this source's.
            promise: what will be read of its stored bytes.

        Raises:
            SourceUnreadable: on opening or in the context, bytes that cannot be unpacked.
        """
        return _opened(self.source, file.index, promise)

    @staticmethod
    def of(source: FileSource, detail: Mapping[str, Any]) -> CsvSource:
        """Return the source that was pinned with `detail`."""
        files = tuple(
            CsvFile(index=index, path=stored.path, size_bytes=stored.size_bytes, **found)
            for index, (stored, found) in enumerate(
                zip(source.files, detail["bodies"], strict=True)
            )
        )
        return CsvSource(source, files, Dialect.of(source.options))


def open_csv_source(source: FileSource) -> tuple[CsvSource, tuple[str, ...]]:
    """Read the header of every file; return the source and its column names.

    Raises:
        SourceUnreadable: see `read_header`; or files whose headers differ.
    """
    dialect = Dialect.of(source.options)
    headers = [_header(source, index, dialect) for index in range(len(source.files))]
    files = tuple(
        CsvFile(
            index=index,
            path=stored.path,
            start=header.body_start,
            size_bytes=stored.size_bytes,
            terminator=header.terminator,
            gzip=_is_gzip(stored.path),
        )
        for index, (stored, header) in enumerate(zip(source.files, headers, strict=True))
    )
    for file, header in zip(files, headers, strict=True):
        if header.columns != headers[0].columns:
            raise SourceUnreadable(
                f"`{file.path}` has the columns {', '.join(header.columns)}, but `{files[0].path}`"
                f" has {', '.join(headers[0].columns)}; files of one source have the same, in the"
                " same order.",
                file=file.path,
            )
    return CsvSource(source, files, dialect), headers[0].columns


def _header(source: FileSource, index: int, dialect: Dialect) -> Header:
    with _opened(source, index) as stream:
        return read_header(stream, source.files[index].path, dialect)


@contextmanager
def _opened(
    source: FileSource, index: int, promise: Promise = NO_PROMISE
) -> Iterator[pa.NativeFile]:
    path = source.files[index].path
    with source.open(index, promise) as raw:
        if not _is_gzip(path):
            yield raw
            return
        try:
            with pa.CompressedInputStream(raw, "gzip") as unpacked:
                yield unpacked
        except OSError as cause:
            source.check_unchanged(index)
            raise SourceUnreadable(
                f"`{path}` is no whole gzip file: {cause}.", file=path
            ) from cause


def _is_gzip(path: str) -> bool:
    return path.lower().endswith(".gz")
