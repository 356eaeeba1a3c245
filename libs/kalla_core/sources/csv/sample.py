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

import pyarrow as pa
import pyarrow.csv

from kalla_core.sources.csv.body import CsvFile, CsvSource
from kalla_core.sources.csv.records import record_ends

HEAD_BYTES = 4 << 20
WINDOWS = 8
WINDOW_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows of a source as they are written.

    Attributes:
        rows: all columns as binary, null where the text means NULL.
        size_bytes: how many bytes of the source hold these rows.
        whole: whether these are all rows.
    """

    rows: pa.Table
    size_bytes: int
    whole: bool


def take_sample(source: CsvSource, columns: tuple[str, ...]) -> Sample:
    """Return the sample of a source."""
    whole = _fits(source)
    if whole:
        pieces = list(_everything(source))
    else:
        head, whole = _head(source, source.files[0])
        pieces = [head, *_windows(source, head)]
    schema = pa.schema([(name, pa.binary()) for name in columns])
    tables = [_texts(piece, source, columns) for piece in pieces]
    rows = pa.concat_tables([schema.empty_table(), *tables])
    return Sample(rows, sum(map(len, pieces)), whole)


def _fits(source: CsvSource) -> bool:
    size = sum(file.body_bytes for file in source.files)
    return size <= HEAD_BYTES + WINDOWS * WINDOW_BYTES and not any(f.gzip for f in source.files)


def _everything(source: CsvSource) -> Iterator[bytes]:
    for file in source.files:
        with source.stream(file) as stream:
            stream.seek(file.start)
            yield stream.read()


def _head(source: CsvSource, file: CsvFile) -> tuple[bytes, bool]:
    """Return a file's first whole records, and whether they are all rows of the source."""
    with source.stream(file) as stream:
        stream.read(file.start)
        data = bytes(stream.read(HEAD_BYTES))
        if not stream.read(1):
            return data, len(source.files) == 1
    ends = record_ends(data, source.dialect.signs(file.terminator))
    return (data[: ends[-2]] if len(ends) > 1 else b""), False


def _windows(source: CsvSource, head: bytes) -> Iterator[bytes]:
    first = source.files[0]
    cuttable = [file for file in source.files if not file.gzip]
    total = sum(file.body_bytes for file in cuttable)
    skipped = 0 if first.gzip else min(HEAD_BYTES, first.body_bytes)
    room = total - skipped - WINDOW_BYTES
    if room <= 0:
        return
    long_texts = _breaks_within_quotes(head, source, first)
    for window in range(1, WINDOWS + 1):
        file, offset = _locate(cuttable, skipped + room * window // WINDOWS)
        rows = _window(source, file, offset)
        if _begins_outside(rows, source.dialect.delimiter, long_texts=long_texts):
            yield rows


def _breaks_within_quotes(head: bytes, source: CsvSource, file: CsvFile) -> bool:
    if not head:
        return False
    ends = record_ends(head, source.dialect.signs(file.terminator))
    return head.count(file.terminator) > len(ends)


def _begins_outside(rows: bytes, delimiter: str, *, long_texts: bool) -> bool:
    """Return whether bytes seem to begin outside quotes, judged by the first quote that shows it.

    Bytes without such a quote do. In a file with line breaks within quotes (`long_texts`) nothing
    but a first quote that plainly opens a field will do.
    """
    separators = re.escape(delimiter.encode()) + rb"\r\n"
    opening = rb'(?<=[%b])"(?=[^"%b])' % (separators, separators)
    closing = rb'(?<=[^"%b])"(?=[%b])' % (separators, separators)
    if long_texts:
        return re.match(rb'[^"]*' + opening, rows) is not None
    found = re.search(rb"(%b)|%b" % (opening, closing), rows) if b'"' in rows else None
    return found is None or found[1] is not None


def _locate(files: list[CsvFile], position: int) -> tuple[CsvFile, int]:
    """Return the file and the offset in it of a position in all rows' bytes."""
    for file in files:
        if position < file.body_bytes:
            return file, file.start + position
        position -= file.body_bytes
    last = files[-1]
    return last, last.size_bytes


def _window(source: CsvSource, file: CsvFile, offset: int) -> bytes:
    with source.stream(file) as stream:
        stream.seek(offset)
        data = bytes(stream.read(WINDOW_BYTES))
    start = data.find(bytes([file.terminator])) + 1
    rows = data[start:] if start else b""
    if not rows or offset + WINDOW_BYTES >= file.size_bytes:
        return rows
    ends = record_ends(rows, source.dialect.signs(file.terminator))
    return rows[: ends[-2]] if len(ends) > 1 else b""


def _texts(rows: bytes, source: CsvSource, columns: tuple[str, ...]) -> pa.Table:
    """Parse rows without typing them; those with another number of columns are left out.

    What is no UTF-8 is replaced: it is no number either, and reading will say in which line it is.
    """
    dialect = source.dialect
    rows = _valid_text(rows)
    return pyarrow.csv.read_csv(
        pa.BufferReader(rows or b"\n"),
        read_options=pyarrow.csv.ReadOptions(
            use_threads=False, column_names=list(columns), block_size=max(len(rows), 1)
        ),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=dialect.delimiter, invalid_row_handler=lambda _: "skip"
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types={name: pa.binary() for name in columns},
            null_values=list(dialect.nulls),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


def _valid_text(rows: bytes) -> bytes:
    try:
        rows.decode()
    except UnicodeDecodeError:
        return rows.decode(errors="replace").encode()
    return rows
