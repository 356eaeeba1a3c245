"""Columns that are the same as another one: encoded once, and put into the file once for each.

A primary key of text is its own record key, and keys that the match SQL selects are in `matched`
twice. Compressing one takes ten times as long as putting its bytes there again.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa


def twins(rows: pa.Table) -> list[int]:
    """Return for each column the place of the first that has the same values in the same memory.

    That is its own place where there is none before it. Only text is looked at: of all else the
    evidence has nothing twice.
    """
    places = list(range(rows.num_columns))
    if any(map(pa.types.is_nested, rows.schema.types)):
        return places  # a column of the file is not one of the table then
    texts = [place for place in places if rows.schema.types[place] == pa.string()]
    found: dict[tuple[object, ...], int] = {}
    for place in texts:
        memory = tuple(_memory(rows.column(place)))
        places[place] = found.setdefault(memory, place)
    return places


def _memory(column: pa.ChunkedArray) -> Iterator[object]:
    """Yield what tells where the values of a column lie."""
    for chunk in column.chunks:
        yield chunk.offset, len(chunk)
        for buffer in chunk.buffers():
            yield None if buffer is None else (buffer.address, buffer.size)
