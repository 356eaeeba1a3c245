"""The first record of a CSV file: which columns there are, and where the rows begin."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePath

import pyarrow as pa

from kalla_core.errors import SourceUnreadable
from kalla_core.sources.csv.dialect import BOM, UTF8, Dialect, terminator_of
from kalla_core.sources.csv.faults import BEFORE, SHOWN, broken_record
from kalla_core.sources.csv.records import BrokenRecordError, record_blocks, record_ends

_HEAD_BYTES = 64 << 10
_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}
_LONG_HEAD_BYTES = 4 << 20
_FOREIGN = (
    (b"\xff\xfe", 'is UTF-16; say so: "format": {"encoding": "utf-16"}'),
    (b"\xfe\xff", 'is UTF-16; say so: "format": {"encoding": "utf-16"}'),
    (b"\x1f\x8b", "is compressed with gzip; let its name end in .csv.gz"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd; let its name end in .csv.zst"),
    (
        b"PK\x03\x04",
        "is an Excel workbook, which is not read, or a zip archive; of one CSV file, let its name"
        " end in .csv.zip",
    ),
    (b"PAR1", "is a Parquet file; let its name end in .parquet or add ?format=parquet"),
)


@dataclass(frozen=True, slots=True)
class Header:
    """What the beginning of a file tells.

    Attributes:
        body_start: offset of the first record that is a row, in the bytes that are read.
        terminator: the byte that ends records.
        notes: which columns have other names than the file gives them.
    """

    columns: tuple[str, ...]
    body_start: int
    terminator: int
    notes: tuple[str, ...] = ()


def read_header(stream: pa.NativeFile, path: str, dialect: Dialect) -> Header:
    """Read column names from the start of a stream.

    Raises:
        SourceUnreadable: an empty file, one that is no CSV, or a header that is not there.
    """
    passes_over = dialect.skip_first or not isinstance(dialect.header, bool)
    head = stream.read(_LONG_HEAD_BYTES if passes_over else _HEAD_BYTES)
    _refuse_foreign(head, path)
    terminator = terminator_of(head)
    skipped = len(BOM) if head.startswith(BOM) else 0
    skipped = _first_line(head, skipped, terminator, path, dialect)
    try:
        record, start, end = _first_record(stream, head, skipped, dialect, terminator, path)
    except BrokenRecordError as broken:
        raise _broken(head, skipped, terminator, path, broken) from None
    fields = _fields(record, dialect, path)
    if dialect.header is False:
        width = len(fields) - int(dialect.trailing)
        names = tuple(f"column_{number + 1}" for number in range(width))
        return Header(names, start, terminator)
    if dialect.trailing and len(fields) > 1 and not fields[-1].strip():
        fields.pop()
    names, notes = _named(fields, path)
    return Header(names, end, terminator, notes)


def delimiter_remedy(columns: Sequence[str]) -> str:
    """Return what to say where a header is one column, and another delimiter would cut it."""
    if len(columns) != 1:
        return ""
    most = max(_DELIMITERS, key=columns[0].count)
    if most not in columns[0]:
        return ""
    shown = json.dumps({"delimiter": most})
    return f' If {_DELIMITERS[most]} separate its columns, say "format": {shown} in its source.'


def _first_line(head: bytes, skipped: int, terminator: int, path: str, dialect: Dialect) -> int:
    """Return where the line begins at which the header is looked for."""
    lines = dialect.skip_first
    if isinstance(dialect.header, int) and not isinstance(dialect.header, bool):
        lines = max(lines, dialect.header - 1)
    offset = skipped
    for _ in range(lines):
        offset = head.find(bytes([terminator]), offset) + 1
        if not offset:
            raise SourceUnreadable(
                f"`{path}` has no line {lines + 1}, which is the first to be read.", file=path
            )
    if isinstance(dialect.header, str):
        return _line_with(head, offset, terminator, path, dialect)
    return offset


def _line_with(head: bytes, offset: int, terminator: int, path: str, dialect: Dialect) -> int:
    wanted = str(dialect.header)
    quote = (dialect.quote or "").encode()
    for line in head[offset:].split(bytes([terminator])):
        text = line.lstrip(b" \t")
        text = text.removeprefix(quote) if quote else text
        if text.decode(dialect.encoding, "replace").startswith(wanted):
            return offset
        offset += len(line) + 1
    raise SourceUnreadable(
        f"No line of `{path}` starts with `{wanted}`, as `header` says.", file=path
    )


def _named(fields: list[str], path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return names that differ, and what was changed for that."""
    taken = {name for name, count in Counter(fields).items() if name.strip() and count == 1}
    seen: dict[str, int] = {}
    names, changes = [], []
    for position, field in enumerate(fields, 1):
        if not field.strip():
            name = _free(f"column_{position}", taken)
            changes.append(f"column {position}, which has no name, is called `{name}`")
        else:
            seen[field] = seen.get(field, 0) + 1
            name = field
            if seen[field] > 1:
                name = _free(f"{field}_{seen[field]}", taken)
                changes.append(f"column {position}, another `{field}`, is called `{name}`")
        taken.add(name)
        names.append(name)
    notes = (f"In `{PurePath(path).name}`, {'; '.join(changes)}.",) if changes else ()
    return tuple(names), notes


def _free(name: str, taken: set[str]) -> str:
    stem, _, number = name.rpartition("_")
    while name in taken:
        number = str(int(number) + 1)
        name = f"{stem}_{number}"
    return name


def _broken(
    head: bytes, skipped: int, terminator: int, path: str, broken: BrokenRecordError
) -> SourceUnreadable:
    """Return the error for a record among a file's first bytes, offsets counted from `skipped`."""

    def line(offset: int) -> int:
        return head.count(terminator, 0, skipped + offset) + 1

    at = broken.at or 0
    start = skipped + at
    before, text = head[max(start - BEFORE, 0) : start], head[start : start + SHOWN]
    return broken_record(path, line(broken.offset or 0), broken, line(at), before, text)


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
    comment = dialect.comment.encode() if dialect.comment else None
    for block in record_blocks(read, signs, _HEAD_BYTES):
        for start, end in pairwise([0, *record_ends(block, signs)]):
            record = block[start:end]
            if record.strip(b"\r\n") and not (comment and record.startswith(comment)):
                return record, offset + start, offset + end
        offset += len(block)
    raise SourceUnreadable(
        f"`{path}` is empty{': it has not even a header' if dialect.header else ''}.", file=path
    )


def _fields(record: bytes, dialect: Dialect, path: str) -> list[str]:
    try:
        text = record.decode(dialect.encoding)
    except UnicodeDecodeError:
        raise SourceUnreadable(
            f"The header of `{path}` is not {_shown(dialect.encoding)}; `encoding` in the source's"
            " `format` says what it is.",
            file=path,
        ) from None
    try:
        lines = [row for row in _python_rows(text, dialect) if row]
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


def _python_rows(text: str, dialect: Dialect) -> Iterable[list[str]]:
    return csv.reader(
        io.StringIO(text, ""),
        delimiter=dialect.delimiter,
        quotechar=dialect.quote or '"',
        quoting=csv.QUOTE_NONE if dialect.quote is None else csv.QUOTE_MINIMAL,
        escapechar=dialect.escape,
    )


def _shown(encoding: str) -> str:
    return "UTF-8" if encoding == UTF8 else encoding
