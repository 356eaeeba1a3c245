"""What a kind of files offers whose rows know what they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from kalla_core.sources.formats import FileSource

Span = tuple[int, int]
"""Offsets `[start, end)` of whole records in a file."""


@dataclass(frozen=True, slots=True)
class Look:
    """What is told of a file when it is pinned.

    Attributes:
        schema: of its rows.
        rows: how many there are, or seem to be.
        exact: whether that is certain.
        row_bytes: of one as Arrow has it, about.
        notes: sentences for people.
    """

    schema: pa.Schema
    rows: int
    exact: bool
    row_bytes: float
    notes: tuple[str, ...] = ()


class Kind(Protocol):
    """A kind of files; raises `SourceUnreadable` that names the file for what it cannot read."""

    @property
    def name(self) -> str:
        """What such files are called, in the plural."""
        ...

    @property
    def fields(self) -> frozenset[str]:
        """The fields of `format` that they have."""
        ...

    @property
    def typed(self) -> bool:
        """Whether `types` of a recipe may say what columns are."""
        ...

    def look(self, source: FileSource, index: int) -> Look:
        """Return what is told of a file."""
        ...

    def cut(self, source: FileSource, index: int, pieces: int) -> Sequence[Span | None]:
        """Return where a file is cut into about so many pieces; one None where it cannot be."""
        ...

    def batches(
        self, source: FileSource, index: int, schema: pa.Schema, span: Span | None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a file, or of a span of it; columns may lack or be of lesser types.

        Args:
            source: its files.
            index: which of them.
            schema: of the source, what `format` makes aside.
            span: of whole records; None for all.
        """
        ...
