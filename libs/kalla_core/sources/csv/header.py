"""The first record of a CSV file: which columns there are, and where the rows begin."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import pyarrow as pa

from kalla_core.errors import SourceUnreadable
from kalla_core.sources.csv.dialect import BOM, Dialect, terminator_of
from kalla_core.sources.csv.faults import SHOWN, broken_record
from kalla_core.sources.csv.records import BrokenRecordError, record_blocks, record_ends

_HEAD_BYTES = 64 << 10
_FOREIGN = (
    (b"\xff\xfe", "is UTF-16; save it as UTF-8"),
    (b"\xfe\xff", "is UTF-16; save it as UTF-8"),
    (b"\x1f\x8b", "is compressed with gzip; let its name end in .csv.gz"),
    (b"PK\x03\x04", "is a zip archive or an Excel workbook, not CSV"),
    (b"PAR1", "is a Parquet file; let its name end in .parquet or add ?format=parquet"),
)


@dataclass(frozen=True, slots=True)
class Header:
    """What the beginning of a file tells.

    Attributes:
        body_start: offset of the first record that is a row, in the uncompressed bytes.
        terminator: the byte that ends records.
    """

    columns: tuple[str, ...]
    body_start: int
    terminator: int


def read_header(stream: pa.NativeFile, path: str, dialect: Dialect) -> Header:
    """Read column names from the start of a stream.

    Raises:
        SourceUnreadable: an empty file, one that is no UTF-8 CSV, or columns without a name or
            with the same.
    """
    head = stream.read(_HEAD_BYTES)
    _refuse_foreign(head, path)
    terminator = terminator_of(head)
    skipped = len(BOM) if head.startswith(BOM) else 0
    try:
        record, start, end = _first_record(stream, head, skipped, dialect, terminator, path)
    except BrokenRecordError as broken:
        raise _broken(head[skipped:], terminator, path, broken) from None
    fields = _fields(record, dialect, path)
    if not dialect.header:
        names = tuple(f"column_{number + 1}" for number in range(len(fields)))
        return Header(names, start, terminator)
    _check_names(fields, path)
    return Header(tuple(fields), end, terminator)


def _broken(
    scanned: bytes, terminator: int, path: str, broken: BrokenRecordError
) -> SourceUnreadable:
    """Return the error for a record among a file's first bytes."""

    def line(offset: int) -> int:
        return scanned.count(terminator, 0, offset) + 1

    at = broken.at or 0
    return broken_record(path, line(broken.offset or 0), broken, line(at), scanned[at : at + SHOWN])


def _refuse_foreign(head: bytes, path: str) -> None:
    for magic, what in _FOREIGN:
        if head.startswith(magic):
            raise SourceUnreadable(f"`{path}` {what}.", file=path)


def _first_record(
    stream: pa.NativeFile, head: bytes, skipped: int, dialect: Dialect, terminator: int, path: str
) -> tuple[bytes, int, int]:
    """Return the first record that is not blank, and its offsets."""
    pieces = [head[skipped:]] if len(head) > skipped else []

    def read(size: int) -> bytes:
        return pieces.pop() if pieces else bytes(stream.read(size))

    offset = skipped
    signs = dialect.signs(terminator)
    for block in record_blocks(read, signs, _HEAD_BYTES):
        for start, end in pairwise([0, *record_ends(block, signs)]):
            if block[start:end].strip(b"\r\n"):
                return block[start:end], offset + start, offset + end
        offset += len(block)
    raise SourceUnreadable(
        f"`{path}` is empty{': it has not even a header' if dialect.header else ''}.", file=path
    )


def _fields(record: bytes, dialect: Dialect, path: str) -> list[str]:
    try:
        text = record.decode()
    except UnicodeDecodeError:
        raise SourceUnreadable(f"The header of `{path}` is not UTF-8.", file=path) from None
    try:
        lines = [
            row for row in csv.reader(io.StringIO(text, ""), delimiter=dialect.delimiter) if row
        ]
    except csv.Error as cause:
        raise SourceUnreadable(
            f"The header of `{path}` is unreadable: {cause}.", file=path
        ) from None
    if len(lines) != 1:
        raise SourceUnreadable(
            f"Lines of `{path}` end now with a carriage return, now with a line feed; save it with"
            " one kind of line break.",
            file=path,
        )
    return lines[0]


def _check_names(names: list[str], path: str) -> None:
    for position, name in enumerate(names):
        if not name.strip():
            raise SourceUnreadable(
                f"Column {position + 1} of `{path}` has no name in the header.", file=path
            )
    for name, count in Counter(names).items():
        if count > 1:
            raise SourceUnreadable(
                f"The header of `{path}` names the column `{name}` {count} times; names must"
                " differ.",
                file=path,
                column=name,
            )
