"""The rows that types are told from.

A source of up to 6 MiB is its own sample. Of a larger one the sample is the first 4 MiB of its
rows and eight windows of 256 KiB, spread evenly over the rest so that the last one ends with the
source; of files compressed with gzip only the first one's beginning. A window begins
behind a line end; one whose first quotes look as if that line end were within quotes is left out,
and so are rows that do not fit the columns. The sample depends on the bytes of the source alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.csv

from kalla_core.kept_threads import kept_threads
from kalla_core.sources.csv.body import CsvFile, CsvSource
from kalla_core.sources.csv.comments import without_comments
from kalla_core.sources.csv.dialect import BOM, UTF8, Dialect, SkipRow
from kalla_core.sources.csv.records import record_ends

HEAD_BYTES = 4 << 20
WINDOWS = 8
WINDOW_BYTES = 256 << 10
_WORTH_A_THREAD_BYTES = WINDOW_BYTES
"""More than that two threads parse sooner than one."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole records of a file, from an offset in the bytes that are read."""

    file: CsvFile
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows of a source as they are written.

    Attributes:
        rows: all columns as binary in UTF-8, null where the text means NULL.
        size_bytes: how many bytes of the source hold these rows.
        whole: whether these are all rows.
        as_written: whether they are what reading finds: none left out, nothing replaced.
        pieces: where the rows are from, in order; `counts` are how many each has.
    """

    rows: pa.Table
    size_bytes: int
    whole: bool
    as_written: bool
    pieces: tuple[Piece, ...]
    counts: tuple[int, ...]


def take_sample(source: CsvSource, columns: tuple[str, ...], threads: int = 1) -> Sample:
    """Return the sample of a source, parsed by one thread or two."""
    whole = _fits(source)
    if whole:
        pieces = list(_everything(source))
    else:
        head, whole = _head(source, source.files[0])
        pieces = [head, *_windows(source, head)]
    schema = pa.schema([(name, pa.binary()) for name in columns])
    read = [_texts(piece, source, threads) for piece in pieces]
    tables = [table for table, _ in read]
    rows = pa.concat_tables([schema.empty_table(), *tables], promote_options="default")
    size = sum(len(piece.data) for piece in pieces)
    counts = tuple(table.num_rows for table in tables)
    as_written = all(so for _, so in read)
    return Sample(rows, size, whole, as_written, tuple(pieces), counts)


def _fits(source: CsvSource) -> bool:
    size = sum(file.body_bytes for file in source.files)
    streamed = any(file.streamed for file in source.files)
    return size <= HEAD_BYTES + WINDOWS * WINDOW_BYTES and not streamed


def _everything(source: CsvSource) -> Iterator[Piece]:
    for file in source.files:
        with source.rows(file) as read:
            yield Piece(file, file.start, read(-1))


def _head(source: CsvSource, file: CsvFile) -> tuple[Piece, bool]:
    """Return a file's first whole records, and whether they are all rows of the source."""
    with source.rows(file) as read:
        data = read(HEAD_BYTES)
        if not read(1):
            return Piece(file, file.start, data), len(source.files) == 1
    ends = record_ends(data, source.dialect.signs(file.terminator))
    return Piece(file, file.start, data[: ends[-2]] if len(ends) > 1 else b""), False


def _windows(source: CsvSource, head: Piece) -> Iterator[Piece]:
    first = source.files[0]
    cuttable = [file for file in source.files if not file.streamed]
    total = sum(file.body_bytes for file in cuttable)
    skipped = 0 if first.streamed else min(HEAD_BYTES, first.body_bytes)
    room = total - skipped - WINDOW_BYTES
    if room <= 0:
        return
    long_texts = _breaks_within_quotes(head.data, source, first)
    quote = source.dialect.quote
    for window in range(1, WINDOWS + 1):
        file, offset = _locate(cuttable, skipped + room * window // WINDOWS)
        start, rows = _window(source, file, offset)
        if quote is None or _begins_outside(
            rows, source.dialect.delimiter, quote, long_texts=long_texts
        ):
            yield Piece(file, start, rows)


def _breaks_within_quotes(head: bytes, source: CsvSource, file: CsvFile) -> bool:
    if not head:
        return False
    ends = record_ends(head, source.dialect.signs(file.terminator))
    return head.count(file.terminator) > len(ends)


def _begins_outside(rows: bytes, delimiter: str, quote: str, *, long_texts: bool) -> bool:
    """Return whether bytes seem to begin outside quotes, judged by the first quote that shows it.

    Bytes without such a quote do. In a file with line breaks within quotes (`long_texts`) nothing
    but a first quote that plainly opens a field will do.
    """
    separators, sign = re.escape(delimiter.encode()) + rb"\r\n", re.escape(quote.encode())
    opening = rb"(?<=[%b])%b(?=[^%b%b])" % (separators, sign, sign, separators)
    closing = rb"(?<=[^%b%b])%b(?=[%b])" % (sign, separators, sign, separators)
    if long_texts:
        return re.match(rb"[^%b]*" % sign + opening, rows) is not None
    found = re.search(rb"(%b)|%b" % (opening, closing), rows) if quote.encode() in rows else None
    return found is None or found[1] is not None


def _locate(files: list[CsvFile], position: int) -> tuple[CsvFile, int]:
    """Return the file and the offset in it of a position in all rows' bytes."""
    for file in files:
        if position < file.body_bytes:
            return file, file.start + position
        position -= file.body_bytes
    last = files[-1]
    return last, last.rows_end


def _window(source: CsvSource, file: CsvFile, offset: int) -> tuple[int, bytes]:
    """Return whole records and where they begin."""
    with source.stream(file) as stream:
        stream.seek(offset)
        data = bytes(stream.read(min(WINDOW_BYTES, file.rows_end - offset)))
    start = data.find(bytes([file.terminator])) + 1
    rows = data[start:] if start else b""
    if not rows or offset + WINDOW_BYTES >= file.rows_end:
        return offset + start, rows
    ends = record_ends(rows, source.dialect.signs(file.terminator))
    return offset + start, rows[: ends[-2]] if len(ends) > 1 else b""


def _texts(piece: Piece, source: CsvSource, threads: int) -> tuple[pa.Table, bool]:
    """Parse rows without typing them; also return whether that is all there is of them.

    Rows with another number of columns are left out. What is not of the encoding is replaced: it
    is no number either, and reading will say in which line it is.
    """
    dialect, columns = source.dialect, piece.file.columns
    left_out: list[pyarrow.csv.InvalidRow] = []

    def leave_out(row: pyarrow.csv.InvalidRow) -> str:
        left_out.append(row)
        return "skip"

    rows = readable(piece.data, dialect)
    parse = partial(_parsed, names=dialect.columns(columns), dialect=dialect, on_invalid=leave_out)
    middle = _middle(rows, dialect, piece.file.terminator) if threads > 1 else None
    if middle is None:
        table = parse(rows)
    else:
        view = memoryview(rows)
        second = kept_threads(1, "parse").submit(parse, view[middle:])
        table = pa.concat_tables([parse(view[:middle]), second.result()])
    as_written = rows is piece.data and not rows.startswith(BOM) and not left_out
    return table.select(list(columns)), as_written


def _middle(rows: bytes, dialect: Dialect, terminator: int) -> int | None:
    """Return where the record begins that is the first of the second half.

    None where that is not plain to see, or not worth another thread.
    """
    quoting = [sign.encode() for sign in (dialect.quote, dialect.escape) if sign is not None]
    if len(rows) <= _WORTH_A_THREAD_BYTES or any(sign in rows for sign in quoting):
        return None
    found = rows.find(bytes([terminator]), len(rows) // 2) + 1
    # Of a parser's first bytes these would be no part of the record.
    return None if found in (0, len(rows)) or rows.startswith(BOM, found) else found


def _parsed(
    rows: bytes | memoryview, names: list[str], dialect: Dialect, on_invalid: SkipRow
) -> pa.Table:
    return pyarrow.csv.read_csv(
        pa.BufferReader(rows or b"\n"),
        read_options=pyarrow.csv.ReadOptions(
            use_threads=False, column_names=names, block_size=max(len(rows), 1)
        ),
        parse_options=dialect.parse_options(on_invalid),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types={name: pa.binary() for name in names},
            null_values=list(dialect.nulls),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


def readable(rows: bytes, dialect: Dialect) -> bytes:
    """Return records in UTF-8, without comments; what is not of the encoding is replaced."""
    if dialect.comment is not None:
        rows = without_comments(pa.py_buffer(rows), dialect)
    if dialect.encoding == UTF8 and _is_utf8(rows):
        return rows
    return rows.decode(dialect.encoding, "replace").encode()


def _is_utf8(rows: bytes) -> bool:
    if rows.isascii():
        return True
    try:
        pa.array([rows], pa.binary()).cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True
