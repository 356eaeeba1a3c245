"""Text as views over pages that were decoded: filtered as they are, copied only where kept.

A view is 16 bytes: four for the length, then the text itself if it is short, else where it lies.
Arrow cannot filter views, so they are filtered as 16 bytes each, over the same pages.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

_VIEW = pa.binary(16)
_WORDS_PER_VIEW = 4
_MOST_TEXT_BYTES = 1 << 30
"""Of one array of plain text, whose offsets reach twice as far."""


def kept(batch: pa.RecordBatch, flags: pa.Array) -> pa.RecordBatch:
    """Return the rows that `flags` marks, text still as views."""
    if pa.string_view() not in batch.schema.types:
        return batch.filter(flags)
    columns = [_filtered(column, flags) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def plain(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yield the same rows with text as plain strings, in as many batches as that takes."""
    if pa.string_view() not in batch.schema.types:
        yield batch
        return
    if batch.num_rows > 1 and any(map(_is_too_long, batch.columns)):
        half = batch.num_rows // 2
        yield from plain(batch.slice(0, half))
        yield from plain(batch.slice(half))
        return
    columns = [
        column.cast(pa.string()) if column.type == pa.string_view() else _copied(column)
        for column in batch.columns
    ]
    yield pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _copied(column: pa.Array) -> pa.Array:
    """Return a column of its own: as it came from DataFusion it holds the batch, and all pages."""
    half = len(column) // 2
    return pa.concat_arrays([column.slice(0, half), column.slice(half)])


def _filtered(column: pa.Array, flags: pa.Array) -> pa.Array:
    if column.type != pa.string_view():
        return column.filter(flags)
    validity, views, *pages = column.buffers()
    raw = pa.Array.from_buffers(_VIEW, len(column), [validity, views], offset=column.offset)
    found = raw.filter(flags)
    return pa.Array.from_buffers(
        pa.string_view(), len(found), [*found.buffers(), *pages], offset=found.offset
    )


def _is_too_long(column: pa.Array) -> bool:
    if column.type != pa.string_view():
        return False
    words = np.frombuffer(column.buffers()[1], np.int32)
    first = column.offset * _WORDS_PER_VIEW
    lengths = words[first : first + len(column) * _WORDS_PER_VIEW : _WORDS_PER_VIEW]
    return int(lengths.sum(dtype=np.int64)) > _MOST_TEXT_BYTES
