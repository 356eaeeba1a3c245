"""What a file format offers to the connector for files, and the values between them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kalla_core.errors import SourceChanged
from kalla_core.recipe.source_format import AS_USUAL, SourceFormat
from kalla_core.sources.filters import RowFilter
from kalla_core.sources.protocol import JsonObject, Part, PinnedSource, Statistics
from kalla_core.sources.store import NO_PROMISE, ByteStore, Promise, StoredFile


@dataclass(frozen=True, slots=True)
class FileSource:
    """The files of one source, in its order.

    Attributes:
        types: the recipe's `types`.
        format: the recipe's `format`, and what the URI says of it.
        streamed: whether what is opened is written as it is read, so that it has no size, and can
            only be read from its start.
        root: the address of the source, which may have stars.
        first_line: what number messages give to the first line of a file.
    """

    store: ByteStore
    files: tuple[StoredFile, ...]
    types: Mapping[str, str]
    format: SourceFormat = AS_USUAL
    streamed: bool = False
    first_line: int = 1
    root: str = ""

    def open(self, index: int, promise: Promise = NO_PROMISE) -> pa.NativeFile:
        """Open one of the files, unchanged; see `ByteStore.open`."""
        return self.store.open(self.files[index], promise)

    def check_unchanged(self, index: int) -> None:
        """Raise `SourceChanged` if a file is no longer what was pinned."""
        path = self.files[index].path
        if self.store.changed(self.files[index]):
            raise SourceChanged(f"`{path}` changed while it was read.", path=path)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a format finds out about a source when it is pinned."""

    schema: pa.Schema
    statistics: Statistics
    detail: JsonObject


@dataclass(frozen=True, slots=True)
class Pruned:
    """Rows that were not read because statistics show that no filter lets them pass."""

    rows: int


class FormatReader(Protocol):
    """A file format; the parts of it that know nothing of stores, URIs and filters."""

    def shape(self, source: FileSource) -> Shape:
        """Find out schema and statistics, without reading everything."""
        ...

    def plan(self, source: FileSource, pinned: PinnedSource, parts: int) -> tuple[Part, ...]:
        """Cut the source into at most `parts` parts (see `Connector.plan`)."""
        ...

    def read(
        self,
        source: FileSource,
        pinned: PinnedSource,
        part: Part,
        row_filter: RowFilter,
        columns: Collection[str] | None = None,
    ) -> Iterator[pa.RecordBatch | Pruned]:
        """Read a part; the filter is only for pruning, its application is the caller's.

        Args:
            columns: those wanted, in the schema's order; None for all.
        """
        ...

    def pick(
        self,
        source: FileSource,
        pinned: PinnedSource,
        part: Part,
        wanted: npt.NDArray[np.bool_],
        columns: Collection[str] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Read some rows of a part (see `PicksRows.pick`); no filter is to be applied."""
        ...

    def read_whole(
        self, source: FileSource, pinned: PinnedSource, row_filter: RowFilter
    ) -> Iterator[pa.RecordBatch | Pruned]:
        """Read everything in order without planning first, for whoever wants the first rows."""
        ...
