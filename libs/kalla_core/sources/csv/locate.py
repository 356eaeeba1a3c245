"""From a failure to the line, the column and what would help. Only ever run on failure."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.csv

from kalla_core.errors import SourceUnreadable
from kalla_core.recipe.column_types import parse_type, type_word
from kalla_core.sources.csv.block import BlockParser
from kalla_core.sources.csv.body import CsvFile, CsvSource
from kalla_core.sources.csv.dialect import Dialect
from kalla_core.sources.csv.faults import SHOWN, at_line, broken_record, short
from kalla_core.sources.csv.records import BrokenRecordError, record_blocks, record_ends

_CHUNK_BYTES = 1 << 20
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
    line = _line_at(source, file, offset + start)
    return _Diagnosis(source, file, parser, line, block[start : ends[bad]]).error()


def explain_broken(source: CsvSource, file: CsvFile, broken: BrokenRecordError) -> SourceUnreadable:
    """Return the error for a record without an end; looks for its line if need be."""
    if broken.offset is None:
        broken = _found_again(source, file, broken)
    line = _line_at(source, file, file.start + (broken.offset or 0))
    if broken.at is None:
        return broken_record(file.path, line, broken)
    at = file.start + broken.at
    with source.stream(file) as stream:
        stream.read(at)
        text = stream.read(SHOWN)
    return broken_record(file.path, line, broken, _line_at(source, file, at), text)


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


def _line_at(source: CsvSource, file: CsvFile, offset: int) -> int:
    """Return the number of the line, from 1, that holds the byte at `offset`."""
    line = 1
    with source.stream(file) as stream:
        while offset > 0 and (data := stream.read(min(_CHUNK_BYTES, offset))):
            line += data.count(file.terminator)
            offset -= len(data)
    return line


def _found_again(source: CsvSource, file: CsvFile, broken: BrokenRecordError) -> BrokenRecordError:
    """Return what is wrong, with offsets; reads the file once more."""
    offset = 0
    with source.stream(file) as stream:
        stream.read(file.start)
        blocks = record_blocks(stream.read, source.dialect.signs(file.terminator), _CHUNK_BYTES)
        try:
            for block in blocks:
                offset += len(block)
        except BrokenRecordError as found:
            return found
    return BrokenRecordError(offset, broken.why)


class _Diagnosis:
    """What is wrong with one record."""

    def __init__(
        self, source: CsvSource, file: CsvFile, parser: BlockParser, line: int, record: bytes
    ) -> None:
        self._dialect = source.dialect
        self._types = source.source.types
        self._file = file
        self._parser = parser
        self._line = line
        self._record = record

    def error(self) -> SourceUnreadable:
        try:
            text = self._record.decode()
        except UnicodeDecodeError as cause:
            return self._not_utf8(cause)
        texts, unlike = _texts(self._record, self._parser.file_schema.names, self._dialect)
        if unlike is not None:
            return self._unlike_columns(unlike, text)
        for field in self._parser.schema:
            alone = BlockParser(
                self._parser.file_schema, self._dialect, self._parser.canonical, only=[field.name]
            )
            if not _parses(alone, self._record):
                return self._misfit(field, texts.column(field.name)[0].as_py() or "")
        return at_line(self._file.path, self._line, f"`{short(text)}` is unreadable.")

    def _not_utf8(self, cause: UnicodeDecodeError) -> SourceUnreadable:
        line = self._line + self._record.count(self._file.terminator, 0, cause.start)
        byte = self._record[cause.start]
        return at_line(
            self._file.path, line, f"the byte 0x{byte:02x} is not UTF-8; save it as UTF-8."
        )

    def _unlike_columns(self, count: int, text: str) -> SourceUnreadable:
        have = "1 column" if count == 1 else f"{count} columns"
        want = len(self._parser.file_schema)
        where = "the header" if self._dialect.header else "the first line"
        return at_line(
            self._file.path, self._line, f"{have}, but {where} has {want}: `{short(text)}`."
        )

    def _misfit(self, field: pa.Field, value: str) -> SourceUnreadable:
        remedy = accepting_word(field.type, value)
        origin = "the recipe's `types` say" if field.name in self._types else "its sample shows"
        shown = f"`{short(value)}`" if value else 'the empty text `""`'
        return at_line(
            self._file.path,
            self._line,
            f"column `{field.name}`: {shown} is no {type_word(field.type)}, which is what"
            f' {origin}. This would accept it: "types": {{"{field.name}": "{remedy}"}}.',
            column=field.name,
            value=value,
            types={field.name: remedy},
        )


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
    return _parses(BlockParser(schema, Dialect(",", ("",), False)), f"{value}\n".encode())


def _texts(record: bytes, columns: list[str], dialect: Dialect) -> tuple[pa.Table, int | None]:
    """Return a record as text, and how many columns it has if that is another number."""
    unlike: list[int] = []

    def note(row: pyarrow.csv.InvalidRow) -> str:
        unlike.append(row.actual_columns)
        return "skip"

    texts = pyarrow.csv.read_csv(
        pa.BufferReader(record),
        read_options=pyarrow.csv.ReadOptions(
            use_threads=False, column_names=columns, block_size=len(record)
        ),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=dialect.delimiter, invalid_row_handler=note
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.string())
        ),
    )
    return texts, unlike[0] if unlike else None
