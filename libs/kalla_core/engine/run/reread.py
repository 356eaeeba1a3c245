"""What a run has read, to be read once more: whatever failed, no row of it is kept for that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from kalla_core.engine.spool.scan import OpenSource
from kalla_core.matching.sql.query import Side, TableShape
from kalla_core.sources.protocol import DEFAULT_BATCH_ROWS

FEWEST_HELD_BYTES = 16 << 20
"""So much may be held of what is read again however small a share is."""


@dataclass(frozen=True, slots=True)
class Reread:
    """The sources of a run, still pinned.

    Attributes:
        most_bytes: of rows that may be held.
    """

    sides: Mapping[Side, OpenSource]
    extras: Mapping[str, OpenSource]
    most_bytes: int

    def batches(self, side: Side, shape: TableShape) -> Iterator[pa.RecordBatch]:
        """Yield all rows of a side with the columns of a shape.

        Raises:
            KallaError: as the connector does.
        """
        return _batches(self.sides[side], shape.schema)

    def table(self, side: Side, shape: TableShape) -> pa.Table | None:
        """Return all rows of a side with the columns of a shape; None if they are too large."""
        return self._held(self.sides[side], shape.schema)

    def extra_table(self, alias: str) -> pa.Table | None:
        """Return all rows of an extra; None if they are too large."""
        source = self.extras[alias]
        return self._held(source, source.pinned.schema)

    def _held(self, source: OpenSource, schema: pa.Schema) -> pa.Table | None:
        held: list[pa.RecordBatch] = []
        size = 0
        for batch in _batches(source, schema):
            size += batch.nbytes
            if size > self.most_bytes:
                return None
            held.append(batch)
        return pa.Table.from_batches(held, schema)


def _batches(source: OpenSource, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for part in source.connector.plan(source.pinned, 1):
        yield from source.connector.read(source.pinned, part, DEFAULT_BATCH_ROWS, schema.names)
