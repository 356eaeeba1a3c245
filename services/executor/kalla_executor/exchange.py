"""How the bytes of a spool file travel: its wanted messages, close together, in large pieces.

Every file that is asked for begins with a record whose metadata is its index, offsets counted in
what travels; its bytes follow in the same order, cut anywhere, packed by LZ4 if the reader asks for
that. What a reader puts down is a file that `kalla_core.engine.spool.spool` reads like any other,
and checks message by message.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, pairwise

import numpy as np
import pyarrow as pa

from kalla_core.engine.spool.published import pack, unpack
from kalla_core.engine.spool.spool import Segment, SpoolFile

PIECE_BYTES = 4 << 20
"""The most that one record carries."""

SCHEMA = pa.schema([pa.field("bytes", pa.large_binary(), nullable=False)])

PACKED = ("kalla-packed", "lz4")
"""The header by which a reader asks for packed pieces; who does not know it sends plain ones."""

_CODEC = pa.Codec("lz4_raw")
_INDEX = b"I"  # an empty index must not be empty metadata, which is none at all
_LZ4 = struct.Struct("<cQ")
_LZ4_MARK = b"Z"

Piece = tuple[pa.RecordBatch, pa.Buffer | None]


def chosen(file: SpoolFile, buckets: Collection[int] | None) -> tuple[Segment, ...]:
    """Return the messages of some buckets in the order of the file."""
    return tuple(sorted(file.only(buckets).segments, key=lambda segment: segment.offset))


def moved(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """Return them as they lie one after the other."""
    offset = 0
    placed = []
    for segment in segments:
        placed.append(replace(segment, offset=offset))
        offset += segment.length
    return tuple(placed)


def pieces(file: SpoolFile, segments: Sequence[Segment], *, packed: bool) -> Iterator[Piece]:
    """Yield the records of a file: its index, then its bytes, packed or as they are."""
    yield _record(pa.py_buffer(b"")), pa.py_buffer(_INDEX + pack(moved(segments)))
    if not segments:
        return
    with pa.memory_map(str(file.path)) as mapped:
        for start, end in extents(segments):
            for at in range(start, end, PIECE_BYTES):
                mapped.seek(at)
                yield _piece(mapped.read_buffer(min(PIECE_BYTES, end - at)), packed=packed)


def index_of(metadata: pa.Buffer | None) -> tuple[Segment, ...] | None:
    """Return the index that a file begins with; None within a file.

    Raises:
        ValueError: it is none.
    """
    told = b"" if metadata is None else metadata.to_pybytes()
    return unpack(told[len(_INDEX) :]) if told.startswith(_INDEX) else None


def payload(batch: pa.RecordBatch, metadata: pa.Buffer | None) -> pa.Buffer:
    """Return the bytes of a record; those that travelled plain are not copied.

    Raises:
        ArrowException, ValueError: they are not what the metadata says.
    """
    column = batch.column(0)
    _, offsets, data = column.buffers()
    start, end = np.frombuffer(offsets, np.int64)[column.offset : column.offset + 2].tolist()
    sent = data.slice(start, end - start)  # a scalar's buffer would be a copy
    told = b"" if metadata is None else metadata.to_pybytes()
    if not told.startswith(_LZ4_MARK):
        return sent
    if len(told) != _LZ4.size or (size := _LZ4.unpack(told)[1]) > PIECE_BYTES:
        raise ValueError("a packed piece is larger than any that is sent")
    return _CODEC.decompress(sent, size)


def extents(segments: Sequence[Segment]) -> Iterator[tuple[int, int]]:
    """Yield the ranges of a file that messages in its order fill without a gap."""
    starts = [0]
    for before, after in pairwise(segments):
        starts.append(starts[-1] + (before.offset + before.length != after.offset))
    numbered = zip(starts, segments, strict=True)
    for _, group in groupby(numbered, key=lambda pair: pair[0]):
        run = [segment for _, segment in group]
        yield run[0].offset, run[-1].offset + run[-1].length


def _piece(data: pa.Buffer, *, packed: bool) -> Piece:
    if not packed:
        return _record(data), None
    return _record(_CODEC.compress(data)), pa.py_buffer(_LZ4.pack(_LZ4_MARK, data.size))


def _record(data: pa.Buffer) -> pa.RecordBatch:
    offsets = pa.array([0, data.size], pa.int64()).buffers()[1]
    column = pa.Array.from_buffers(pa.large_binary(), 1, [None, offsets, data])
    return pa.RecordBatch.from_arrays([column], schema=SCHEMA)
