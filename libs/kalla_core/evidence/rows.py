"""Rows of evidence in batches that are bounded in bytes, however wide a row is.

A batch ends with its row group, which whoever wrote it has bounded (see `writer`), and has no more
rows than fit into `BATCH_BYTES` as the first ones take them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

BATCH_BYTES = 2 << 20
"""What a batch takes about, unless it is a single row."""

PAGE_BYTES = 1 << 20
"""What is held of a column while it is read: a page of it."""

_MOST_ROWS = 1 << 16
_LOOKED_AT_ROWS = 64


def read_rows(file: pq.ParquetFile, limit: int | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file, or the first `limit` of them, of which no more are decoded."""
    left = file.metadata.num_rows if limit is None else limit
    seen_bytes = 0.0
    for number in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(number)
        encoded_bytes = group.total_byte_size / max(group.num_rows, 1)
        seen_bytes = seen_bytes or _row_bytes(file, number, _fitting(encoded_bytes))
        most = min(_fitting(max(encoded_bytes, seen_bytes)), max(left, 1))
        for batch in file.iter_batches(most, row_groups=[number]):
            yield batch.slice(0, left)
            left -= batch.num_rows
            if left <= 0:
                return


def reading_bytes(file: pq.ParquetFile) -> int:
    """Return how much memory reading rows of a file takes at most, about."""
    metadata = file.metadata
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    largest = max((group.total_byte_size for group in groups), default=0)
    return int(min(largest, metadata.num_columns * PAGE_BYTES)) + min(largest, BATCH_BYTES)


def _row_bytes(file: pq.ParquetFile, group: int, rows: int) -> float:
    """Return what the first rows of a group take each: in dictionaries they hide their size."""
    first = next(file.iter_batches(min(rows, _LOOKED_AT_ROWS), row_groups=[group]), None)
    return 1.0 if first is None else first.nbytes / max(first.num_rows, 1)


def _fitting(row_bytes: float) -> int:
    return int(max(1, min(BATCH_BYTES / max(row_bytes, 1), _MOST_ROWS)))
