"""Where the objects of a JSON file begin and end."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Read = Callable[[int], bytes]

BLOCK_BYTES = 4 << 20
MAX_RECORD_BYTES = 64 << 20
_BOM = b"\xef\xbb\xbf"
_QUOTE, _BACKSLASH, _COMMA, _NEWLINE, _BLANK = (ord(sign) for sign in '"\\,\n ')
_WHITE = b" \t\r\n"


class BrokenJsonError(Exception):
    """What is no sequence of objects; the message is a sentence without its subject."""


@dataclass(frozen=True, slots=True)
class Block:
    """Whole objects, one after the other, and the number of the line on which they begin."""

    data: bytes
    line: int


def is_lines(head: bytes) -> bool:
    """Return whether each line of a file with these first bytes is an object."""
    first, end, _ = head.removeprefix(_BOM).lstrip(_WHITE).partition(b"\n")
    if not first.startswith(b"{"):
        return False
    if not end:
        return True
    try:
        return isinstance(json.loads(first), dict)
    except ValueError:
        return False


def line_blocks(read: Read, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """Yield blocks of lines.

    Raises:
        BrokenJsonError: a line without an end.
    """
    rest, line, first = b"", 1, True
    while data := read(block_bytes):
        if first:
            data, first = data.removeprefix(_BOM), False
        whole, end, rest = (rest + data).rpartition(b"\n")
        if end:
            block = Block(whole + end, line)
            line += block.data.count(b"\n")
            if block.data.strip(_WHITE):
                yield block
        _refuse_long(rest)
    if rest.strip(_WHITE):
        yield Block(rest, line)


def object_blocks(read: Read, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """Yield blocks of objects that stand in an array, or one after the other.

    Commas between the objects of an array become line breaks of no line.

    Raises:
        BrokenJsonError: what stands outside objects, or an object without an end.
    """
    head = read(block_bytes).removeprefix(_BOM)
    lines = 1
    while head and not head.strip(_WHITE):
        lines += head.count(b"\n")
        head = read(block_bytes)
    start = head.lstrip(_WHITE)
    lines += head[: len(head) - len(start)].count(b"\n")
    if start.startswith(b"["):
        behind = yield from array_blocks(read, start[1:], lines, block_bytes)
        _refuse_between(behind + read(block_bytes))
    else:
        yield from _sequence(read, start, lines, block_bytes)


def array_blocks(
    read: Read, rest: bytes, line: int, block_bytes: int = BLOCK_BYTES
) -> Generator[Block, None, bytes]:
    """Yield blocks of the objects of an array; commas between them become blanks.

    Args:
        rest: what was read already of what stands behind its opening bracket, in a line.

    Returns:
        What was read of what stands behind its closing bracket.

    Raises:
        BrokenJsonError: what stands between objects, or an array or object without an end.
    """
    while True:
        ends, commas, closing = _scan(rest, 1)
        if ends:
            cut = ends[-1] + 1
            data = np.frombuffer(rest, np.uint8).copy()
            data[commas] = _BLANK
            yield Block(data[:cut].tobytes(), line)
            line += rest.count(b"\n", 0, cut)
            rest = data[cut:].tobytes()
            closing = None if closing is None else closing - cut
        if closing is not None:
            _refuse_between(rest[:closing])
            return rest[closing + 1 :]
        _refuse_long(rest)
        more = read(block_bytes)
        if not more:
            raise BrokenJsonError("ends before its array does.")
        rest += more


def object_end(text: bytes) -> int:
    """Return where the first object of a text that begins with it ends; its length if nowhere."""
    ends, _, _ = _scan(text, 0)
    return ends[0] + 1 if ends else len(text)


def _sequence(read: Read, rest: bytes, line: int, block_bytes: int) -> Iterator[Block]:
    while rest:
        ends, _, _ = _scan(rest, 0)
        if ends:
            cut = ends[-1] + 1
            yield Block(rest[:cut], line)
            line += rest.count(b"\n", 0, cut)
            rest = rest[cut:]
        _refuse_long(rest)
        more = read(block_bytes)
        if not more:
            break
        rest += more
    _refuse_between(rest)


def _scan(data: bytes, base: int) -> tuple[list[int], npt.NDArray[np.int64], int | None]:
    """Return where objects at the depth `base` end, commas between them, and the array's end.

    `data` begins outside objects.
    """
    signs = np.frombuffer(data, np.uint8)
    within = _inside_texts(signs)
    opening = ((signs == ord("{")) | (signs == ord("["))) & ~within
    ending = ((signs == ord("}")) | (signs == ord("]"))) & ~within
    depth = base + np.cumsum(opening.astype(np.int32) - ending.astype(np.int32))
    done = np.flatnonzero(depth < base)
    closing = int(done[0]) if len(done) else None
    upto = len(signs) if closing is None else closing
    ends = np.flatnonzero(ending[:upto] & (depth[:upto] == base))
    commas = np.flatnonzero((signs[:upto] == _COMMA) & ~within[:upto] & (depth[:upto] == base))
    return ends.tolist(), commas if base else commas[:0], closing


def _inside_texts(signs: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return for each byte whether it lies within quotes, the closing quote not."""
    quotes = np.flatnonzero(signs == _QUOTE)
    if np.any(signs == _BACKSLASH):
        places = np.arange(len(signs))
        other = np.maximum.accumulate(np.where(signs != _BACKSLASH, places, -1))
        before = np.where(quotes > 0, other[quotes - 1], -1)
        quotes = quotes[(quotes - 1 - before) % 2 == 0]
    turns = np.zeros(len(signs), np.int8)
    turns[quotes] = 1
    return (np.cumsum(turns, dtype=np.int64) & 1).astype(np.bool_)


def _refuse_long(rest: bytes) -> None:
    if len(rest) > MAX_RECORD_BYTES:
        raise BrokenJsonError(
            f"has an object of more than {MAX_RECORD_BYTES >> 20} MiB; if its records stand in an"
            ' array within, "format": {"records": "NAME"} reads them.'
        )


def _refuse_between(rest: bytes) -> None:
    if found := rest.strip(_WHITE + b","):
        shown = found[:40].decode(errors="replace")
        raise BrokenJsonError(f"has `{shown}` where an object or its end should be.")
