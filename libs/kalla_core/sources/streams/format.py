"""Files whose rows know what they are (see `FormatReader`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kalla_core.errors import InvalidType, UnknownColumn
from kalla_core.recipe.column_types import parse_type
from kalla_core.recipe.nearest import suggestion
from kalla_core.sources.csv.made import MadeColumns
from kalla_core.sources.filters import RowFilter
from kalla_core.sources.folder_columns import missing_notes
from kalla_core.sources.formats import FileSource, Pruned, Shape
from kalla_core.sources.marked import marked
from kalla_core.sources.parquet.schema import conformed, unified
from kalla_core.sources.protocol import Part, PinnedSource, Statistics
from kalla_core.sources.streams.kind import Kind
from kalla_core.sources.transcripts.fields import demand_fields

_PIECE_BYTES = 8 << 20
"""What is not worth being cut."""


@dataclass(frozen=True, slots=True)
class StreamFormat:
    """Reads files of one kind."""

    kind: Kind

    def shape(self, source: FileSource) -> Shape:
        """Look at every file."""
        demand_fields(source.format, self.kind.fields, self.kind.name)
        if source.types and not self.kind.typed:
            raise InvalidType(
                f"{self.kind.name} have types of their own; `types` is for text. Use a cast in the"
                " match SQL."
            )
        looks = [self.kind.look(source, index) for index in range(len(source.files))]
        paths = [file.path for file in source.files]
        found = unified([look.schema for look in looks], paths)
        _demand_columns(source.types, found)
        written = pa.schema(
            [
                (
                    one.name,
                    parse_type(source.types[one.name]) if one.name in source.types else one.type,
                )
                for one in found
            ]
        )
        made = MadeColumns.of(source.format)
        made.check(written.names, source.types)
        rows = sum(look.rows for look in looks)
        size = sum(look.rows * look.row_bytes for look in looks)
        notes = [note for look in looks for note in look.notes]
        missing = missing_notes([look.schema.names for look in looks], paths)
        return Shape(
            schema=made.schema(written, {}),
            statistics=Statistics(rows, int(size), exact=all(look.exact for look in looks)),
            detail={
                "rows": [look.rows if look.exact else None for look in looks],
                "notes": [*notes, *missing],
            },
        )

    def plan(self, source: FileSource, pinned: PinnedSource, parts: int) -> tuple[Part, ...]:
        """Share out the files, in order, cut where that is worth it."""
        numbered = source.format.row_number is not None
        pieces: list[tuple[Mapping[str, Any], int]] = []
        before = 0
        total = sum(file.size_bytes for file in source.files) or 1
        for index, file in enumerate(source.files):
            if pinned.detail["rows"][index] == 0:
                continue
            wanted = 1 if numbered else round(parts * file.size_bytes / total)
            for span in self.kind.cut(source, index, max(wanted, 1)):
                size = file.size_bytes if span is None else span[1] - span[0]
                pieces.append(({"file": index, "span": span, "before": before}, size))
            if numbered:
                before += self._rows(source, pinned, index)
            source.check_unchanged(index)
        return _shared(pieces, parts)

    def read(
        self,
        source: FileSource,
        pinned: PinnedSource,
        part: Part,
        row_filter: RowFilter,
        columns: Collection[str] | None = None,
    ) -> Iterator[pa.RecordBatch | Pruned]:
        """Read the pieces of a part."""
        yield from self._read(source, pinned, part.detail["pieces"], columns)

    def pick(
        self,
        source: FileSource,
        pinned: PinnedSource,
        part: Part,
        wanted: npt.NDArray[np.bool_],
        columns: Collection[str] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Read the pieces of a part, and keep what is wanted."""
        return marked(self._read(source, pinned, part.detail["pieces"], columns), wanted)

    def read_whole(
        self, source: FileSource, pinned: PinnedSource, row_filter: RowFilter
    ) -> Iterator[pa.RecordBatch | Pruned]:
        """Read all files in order."""
        before = 0
        for index in range(len(source.files)):
            piece = {"file": index, "span": None, "before": before}
            for batch in self._read(source, pinned, [piece], None):
                before += batch.num_rows
                yield batch

    def _rows(self, source: FileSource, pinned: PinnedSource, index: int) -> int:
        """Return how many rows a file has, counted where that is not known."""
        known = pinned.detail["rows"][index]
        if known is not None:
            return int(known)
        written = _written(source, pinned)
        return sum(one.num_rows for one in self.kind.batches(source, index, written, None))

    def _read(
        self,
        source: FileSource,
        pinned: PinnedSource,
        pieces: Collection[Mapping[str, Any]],
        columns: Collection[str] | None,
    ) -> Iterator[pa.RecordBatch]:
        made = MadeColumns.of(source.format)
        written = _written(source, pinned)
        wanted = pinned.schema
        if columns is not None:
            wanted = pa.schema([one for one in wanted if one.name in columns])
        for piece in pieces:
            before = piece["before"]
            span = None if piece["span"] is None else (piece["span"][0], piece["span"][1])
            for batch in self.kind.batches(source, piece["file"], written, span):
                if not batch.num_rows:
                    continue
                numbers = np.arange(before + 1, before + batch.num_rows + 1)
                before += batch.num_rows
                typed = conformed(batch, written)
                yield conformed(made.added(typed, wanted, numbers), wanted)
            source.check_unchanged(piece["file"])


def _written(source: FileSource, pinned: PinnedSource) -> pa.Schema:
    """Return the columns that are read, not made."""
    made = MadeColumns.of(source.format)
    own = (made.row_number, None if made.amount is None else made.amount.name)
    return pa.schema([one for one in pinned.schema if one.name not in own])


def _demand_columns(types: Mapping[str, str], found: pa.Schema) -> None:
    for name in types:
        if name not in found.names:
            raise UnknownColumn(
                f"`types` names the column `{name}`, which is not there."
                f" {suggestion(name, found.names)}",
                column=name,
            )


def _shared(pieces: list[tuple[Mapping[str, Any], int]], parts: int) -> tuple[Part, ...]:
    """Share out pieces, in order, into at most so many parts of about equal bytes."""
    total = sum(size for _, size in pieces) or 1
    shares: list[list[tuple[Mapping[str, Any], int]]] = [[] for _ in range(parts)]
    before = 0
    for piece, size in pieces:
        shares[min((before + size // 2) * parts // total, parts - 1)].append((piece, size))
        before += size
    return tuple(
        Part(index, {"pieces": [piece for piece, _ in share]}, sum(size for _, size in share))
        for index, share in enumerate(filter(None, shares))
    )
