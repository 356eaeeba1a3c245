"""Batches cut so that the messages of Flight stay small enough for any client of gRPC."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from kalla_core.errors import RowTooLarge
from kalla_core.units import format_bytes

PIECE_BYTES = 2 << 20
"""A piece is smaller, unless it is a single row."""

MESSAGE_BYTES = 4 << 20
"""What a client of gRPC takes where nobody told it otherwise."""

_ENVELOPE_BYTES = 1 << 16
"""For what travels around a batch: its place in the stream, tags, lengths."""


def cut_small(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of batches, in order, in pieces of less than `PIECE_BYTES`.

    Raises:
        RowTooLarge: a row is more than a message holds; the rows before it were yielded.
    """
    before = 0
    for batch in batches:
        for start, piece in _halved(batch):
            if piece.num_rows == 1 and _size(piece) > MESSAGE_BYTES - _ENVELOPE_BYTES:
                raise _too_large(piece, before + start)
            yield piece
        before += batch.num_rows


def _halved(batch: pa.RecordBatch) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield pieces that are small or one row each, with the place of their first row."""
    waiting = [(0, batch)]
    while waiting:
        start, piece = waiting.pop()
        if piece.num_rows <= 1 or _size(piece) < PIECE_BYTES:
            yield start, piece
            continue
        middle = piece.num_rows // 2
        waiting.append((start + middle, piece.slice(middle)))
        waiting.append((start, piece.slice(0, middle)))


def _size(batch: pa.RecordBatch) -> int:
    return int(pa.ipc.get_record_batch_size(batch))


def _too_large(row: pa.RecordBatch, number: int) -> RowTooLarge:
    sizes = [row.select([place]).nbytes for place in range(row.num_columns)]
    widest = row.schema.names[max(range(len(sizes)), key=sizes.__getitem__)]
    return RowTooLarge(
        f"Row {number + 1} of this file takes {format_bytes(_size(row))}, most of it in the column "
        f"{widest}; a message of Flight holds {format_bytes(MESSAGE_BYTES)}. Fetch the file itself "
        "over HTTP, /api/jobs/RUN_ID/files/NAME, or with `kalla fetch`.",
        row=number + 1,
        column=widest,
    )
