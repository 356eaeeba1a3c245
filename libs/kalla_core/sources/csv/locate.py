"""From a failure to the line, the column and what would help. Only ever run on failure."""

from __future__ import annotations

import re
from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from kalla_core.errors import SourceUnreadable
from kalla_core.recipe.column_types import parse_type, type_word
from kalla_core.sources.csv.block import BlockParser
from kalla_core.sources.csv.body import CsvFile, CsvSource
from kalla_core.sources.csv.dialect import BOM, TRAILING, UTF8, Dialect
from kalla_core.sources.csv.faults import BEFORE, SHOWN, at_line, broken_record, short
from kalla_core.sources.csv.footer import end_of_rows
from kalla_core.sources.csv.header import delimiter_remedy
from kalla_core.sources.csv.infer import infer_type
from kalla_core.sources.csv.readings import proposal
from kalla_core.sources.csv.records import BrokenRecordError, record_blocks, record_ends
from kalla_core.sources.csv.sample import readable, take_sample

_CHUNK_BYTES = 1 << 20
_HEAD_BYTES = 64 << 10
_LOOKED_AT = 100
_MOST_LAST_LINES = 3
_NUMBER = re.compile(r"-?(?=\.?\d)(\d*)(?:\.(\d+))?", re.ASCII)


def explain_misfit(
    source: CsvSource, file: CsvFile, parser: BlockParser, offset: int, block: bytes
) -> SourceUnreadable:
    """Return the error for a block that does not parse.

    Args:
        source: what the block is of.
        file: the file it is of.
        parser: what it does not parse with.
        offset: of the block in the unpacked file.
        block: whole records, the first that does not parse among them.
    """
    ends = record_ends(block, source.dialect.signs(file.terminator))
    bad = _first_bad(parser, block, ends)
    start = ends[bad - 1] if bad else 0
    return _Diagnosis(source, file, parser, offset + start, block[start : ends[bad]]).error()


def explain_broken(source: CsvSource, file: CsvFile, broken: BrokenRecordError) -> SourceUnreadable:
    """Return the error for a record without an end; looks for its line if need be."""
    if broken.offset is None:
        broken = _found_again(source, file, broken)
    line = line_at(source, file, file.start + (broken.offset or 0))
    if broken.at is None:
        return broken_record(file.path, line, broken)
    at = file.start + broken.at
    shown = _around(source, file, at)
    return broken_record(file.path, line, broken, line_at(source, file, at), *shown)


def _around(source: CsvSource, file: CsvFile, at: int) -> tuple[bytes, bytes]:
    """Return the bytes before a quote that ends at an offset, the quote, and some that follow."""
    with source.stream(file) as stream:
        before = b""
        while at > 0 and (data := stream.read(min(_CHUNK_BYTES, at))):
            before = (before + data)[-BEFORE:]
            at -= len(data)
        return before, bytes(stream.read(SHOWN))


def _first_bad(parser: BlockParser, block: bytes, ends: list[int]) -> int:
    """Return the index of the first record with which the block no longer parses."""
    good, bad = 0, len(ends)
    while good + 1 < bad:
        middle = (good + bad) // 2
        if _parses(parser, block[: ends[middle - 1]]):
            good = middle
        else:
            bad = middle
    return bad - 1


def _parses(parser: BlockParser, records: bytes) -> bool:
    try:
        parser.parse(pa.py_buffer(records))
    except pa.ArrowInvalid:
        return False
    return True


def line_at(source: CsvSource, file: CsvFile, offset: int) -> int:
    """Return the number of the line, from 1, that holds the byte at `offset`."""
    line = source.source.first_line
    with source.stream(file) as stream:
        while offset > 0 and (data := stream.read(min(_CHUNK_BYTES, offset))):
            line += data.count(file.terminator)
            offset -= len(data)
    return line


def _found_again(source: CsvSource, file: CsvFile, broken: BrokenRecordError) -> BrokenRecordError:
    """Return what is wrong, with offsets; reads the file once more."""
    offset = 0
    with source.rows(file) as read:
        blocks = record_blocks(read, source.dialect.signs(file.terminator), _CHUNK_BYTES)
        try:
            for block in blocks:
                offset += len(block)
        except BrokenRecordError as found:
            return found
    return BrokenRecordError(offset, broken.why)


class _Diagnosis:
    """What is wrong with one record."""

    def __init__(
        self, source: CsvSource, file: CsvFile, parser: BlockParser, offset: int, record: bytes
    ) -> None:
        self._source = source
        self._dialect = source.dialect
        self._types = source.source.types
        self._file = file
        self._parser = parser
        self._offset = offset
        self._line = line_at(source, file, offset)
        self._record = record

    def error(self) -> SourceUnreadable:
        try:
            text = self._record.decode(self._dialect.encoding)
        except UnicodeDecodeError as cause:
            return self._not_text(cause)
        record = readable(self._record, self._dialect)
        texts, unlike = _texts(record, self._parser.file_schema.names, self._dialect)
        if unlike is not None:
            return self._unlike_columns(unlike, text)
        if self._dialect.trailing and (more := texts.column(TRAILING)[0].as_py()):
            return at_line(
                self._file.path,
                self._line,
                f"`{short(more)}` stands behind the delimiter that ends the row.",
            )
        for field in self._parser.schema:
            alone = BlockParser(
                self._parser.file_schema,
                self._dialect,
                self._parser.canonical,
                only=[field.name],
                currencies=self._parser.currencies,
            )
            if not _parses(alone, self._record):
                return self._misfit(field, texts.column(field.name)[0].as_py() or "")
        return at_line(self._file.path, self._line, f"`{short(text)}` is unreadable.")

    def _not_text(self, cause: UnicodeDecodeError) -> SourceUnreadable:
        line = self._line + self._record.count(self._file.terminator, 0, cause.start)
        byte = self._record[cause.start]
        encoding = self._dialect.encoding
        what = (
            'is not UTF-8; save it as UTF-8, or say what it is, as "format": {"encoding":'
            ' "cp1252"}.'
            if encoding == UTF8
            else f"is not {encoding}."
        )
        return at_line(self._file.path, line, f"the byte 0x{byte:02x} {what}")

    def _unlike_columns(self, count: int, text: str) -> SourceUnreadable:
        have = "1 column" if count == 1 else f"{count} columns"
        want = len(self._parser.file_schema)
        where = "the header" if self._dialect.header is not False else "the first line"
        what = f"{have}, but {where} has {want}: `{short(text)}`."
        return at_line(self._file.path, self._line, what + self._remedy(count, text))

    def _remedy(self, count: int, text: str) -> str:
        ends = text.rstrip("\r\n").endswith(self._dialect.delimiter)
        if ends and count == len(self._parser.file_schema) + 1:
            return ' If every row ends so, say "format": {"trailing_delimiter": true}.'
        if remedy := delimiter_remedy(self._parser.file_schema.names):
            return remedy
        if count < len(self._parser.file_schema) and (last := self._lines_to_the_end()):
            return f' If the last lines are no rows, say "format": {{"skip_last": {last}}}.'
        line = header_line(self._source, self._file)
        if line is not None:
            return f' If the header is line {line}, say "format": {{"header": {line}}}.'
        return ""

    def _lines_to_the_end(self) -> int | None:
        """Return how many lines that are not blank there are from this one on, if they are few."""
        file = self._file
        size = None if file.streamed else file.size_bytes
        for lines in range(1, _MOST_LAST_LINES + 1):
            with self._source.stream(file) as stream:
                end = end_of_rows(stream, file.start, size, file.terminator, lines)
            if end <= self._offset:
                return lines if end == self._offset and end > file.start else None
        return None

    def _misfit(self, field: pa.Field, value: str) -> SourceUnreadable:
        if pa.types.is_null(field.type):
            return self._first_value(field, value)
        remedy = accepting_word(field.type, value)
        origin = "the recipe's `types` say" if field.name in self._types else "its sample shows"
        shown = f"`{short(value)}`" if value else 'the empty text `""`'
        would = self._format_for(field, value)
        return at_line(
            self._file.path,
            self._line,
            f"column `{field.name}`: {shown} is no {type_word(field.type)}, which is what"
            f' {origin}{would or "."} This would accept it: "types":'
            f' {{"{field.name}": "{remedy}"}}.',
            column=field.name,
            value=value,
            types={field.name: remedy},
        )

    def _first_value(self, field: pa.Field, value: str) -> SourceUnreadable:
        """Return the error for a column that had no value in its sample, and so no type."""
        found = infer_type(pa.chunked_array([pa.array([value.encode()])]))
        word = type_word(found)
        return at_line(
            self._file.path,
            self._line,
            f"column `{field.name}`: `{short(value)}` is the first value of a column that has none"
            " in its sample, and the match SQL compares it with what is no text. Say what it is:"
            f' "types": {{"{field.name}": "{word}"}}.',
            column=field.name,
            value=value,
            types={field.name: word},
        )

    def _format_for(self, field: pa.Field, value: str) -> str:
        """Return the format that reads a value and what the column's sample has, as a clause."""
        names = tuple(self._parser.file_schema.names)
        sample = take_sample(self._source, names).rows.column(field.name)
        some = pc.unique(sample.drop_null()).slice(0, _LOOKED_AT).cast(pa.string())
        quote = self._dialect.quote

        def is_quoted(text: str) -> bool:
            return bool(quote and text) and f"{quote}{text}{quote}".encode() in self._record

        texts = pc.unique(pa.concat_arrays([some, pa.array([value])]))
        return proposal(field.name, field.type, texts, is_quoted)


def accepting_word(column_type: pa.DataType, value: str) -> str:
    """Return the type word nearest to a column's type that accepts `value`, too."""
    if number := _NUMBER.fullmatch(value):
        before, behind = number[1], number[2] or ""
        if word := _wider_number(column_type, before, behind):
            return word
    if pa.types.is_date(column_type) and _accepts("timestamp", value):
        return "timestamp"
    return "text"


def _wider_number(column_type: pa.DataType, before: str, behind: str) -> str | None:
    if pa.types.is_integer(column_type):
        whole, scale = 18, 0
        if not behind and before.startswith("0"):
            return None
    elif pa.types.is_decimal(column_type):
        whole, scale = column_type.precision - column_type.scale, column_type.scale
    else:
        return None
    scale = max(scale, len(behind))
    whole = max(whole, len(before))
    return f"decimal({whole + scale},{scale})" if whole + scale <= 76 else None


def _accepts(word: str, value: str) -> bool:
    schema = pa.schema([("value", parse_type(word))])
    return _parses(BlockParser(schema, Dialect(header=False)), f"{value}\n".encode())


def header_line(source: CsvSource, file: CsvFile) -> int | None:
    """Return the number of the first line with as many fields as most rows have.

    None if that is the line which was taken for the header, or none at all.
    """
    with source.stream(file) as stream:
        head = bytes(stream.read(_HEAD_BYTES))
    lines = head.removeprefix(BOM).split(bytes([file.terminator]))[:_LOOKED_AT]
    delimiter = source.dialect.delimiter.encode()
    counts = [line.count(delimiter) for line in lines]
    written = [count for line, count in zip(lines, counts, strict=True) if line.strip()]
    if not written:
        return None
    usual = Counter(written).most_common(1)[0][0]
    first = counts.index(usual) + 1
    taken = head.count(file.terminator, 0, file.start)
    return first if usual and first != taken else None


def _texts(record: bytes, columns: list[str], dialect: Dialect) -> tuple[pa.Table, int | None]:
    """Return a record as text, and how many columns it has if that is another number."""
    unlike: list[int] = []

    def note(row: pyarrow.csv.InvalidRow) -> str:
        unlike.append(row.actual_columns - int(dialect.trailing))
        return "skip"

    names = dialect.columns(columns)
    texts = pyarrow.csv.read_csv(
        pa.BufferReader(record),
        read_options=pyarrow.csv.ReadOptions(
            use_threads=False, column_names=names, block_size=max(len(record), 1)
        ),
        parse_options=dialect.parse_options(note),
        convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
    )
    return texts, unlike[0] if unlike else None
