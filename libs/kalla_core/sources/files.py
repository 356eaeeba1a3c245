"""The connector for files: any byte store, any file format.

The files are listed and their format found by ending (or `?format=`) when the source is pinned;
everything else is the format's. What takes the snapshot's place is each file's size and stamp:
they are compared when a file is opened, when its part has been read, and by `verify`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kalla_core.errors import (
    InvalidUri,
    SourceChanged,
    SourceNotFound,
)
from kalla_core.recipe.model import SourceSpec
from kalla_core.recipe.source_format import SourceFormat
from kalla_core.sources.file_formats import FileFormats
from kalla_core.sources.filters import RowFilter, compile_filters
from kalla_core.sources.formats import FileSource, FormatReader, Pruned
from kalla_core.sources.local import LocalStore
from kalla_core.sources.marked import marked
from kalla_core.sources.naming import naming
from kalla_core.sources.parquet.format import ParquetFormat
from kalla_core.sources.partitioned import PartitionedFormat
from kalla_core.sources.protocol import (
    DEFAULT_BATCH_ROWS,
    Part,
    PartReader,
    PinnedSource,
    SourceAccess,
)
from kalla_core.sources.recognised import recognised
from kalla_core.sources.store import ByteStore, StoredFile
from kalla_core.sources.uri import FileFormat, FileUri, absolute, parse_file_uri
from kalla_core.sources.uri_format import merged

if TYPE_CHECKING:
    from kalla_core.sources.csv.glance import Glance

_ENDINGS: Mapping[str, FileFormat] = {
    ".avro": FileFormat.AVRO,
    ".csv": FileFormat.CSV,
    ".csv.gz": FileFormat.CSV,
    ".csv.zst": FileFormat.CSV,
    ".csv.zip": FileFormat.CSV,
    **{
        f"{ending}{packing}": FileFormat.JSON
        for ending in (".json", ".jsonl", ".ndjson")
        for packing in ("", ".gz", ".zst", ".zip")
    },
    ".parquet": FileFormat.PARQUET,
    ".xml": FileFormat.CAMT053,
    ".bai": FileFormat.BAI2,
    ".bai2": FileFormat.BAI2,
    ".mt940": FileFormat.MT940,
    ".sta": FileFormat.MT940,
    ".db": FileFormat.SQLITE,
    ".duckdb": FileFormat.DUCKDB,
    ".sqlite": FileFormat.SQLITE,
    ".sqlite3": FileFormat.SQLITE,
    ".ods": FileFormat.ODS,
    ".xlsm": FileFormat.XLSX,
    ".xlsx": FileFormat.XLSX,
}

_PACKED = (".gz", ".zst", ".zip")
_OLD_BOOKS = (".xls", ".xlsb", ".numbers")


class FilePartReader:
    """The rows of one part of a file source (see `PartReader`)."""

    def __init__(
        self,
        spec: SourceSpec,
        pieces: Iterator[pa.RecordBatch | Pruned],
        row_filter: RowFilter,
        batch_rows: int,
        columns: Collection[str] | None = None,
    ) -> None:
        self.excluded_rows: int | None = None
        self._spec = spec
        self._pieces = pieces
        self._filter = row_filter
        self._batch_rows = batch_rows
        self._columns = columns

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield what the filter keeps, in batches that are neither empty nor too long."""
        excluded = 0
        while (piece := self._next()) is not None:
            if isinstance(piece, Pruned):
                excluded += piece.rows
                continue
            kept = self._filter.keep(piece)
            excluded += piece.num_rows - kept.num_rows
            if self._columns is not None:
                kept = kept.select([name for name in kept.schema.names if name in self._columns])
            for start in range(0, kept.num_rows, self._batch_rows):
                yield kept.slice(start, self._batch_rows)
        self.excluded_rows = excluded

    def _next(self) -> pa.RecordBatch | Pruned | None:
        with naming(self._spec):
            return next(self._pieces, None)


class FileConnector:
    """Files of one byte store, as a `Connector`."""

    def __init__(
        self, name: str, store: ByteStore, formats: Mapping[FileFormat, FormatReader]
    ) -> None:
        self.name = name
        self._store = store
        self._formats = formats

    @contextmanager
    def pin(self, spec: SourceSpec) -> Iterator[PinnedSource]:
        """Fix files, types and statistics (see `Connector.pin`)."""
        with naming(spec):
            pinned = self._pinned(spec)
        yield pinned

    def plan(self, pinned: PinnedSource, parts: int) -> tuple[Part, ...]:
        """Cut the source (see `Connector.plan`)."""
        with naming(pinned.spec):
            compile_filters(pinned.spec.filters, pinned.schema)
            return self._format(pinned).plan(self._source(pinned), pinned, max(parts, 1))

    def read(
        self,
        pinned: PinnedSource,
        part: Part,
        batch_rows: int = DEFAULT_BATCH_ROWS,
        columns: Collection[str] | None = None,
    ) -> PartReader:
        """Read one part (see `Connector.read`)."""
        with naming(pinned.spec):
            row_filter = compile_filters(pinned.spec.filters, pinned.schema)
            needed = None if columns is None else {*columns, *row_filter.columns}
            if needed is not None and not needed:
                needed = {pinned.schema.names[0]}  # rows are counted by some column
            source, format_ = self._source(pinned), self._format(pinned)
            pieces = format_.read(source, pinned, part, row_filter, needed)
        return FilePartReader(pinned.spec, pieces, row_filter, batch_rows, columns)

    def pick(
        self,
        pinned: PinnedSource,
        part: Part,
        wanted: npt.NDArray[np.bool_],
        columns: Collection[str] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Read some rows of one part (see `PicksRows.pick`)."""
        pieces = self._picked(pinned, part, wanted, columns)
        while True:
            with naming(pinned.spec):
                batch = next(pieces, None)
            if batch is None:
                return
            yield batch

    def is_read_by_column(self, pinned: PinnedSource) -> bool:
        """Whether it is local Parquet: what is not asked for is not even fetched."""
        is_local = isinstance(self._store, LocalStore)
        return is_local and FileFormat(pinned.detail["format"]) is FileFormat.PARQUET

    def _picked(
        self,
        pinned: PinnedSource,
        part: Part,
        wanted: npt.NDArray[np.bool_],
        columns: Collection[str] | None,
    ) -> Iterator[pa.RecordBatch]:
        if pinned.spec.filters:
            return marked(self.read(pinned, part, columns=columns), wanted)
        return self._format(pinned).pick(self._source(pinned), pinned, part, wanted, columns)

    def preview(self, pinned: PinnedSource, rows: int) -> pa.Table:
        """Return the first rows that pass the filters (see `Connector.preview`)."""
        with naming(pinned.spec):
            row_filter = compile_filters(pinned.spec.filters, pinned.schema)
            pieces = self._format(pinned).read_whole(self._source(pinned), pinned, row_filter)
        reader = FilePartReader(pinned.spec, pieces, row_filter, max(rows, 1))
        return _first(reader, pinned.schema, rows)

    def glance(self, spec: SourceSpec) -> Glance:
        """Return the first and the last bytes of a source's first file, unpacked; a sheet as CSV.

        Raises:
            KallaError: as `pin` does where it lists and opens files.
        """
        from kalla_core.sources.csv.glance import glance_at  # no run asks for it

        with naming(spec):
            uri = parse_file_uri(absolute(_uri(spec), Path.cwd()))
            listed = self._store.list(uri.location)
            said = None
            if len(listed) != 1 or uri.options.format or _format_of(listed[0]):
                said, listed = _of_format(listed, uri, spec.format)
            source = self._file_source(spec, uri, listed)
            seen = glance_at(source, 0)
            shown = None if uri.options.format else recognised(seen.head)
            kind, why = shown or (uri.options.format or FileFormat.CSV, "")
            if kind in (FileFormat.ODS, FileFormat.XLSX):
                from kalla_core.sources.sheets.glance import sheet_glance  # seldom wanted

                seen = sheet_glance(source, kind)
            return replace(seen, kind=kind, said=said, shown=why)

    def verify(self, pinned: PinnedSource) -> None:
        """Check that the same files, unchanged, are there (see `Connector.verify`)."""
        with naming(pinned.spec):
            source = self._source(pinned)
            for index in range(len(source.files)):
                source.check_unchanged(index)
            uri = parse_file_uri(_uri(pinned.spec))
            listed = self._store.list(uri.location)
            if _of_format(listed, uri, pinned.spec.format)[1] != source.files:
                raise SourceChanged("Files came or went while it was read.")

    def _pinned(self, spec: SourceSpec) -> PinnedSource:
        resolved = replace(spec, uri=absolute(_uri(spec), Path.cwd()))
        uri = parse_file_uri(_uri(resolved))
        file_format, files = _of_format(self._store.list(uri.location), uri, spec.format)
        source = self._file_source(spec, uri, files)
        shape = PartitionedFormat(self._formats[file_format]).shape(source)
        return PinnedSource(
            spec=resolved,
            schema=shape.schema,
            identity={"kind": "files", "files": [file.as_json() for file in files]},
            statistics=shape.statistics,
            detail={"format": file_format.value, **shape.detail},
        )

    def _source(self, pinned: PinnedSource) -> FileSource:
        uri = parse_file_uri(_uri(pinned.spec))
        files = tuple(StoredFile.from_json(file) for file in pinned.identity["files"])
        return self._file_source(pinned.spec, uri, files)

    def _file_source(
        self, spec: SourceSpec, uri: FileUri, files: tuple[StoredFile, ...]
    ) -> FileSource:
        return FileSource(
            store=self._store,
            files=files,
            types=spec.types,
            format=merged(uri.options.written, spec.format),
            root=uri.location,
        )

    def _format(self, pinned: PinnedSource) -> FormatReader:
        return PartitionedFormat(self._formats[FileFormat(pinned.detail["format"])])


def local_files(access: SourceAccess) -> FileConnector:
    """Return the connector for this machine's files."""
    parquet = ParquetFormat(thread_bytes=access.thread_bytes)
    return FileConnector("file", LocalStore(access), FileFormats(parquet, access.threads))


def _of_format(
    files: tuple[StoredFile, ...], uri: FileUri, said: SourceFormat
) -> tuple[FileFormat, tuple[StoredFile, ...]]:
    """Return the format, and those of the files that have it."""
    if not files:
        raise SourceNotFound("The folder is empty, or no file is meant by its stars.")
    if uri.options.format is not None:
        return uri.options.format, files
    if said.columns:
        return FileFormat.FIXED, files
    by_format: dict[FileFormat, list[StoredFile]] = {}
    for file in files:
        if found := _format_of(file):
            by_format.setdefault(found, []).append(file)
    if not by_format:
        old = next((one.name for one in files if one.name.lower().endswith(_OLD_BOOKS)), None)
        if old is not None:
            raise InvalidUri(f"`{old}` is a workbook of another kind; save it as .xlsx.")
        *some, last = (one for one in _ENDINGS if not one.endswith(_PACKED))
        raise InvalidUri(
            f"Nothing there ends in {', '.join(some)} or {last}; say what it is with"
            " ?format=csv or another format."
        )
    if len(by_format) > 1:
        held = " and ".join(sorted(f"`{one}`" for one in by_format))
        raise InvalidUri(
            f"The folder holds files of the formats {held}; a source has one format. Say which"
            " files lie in it, or move one kind elsewhere."
        )
    ((found, chosen),) = by_format.items()
    return found, tuple(chosen)


def _format_of(file: StoredFile) -> FileFormat | None:
    name = file.name.lower()
    return next((found for ending, found in _ENDINGS.items() if name.endswith(ending)), None)


def _uri(spec: SourceSpec) -> str:
    if spec.uri is None:
        raise InvalidUri("It has no uri: the recipe leaves it to the run, and the run gave none.")
    return spec.uri


def _first(reader: PartReader, schema: pa.Schema, rows: int) -> pa.Table:
    batches: list[pa.RecordBatch] = []
    missing = rows
    for batch in reader:
        if missing > 0:
            batches.append(batch.slice(0, missing))
            missing -= batches[-1].num_rows
        if missing <= 0:
            break
    return pa.Table.from_batches(batches, schema)
