"""The end of a CSV file: which lines behind the last row are none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.sources.csv.comments import Veil
from kalla_core.sources.csv.dialect import Dialect
from kalla_core.sources.csv.quotes import Flags, QuoteScanner

_CHUNK_BYTES = 64 << 10
_LONG_CHUNK_BYTES = 1 << 20


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


def stopping_record(read: Callable[[int], bytes], terminator: int, dialect: Dialect) -> int | None:
    """Return the offset, among the rows, of the first record that begins as `stop` says.

    Args:
        read: returns up to so many of the next bytes of rows, none at the end.
        terminator: the byte that ends records.
        dialect: one that says where to stop. Blanks and a quote before what it says do not matter.
    """
    signs = dialect.signs(terminator)
    scanner, veil = QuoteScanner(signs), Veil(signs)
    offset, rest, inside = 0, b"", np.empty(0, np.bool_)
    while chunk := read(_LONG_CHUNK_BYTES):
        view = veil.over(np.frombuffer(chunk, np.uint8))
        ends = _ends(chunk, terminator) - 1
        within = scanner.advance(view).is_inside(ends) | (view[ends] != terminator)
        inside = np.concatenate([inside, within])
        data = rest + chunk
        cut, found = _first_match(data, inside, terminator, dialect)
        if found is not None:
            return offset + found
        if cut:
            offset, rest, inside = (
                offset + cut,
                data[cut:],
                inside[np.flatnonzero(~inside)[-1] + 1 :],
            )
        else:
            rest = data
    if not rest:
        return None
    rest, inside = rest + bytes([terminator]), np.append(inside, False)
    _, found = _first_match(rest, inside, terminator, dialect)
    return None if found is None else offset + found


def _first_match(
    data: bytes, inside: Flags, terminator: int, dialect: Dialect
) -> tuple[int, int | None]:
    """Return where the last whole record ends, and where the first one that matches begins.

    Args:
        data: begins with a record.
        inside: of each terminator in `data`, whether it lies within quotes or is escaped.
        terminator: as in `stopping_record`; `dialect` likewise.
    """
    ends = _ends(data, terminator)[~inside]
    if not len(ends):
        return 0, None
    text = data.decode(dialect.encoding, "replace").encode()  # as many terminators as before
    edges = np.concatenate([[0], _ends(text, terminator)[~inside]]).astype(np.int32)
    records = pa.Array.from_buffers(
        pa.string(), len(ends), [None, pa.py_buffer(edges), pa.py_buffer(text)]
    )
    quote = rf"\x{ord(dialect.quote):02x}?" if dialect.quote else ""
    matching = pc.match_substring_regex(records, rf"\A[ \t]*{quote}(?:{dialect.stop})")
    found = pc.indices_nonzero(matching)
    first = int(found[0].as_py()) if len(found) else None
    starts = np.concatenate([[0], ends])
    return int(ends[-1]), None if first is None else int(starts[first])


def _ends(data: bytes, terminator: int) -> npt.NDArray[np.int64]:
    return np.flatnonzero(np.frombuffer(data, np.uint8) == terminator) + 1
