"""Tables of rows whose places say which of them make a pair."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from kalla_core.matching.sql.query import ROW


def numbered(table: pa.Table) -> list[pa.RecordBatch]:
    """Return rows with their places as ROW."""
    rows = pa.array(np.arange(len(table), dtype=np.uint64))
    row = pa.field(ROW, pa.uint64(), nullable=False)
    batches: list[pa.RecordBatch] = table.append_column(row, rows).to_batches()
    return batches


def in_row_order(table: pa.Table) -> pa.Table:
    """Return what was computed of numbered rows in the order of these, in one chunk."""
    rows = table.column(ROW).to_numpy()
    if np.array_equal(rows, np.arange(len(rows), dtype=np.uint64)):
        return table.combine_chunks()
    return table.take(pa.array(np.argsort(rows, kind="stable"))).combine_chunks()
