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
_NEAR_BYTES = 4 << 10
_LONG_CHUNK_BYTES = 1 << 20
_WRITTEN = np.isin(np.arange(256), np.frombuffer(b"\r\n \t", np.uint8), invert=True)
"""Of each byte, whether a line that holds it is not blank."""


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
    """Each byte is looked at once, and none is kept: a line may be as long as the file."""
    stream.read(start)
    found = np.empty(0, np.int64)
    line, written, offset = start, False, start
    while chunk := bytes(stream.read(_CHUNK_BYTES)):
        near = max(len(chunk) - _NEAR_BYTES, 0)
        cut = _cut(chunk[near:], terminator, lines)
        if cut is not None:  # nothing before it matters any more
            found, written = found[:0], False
            line = offset = offset + near + cut
            chunk = chunk[near + cut :]
        ends = _ends(chunk, terminator)
        begins = np.concatenate([[line], ends + offset])
        signs = np.append(_WRITTEN[np.frombuffer(chunk, np.uint8)], False)  # the last may be empty
        filled = np.logical_or.reduceat(signs, np.concatenate([[0], ends]))
        filled[0] |= written
        found = np.concatenate([found, begins[:-1][filled[:-1]]])[-lines:]
        line, written, offset = int(begins[-1]), bool(filled[-1]), offset + len(chunk)
    if written:
        found = np.append(found, line)[-lines:]
    return int(found[0]) if len(found) == lines else start


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
    offset, held, marks = 0, list[bytes](), list[Flags]()
    while chunk := read(_LONG_CHUNK_BYTES):
        view = veil.over(np.frombuffer(chunk, np.uint8))
        ends = _ends(chunk, terminator) - 1
        within = scanner.advance(view).is_inside(ends) | (view[ends] != terminator)
        held.append(chunk)
        marks.append(within)
        if within.all():
            continue  # a record goes on, and is looked at when it ends
        data, inside = b"".join(held), np.concatenate(marks)
        cut, found = _first_match(data, inside, terminator, dialect)
        if found is not None:
            return offset + found
        offset, held = offset + cut, [data[cut:]]
        marks = [inside[np.flatnonzero(~inside)[-1] + 1 :]]
    rest = b"".join(held)
    if not rest:
        return None
    rest, inside = rest + bytes([terminator]), np.append(np.concatenate(marks), False)
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
