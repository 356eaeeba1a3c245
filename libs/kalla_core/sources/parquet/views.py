"""Text as views over pages that were decoded: filtered as they are, copied only where kept.

A view is 16 bytes: four for the length, then the text itself if it is short, else where it lies.
Arrow cannot take views, so they are taken as 16 bytes each, over the same pages.

Rows are taken by their places: where every other row is wanted, filtering by flags goes from one
run of rows to the next and takes four times as long.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_VIEW = pa.binary(16)
_WORDS_PER_VIEW = 4
_MOST_TEXT_BYTES = 1 << 30
"""Of one array of plain text, whose offsets reach twice as far."""


def kept(batch: pa.RecordBatch, flags: npt.NDArray[np.bool_]) -> pa.RecordBatch:
    """Return the rows that `flags` marks, text still as views; nothing else holds the batch."""
    places = pa.array(np.flatnonzero(flags))
    columns = [_taken(column, places) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def plain(batch: pa.RecordBatch, *, own: bool = False) -> Iterator[pa.RecordBatch]:
    """Yield the same rows with text as plain strings, in as many batches as that takes.

    Args:
        own: columns that are no views are not those that DataFusion gave, but taken from them.
    """
    if pa.string_view() not in batch.schema.types:
        yield batch
        return
    if batch.num_rows > 1 and any(map(_is_too_long, batch.columns)):
        half = batch.num_rows // 2
        yield from plain(batch.slice(0, half), own=own)
        yield from plain(batch.slice(half), own=own)
        return
    columns = [_plain(column, own=own) for column in batch.columns]
    yield pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _plain(column: pa.Array, *, own: bool) -> pa.Array:
    if column.type == pa.string_view():
        return column.cast(pa.string())
    return column if own else _copied(column)


def _copied(column: pa.Array) -> pa.Array:
    """Return a column of its own: as it came from DataFusion it holds the batch, and all pages."""
    half = len(column) // 2
    return pa.concat_arrays([column.slice(0, half), column.slice(half)])


def _taken(column: pa.Array, places: pa.Array) -> pa.Array:
    if column.type != pa.string_view():
        return column.take(places)
    validity, views, *pages = column.buffers()
    raw = pa.Array.from_buffers(_VIEW, len(column), [validity, views], offset=column.offset)
    found = raw.take(places)
    return pa.Array.from_buffers(
        pa.string_view(), len(found), [*found.buffers(), *pages], offset=found.offset
    )


def _is_too_long(column: pa.Array) -> bool:
    if column.type != pa.string_view():
        return False
    words = np.frombuffer(column.buffers()[1], np.int32)
    first = column.offset * _WORDS_PER_VIEW
    lengths = words[first : first + len(column) * _WORDS_PER_VIEW : _WORDS_PER_VIEW]
    if int(lengths.max(initial=0)) * len(column) <= _MOST_TEXT_BYTES:
        return False  # which takes half the time, and is told of nearly all
    return int(lengths.sum(dtype=np.int64)) > _MOST_TEXT_BYTES
