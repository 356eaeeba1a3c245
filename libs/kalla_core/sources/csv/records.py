"""Record boundaries: in a whole file at chosen offsets, or in a stream as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from kalla_core.errors import SourceChanged
from kalla_core.sources.csv.comments import Veil
from kalla_core.sources.csv.dialect import Signs
from kalla_core.sources.csv.quotes import Bytes, Marks, QuoteScanner, TextBehindQuoteError

SCAN_BYTES = 1 << 20
MAX_BLOCK_BYTES = 256 << 20
"""A block longer than this holds a record that no writer meant."""

TOO_LONG = "is followed by no other for 256 MiB; is a quote missing?"
_NEVER_CLOSED = "opens a quote that is never closed"
_TEXT_BEHIND = "has text behind a closing quote"


class BrokenRecordError(Exception):
    """A record that ends nowhere, or perhaps not where it seems to.

    Attributes:
        offset: where it starts in what was scanned; None if the scan did not keep track.
        why: what is wrong, as the predicate of a sentence about the record.
        at: offset, likewise, of the byte that shows it; None if it is none in particular.
    """

    def __init__(self, offset: int | None, why: str, at: int | None = None) -> None:
        super().__init__(why)
        self.offset = offset
        self.why = why
        self.at = at


def record_starts(
    file: pa.NativeFile,
    begin: int,
    end: int,
    targets: Sequence[int],
    signs: Signs,
) -> list[int]:
    """Return for each target the offset of the first record that starts at or after it.

    Args:
        file: open for reading; it is read once from `begin` to `end`.
        begin: offset of a record's start, the first of interest.
        end: the file's size.
        targets: offsets greater than `begin`, ascending.
        signs: of the file.

    Returns:
        Ascending offsets, one per target; `end` where no further record starts.

    Raises:
        BrokenRecordError: the file ends within quotes, or has text behind a closing one.
        SourceChanged: it is shorter than `end`.
    """
    scanner, veil = QuoteScanner(signs, strict=True), _veil(signs)
    buffer = bytearray(SCAN_BYTES)
    view = np.frombuffer(buffer, np.uint8)
    starts: list[int] = []
    base = begin
    file.seek(begin)
    while base < end:
        size = file.readinto(memoryview(buffer)[: min(SCAN_BYTES, end - base)])
        if not size:
            raise SourceChanged("The file became shorter while it was read.")
        block = view[:size]
        if veil is not None:
            block[:] = veil.over(block)
        try:
            marks = _marks(scanner, buffer, block, signs)
        except TextBehindQuoteError:
            raise BrokenRecordError(None, _TEXT_BEHIND) from None
        while len(starts) < len(targets):
            if starts and targets[len(starts)] <= starts[-1]:
                starts.append(starts[-1])
                continue
            from_index = max(targets[len(starts)] - 1 - base, 0)
            found = _first_end(buffer, block, marks, from_index, signs.terminator)
            if found is None:
                break
            starts.append(base + found + 1)
        base += size
    if scanner.inside:
        raise BrokenRecordError(None, _NEVER_CLOSED)
    return starts + [end] * (len(targets) - len(starts))


def record_blocks(read: Callable[[int], bytes], signs: Signs, block_bytes: int) -> Iterator[bytes]:
    """Cut a stream, which begins with a record's start, into blocks of whole records.

    Args:
        read: returns up to so many of the next bytes, none at the end.
        signs: of the file.
        block_bytes: about how long blocks are; longer where one record is.

    Raises:
        BrokenRecordError: the stream ends within quotes or has text behind a closing one, or a
            record exceeds 256 MiB.
    """
    scanner, veil = QuoteScanner(signs, strict=True), _veil(signs)
    pending: list[bytes] = []
    offset = 0
    while chunk := read(block_bytes):
        block = np.frombuffer(chunk, np.uint8)
        seen = chunk
        if veil is not None:
            block = veil.over(block)
            seen = block.tobytes()
        try:
            cut = _last_end(block, _marks(scanner, seen, block, signs), signs.terminator)
        except TextBehindQuoteError as found:
            raise _text_behind(b"".join([*pending, chunk[: found.index]]), offset, signs) from None
        if cut is None:
            pending.append(chunk)
            if sum(map(len, pending)) > MAX_BLOCK_BYTES:
                raise BrokenRecordError(offset, TOO_LONG)
            continue
        records = b"".join([*pending, chunk[: cut + 1]])
        offset += len(records)
        yield records
        pending = [chunk[cut + 1 :]]
    if scanner.inside:
        raise BrokenRecordError(offset, _NEVER_CLOSED)
    if rest := b"".join(pending):
        yield rest


def record_ends(block: bytes, signs: Signs) -> list[int]:
    """Return the offset just behind each record of a block that begins with a record's start."""
    view, veil = np.frombuffer(block, np.uint8), _veil(signs)
    view = view if veil is None else veil.over(view)
    ends = np.flatnonzero(view == signs.terminator)
    outside = ends[~QuoteScanner(signs).advance(view).is_inside(ends)] + 1
    found: list[int] = outside.tolist()
    return found if found and found[-1] == len(block) else [*found, len(block)]


def _veil(signs: Signs) -> Veil | None:
    return None if signs.escape is None and signs.comment is None else Veil(signs)


def _text_behind(before: bytes, offset: int, signs: Signs) -> BrokenRecordError:
    """Return the error for text behind the quote that `before`, from a record's start, ends in."""
    ends = record_ends(before, signs)
    start = ends[-2] if len(ends) > 1 else 0
    return BrokenRecordError(offset + start, _TEXT_BEHIND, offset + len(before))


def _marks(
    scanner: QuoteScanner, data: bytes | bytearray, block: Bytes, signs: Signs
) -> Marks | None:
    """Return the quotes of a block; None if it has none and lies outside quotes."""
    if signs.quote is None:
        return None
    if not scanner.inside and data.find(bytes([signs.quote]), 0, len(block)) < 0:
        scanner.skip(int(block[0]), int(block[-1]))
        return None
    return scanner.advance(block)


def _first_end(
    data: bytes | bytearray, block: Bytes, marks: Marks | None, start: int, terminator: int
) -> int | None:
    """Return the index of the first record end at or after `start`."""
    if marks is None:
        found = data.find(bytes([terminator]), start, len(block))
        return found if found >= 0 else None
    ends = np.flatnonzero(block[start:] == terminator) + start
    outside = np.flatnonzero(~marks.is_inside(ends))
    return int(ends[outside[0]]) if len(outside) else None


def _last_end(block: Bytes, marks: Marks | None, terminator: int) -> int | None:
    """Return the index of the last record end."""
    ends = np.flatnonzero(block == terminator)
    if marks is not None:
        ends = ends[~marks.is_inside(ends)]
    return int(ends[-1]) if len(ends) else None
