"""The end of a CSV file: which lines behind the last row are none."""

from __future__ import annotations

import pyarrow as pa

_CHUNK_BYTES = 64 << 10


def end_of_rows(
    stream: pa.NativeFile, start: int, size: int | None, terminator: int, lines: int
) -> int:
    """Return the offset behind which the last `lines` lines that are not blank lie.

    Args:
        stream: of the whole file.
        start: offset of the first row; the result is not before it.
        size: of the file; None if it has to be read to its end to know.
        terminator: the byte that ends lines.
        lines: how many.
    """
    if size is None:
        return _of_stream(stream, start, terminator, lines)
    length = _CHUNK_BYTES
    while True:
        begin = max(start, size - length)
        stream.seek(begin)
        tail = bytes(stream.read(size - begin))
        cut = _cut(tail, terminator, lines)
        if cut is not None or begin == start:
            return begin + (cut or 0)
        length *= 4


def _of_stream(stream: pa.NativeFile, start: int, terminator: int, lines: int) -> int:
    stream.read(start)
    tail, offset = b"", start
    while chunk := bytes(stream.read(_CHUNK_BYTES)):
        tail += chunk
        kept = _cut(tail, terminator, lines + 1)
        if kept:
            offset, tail = offset + kept, tail[kept:]
    return offset + (_cut(tail, terminator, lines) or 0)


def _cut(tail: bytes, terminator: int, lines: int) -> int | None:
    """Return where the last lines of some bytes begin; None if there are not so many before it."""
    sign = bytes([terminator])
    end = len(tail)
    while lines:
        body = tail[:end].rstrip(b"\r\n \t")
        if not body:
            return None
        found = body.rfind(sign)
        if found < 0:
            return None
        end, lines = found + 1, lines - 1
    return end
