"""Parquet as a file format (see `FormatReader`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from kalla_core.errors import InvalidFormat, InvalidType, SourceUnreadable
from kalla_core.recipe.source_format import AS_USUAL
from kalla_core.sources.filters import RowFilter
from kalla_core.sources.folder_columns import missing_notes
from kalla_core.sources.formats import FileSource, Pruned, Shape
from kalla_core.sources.marked import Flags
from kalla_core.sources.parquet.groups import (
    RowGroup,
    bounds_of,
    byte_ranges,
    few_valued,
    parts_of,
)
from kalla_core.sources.parquet.schema import conformed, unified
from kalla_core.sources.parquet.streamed import Undecodable, streamed
from kalla_core.sources.parquet.views import kept, plain
from kalla_core.sources.protocol import DEFAULT_BATCH_ROWS, Part, PinnedSource, Statistics
from kalla_core.sources.store import Promise

_PAGE_BUFFER_BYTES = 1 << 20
_SAMPLED_ROWS = 1024
_WORTH_STREAMING_ROWS = 65_536
_STREAMING_BYTES = 400 << 20
"""Of each thread: DataFusion keeps some 90 MiB of pages for each, once it has decoded."""


class ParquetFormat:
    """Reads Parquet files.

    Args:
        streaming_rows: of a part of a file from which on it is read by DataFusion, if it can be.
        thread_bytes: see `SourceAccess`; DataFusion reads where that is enough for what it keeps.
    """

    def __init__(
        self, streaming_rows: int = _WORTH_STREAMING_ROWS, thread_bytes: int | None = None
    ) -> None:
        self._streaming_rows = streaming_rows
        self._has_room = thread_bytes is None or thread_bytes >= _STREAMING_BYTES

    def shape(self, source: FileSource) -> Shape:
        """Read the footers, and a few rows to tell how large rows are."""
        if source.types:
            raise InvalidType(
                "Parquet files have types of their own; `types` is for CSV. Use a cast in the"
                " match SQL."
            )
        if source.format != AS_USUAL:
            raise InvalidFormat(
                "Parquet files say themselves how they are read; `format` is for CSV."
            )
        schemas, groups = [], []
        for index in range(len(source.files)):
            with _opened(source, index) as file:
                schemas.append(file.schema_arrow)
                groups.append(_sizes(file.metadata))
        paths = [file.path for file in source.files]
        schema = unified(schemas, paths)
        rows = sum(count for sizes in groups for count, _ in sizes)
        return Shape(
            schema=schema,
            statistics=Statistics(rows, int(rows * _row_bytes(source, schema)), exact=True),
            detail={
                "groups": groups,
                "notes": list(missing_notes([schema.names for schema in schemas], paths)),
            },
        )

    def plan(self, source: FileSource, pinned: PinnedSource, parts: int) -> tuple[Part, ...]:
        """Share out the row groups."""
        return parts_of(_groups(pinned), parts)

    def read(
        self,
        source: FileSource,
        pinned: PinnedSource,
        part: Part,
        row_filter: RowFilter,
        columns: Collection[str] | None = None,
    ) -> Iterator[pa.RecordBatch | Pruned]:
        """Read row groups that the filters do not rule out."""
        for piece in part.detail["pieces"]:
            groups = piece["row_groups"]
            yield from self._read(source, pinned, piece["file"], groups, row_filter, columns)

    def pick(
        self,
        source: FileSource,
        pinned: PinnedSource,
        part: Part,
        wanted: npt.NDArray[np.bool_],
        columns: Collection[str] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Take the wanted rows out before anything is converted."""
        flags, schema = Flags(wanted), _selected(pinned.schema, columns)
        for piece in part.detail["pieces"]:
            groups = piece["row_groups"]
            for batch in self._batches(source, piece["file"], groups, schema):
                chosen = flags.take(batch.num_rows)
                if chosen.any():
                    for some in plain(kept(batch, chosen), own=True):
                        yield conformed(some, schema)
            source.check_unchanged(piece["file"])
        flags.finish()

    def read_whole(
        self, source: FileSource, pinned: PinnedSource, row_filter: RowFilter
    ) -> Iterator[pa.RecordBatch | Pruned]:
        """Read all row groups in order."""
        for part in parts_of(_groups(pinned), 1):
            yield from self.read(source, pinned, part, row_filter)

    def _read(
        self,
        source: FileSource,
        pinned: PinnedSource,
        index: int,
        row_groups: Sequence[int],
        row_filter: RowFilter,
        columns: Collection[str] | None,
    ) -> Iterator[pa.RecordBatch | Pruned]:
        schema = _selected(pinned.schema, columns)
        metadata = _footer(source, index)
        wanted = []
        for group in row_groups:
            bounds = bounds_of(metadata, group, row_filter.columns, pinned.schema)
            if row_filter.may_keep(bounds):
                wanted.append(group)
            else:
                yield Pruned(metadata.row_group(group).num_rows)
        for batch in self._batches(source, index, wanted, schema, metadata):
            for some in plain(batch):
                if some.num_rows:
                    yield conformed(some, schema)
        source.check_unchanged(index)

    def _batches(
        self,
        source: FileSource,
        index: int,
        row_groups: Sequence[int],
        schema: pa.Schema,
        metadata: pq.FileMetaData | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of some row groups of a file, text as it was decoded."""
        metadata = metadata or _footer(source, index)
        promise = Promise(byte_ranges(metadata, row_groups, schema.names), len(schema))
        with source.open(index, promise) as raw, _whole(source, index):
            if self._has_room:
                found = streamed(raw, metadata, row_groups, schema, self._streaming_rows)
                if found is not None:
                    yield from found.batches()
                    return
            with _parquet_file(raw, metadata) as file:
                yield from file.iter_batches(
                    DEFAULT_BATCH_ROWS,
                    row_groups=row_groups,
                    columns=schema.names,
                    use_threads=False,
                )


def _groups(pinned: PinnedSource) -> list[RowGroup]:
    return [
        RowGroup(file, index, rows, size_bytes)
        for file, sizes in enumerate(pinned.detail["groups"])
        for index, (rows, size_bytes) in enumerate(sizes)
    ]


def _selected(schema: pa.Schema, columns: Collection[str] | None) -> pa.Schema:
    if columns is None:
        return schema
    return pa.schema([field for field in schema if field.name in columns])


def _footer(source: FileSource, index: int) -> pq.FileMetaData:
    with source.open(index) as raw, _whole(source, index):
        return pq.read_metadata(raw)


@contextmanager
def _opened(source: FileSource, index: int) -> Iterator[pq.ParquetFile]:
    with source.open(index) as raw, _whole(source, index):
        metadata = pq.read_metadata(raw)
        with _parquet_file(raw, metadata) as file:
            yield file


def _parquet_file(raw: pa.NativeFile, metadata: pq.FileMetaData) -> pq.ParquetFile:
    return pq.ParquetFile(
        raw,
        metadata=metadata,
        read_dictionary=few_valued(metadata),
        buffer_size=_PAGE_BUFFER_BYTES,
        pre_buffer=False,
        page_checksum_verification=True,
    )


@contextmanager
def _whole(source: FileSource, index: int) -> Iterator[None]:
    """Say of a file that cannot be read as Parquet that it is not whole, or has changed."""
    path = source.files[index].path
    try:
        yield
    except (pa.ArrowException, OSError, Undecodable) as cause:
        source.check_unchanged(index)
        raise SourceUnreadable(f"`{path}` is no whole Parquet file: {cause}.", file=path) from cause


def _sizes(metadata: pq.FileMetaData) -> list[tuple[int, int]]:
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    return [(group.num_rows, group.total_byte_size) for group in groups]


def _row_bytes(source: FileSource, schema: pa.Schema) -> float:
    """Return how many bytes a row takes in Arrow, told from the source's first rows."""
    for index in range(len(source.files)):
        with _opened(source, index) as file:
            for batch in file.iter_batches(_SAMPLED_ROWS, use_threads=False):
                if batch.num_rows:
                    return float(conformed(batch, schema).nbytes / batch.num_rows)
    return 0.0
