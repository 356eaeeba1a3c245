"""JSON as a kind of files (see `streams.kind.Kind`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import PurePath

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from kalla_core.errors import SourceUnreadable
from kalla_core.recipe.column_types import parse_type, type_word
from kalla_core.sources.csv.locate import accepting_word
from kalla_core.sources.csv.packed import NotUnpackedError, packing_of, unpacked
from kalla_core.sources.csv.spelling import Spelling
from kalla_core.sources.formats import FileSource
from kalla_core.sources.jsonl.envelope import arrays_of_objects, enveloped_blocks
from kalla_core.sources.jsonl.records import (
    Block,
    BrokenJsonError,
    is_lines,
    line_blocks,
    object_blocks,
)
from kalla_core.sources.jsonl.texts import Written, objects, plain_text, text_of
from kalla_core.sources.jsonl.told import UnlikeError, Value, shown, told_schema
from kalla_core.sources.store import NO_PROMISE, Promise
from kalla_core.sources.streams.kind import Look, Span

_SAMPLE_BYTES = 1 << 20
_HEAD_BYTES = 64 << 10
_CUT_BYTES = 512 << 10
_CHUNK_BYTES = 1 << 20
_KINDS: dict[Callable[[pa.DataType], bool], str] = {
    pa.types.is_boolean: "true or false",
    pa.types.is_struct: "an object",
    pa.types.is_list: "an array",
}


class JsonKind:
    """Reads JSON files."""

    name = "JSON files"
    fields = frozenset({"date", "timestamp", "records", "row_number", "amount"})
    typed = True

    def look(self, source: FileSource, index: int) -> Look:
        """Tell the types from the first MiB."""
        path = source.files[index].path
        declared = {name: parse_type(word) for name, word in source.types.items()}
        with self._explained(source, index):
            blocks = self._blocks(source, index, None, _SAMPLE_BYTES)
            rows, size = [], 0
            for block in blocks:
                rows += [Value(*one) for one in objects(block.data, block.line)]
                size += len(block.data)
                if size >= _SAMPLE_BYTES:
                    break
            whole = next(blocks, None) is None
            try:
                schema = told_schema(rows, Spelling.of(source.format), declared)
            except UnlikeError as unlike:
                raise _unlike(path, unlike, self._notes(source, index, rows)) from None
        if rows and not whole:  # a column may come later, if its type is said
            absent = [pa.field(*one) for one in declared.items() if one[0] not in schema.names]
            schema = pa.schema([*schema, *absent])
        count = len(rows) if whole else round(len(rows) * self._share(source, index, size))
        notes = self._notes(source, index, rows) if whole else ()
        return Look(schema, count, whole, size / len(rows) / 2 if rows else 0.0, notes)

    def cut(self, source: FileSource, index: int, pieces: int) -> Sequence[Span | None]:
        """Cut lines; what is packed, and what is no lines, stays whole."""
        file = source.files[index]
        pieces = min(pieces, file.size_bytes // _CUT_BYTES)
        if pieces < 2 or packing_of(file.path) or not self._is_lines(source, index):
            return (None,)
        edges = [0]
        with source.open(index) as raw:
            for piece in range(1, pieces):
                edges.append(max(_line_start(raw, file.size_bytes * piece // pieces), edges[-1]))
        edges.append(file.size_bytes)
        return [(start, end) for start, end in pairwise(edges) if start < end]

    def batches(
        self, source: FileSource, index: int, schema: pa.Schema, span: Span | None
    ) -> Iterator[pa.RecordBatch]:
        """Parse a file block by block."""
        parser = _Parser(schema, Spelling.of(source.format), _texts(source))
        with self._explained(source, index):
            for block in self._blocks(source, index, span):
                try:
                    yield parser.parse(block)
                except pa.ArrowInvalid as cause:
                    source.check_unchanged(index)
                    line = _first_line(source, index, span)
                    moved = Block(block.data, block.line + line)
                    raise _misfit(source, index, schema, moved, str(cause)) from None

    def _blocks(
        self, source: FileSource, index: int, span: Span | None, block_bytes: int | None = None
    ) -> Iterator[Block]:
        lines = self._is_lines(source, index)
        size = {} if block_bytes is None else {"block_bytes": block_bytes}
        start, end = span or (0, source.files[index].size_bytes)
        promise = NO_PROMISE if block_bytes else Promise(((start, end),))
        with source.open(index, promise) as raw:
            if span is not None:
                raw.seek(start)
            with unpacked(raw, source.files[index].path) as stream:
                left = None if span is None else end - start

                def read(wanted: int) -> bytes:
                    nonlocal left
                    data = bytes(stream.read(wanted if left is None else min(wanted, left)))
                    left = None if left is None else left - len(data)
                    return data

                if source.format.records is not None:
                    yield from enveloped_blocks(read, source.format.records.split("."), **size)
                else:
                    yield from (line_blocks if lines else object_blocks)(read, **size)

    def _is_lines(self, source: FileSource, index: int) -> bool:
        if source.format.records is not None:
            return False
        with source.open(index) as raw, unpacked(raw, source.files[index].path) as stream:
            return is_lines(bytes(stream.read(_HEAD_BYTES)))

    def _share(self, source: FileSource, index: int, seen: int) -> float:
        packed = 5 if packing_of(source.files[index].path) else 1
        return max(source.files[index].size_bytes * packed / max(seen, 1), 1.0)

    def _notes(self, source: FileSource, index: int, rows: Sequence[Value]) -> tuple[str, ...]:
        """Return what is odd about a file of one record that holds an array of records."""
        if len(rows) != 1 or source.format.records is not None:
            return ()
        arrays = arrays_of_objects(text_of(rows[0].value).encode())
        if not arrays:
            return ()
        names = " or ".join(f'{{"records": "{name}"}}' for name in arrays)
        return (
            f"`{source.files[index].path}` is one record that holds an array of records; if those"
            f' are its rows, "format": {names} reads them.',
        )

    @contextmanager
    def _explained(self, source: FileSource, index: int) -> Iterator[None]:
        path = source.files[index].path
        try:
            yield
        except NotUnpackedError as cause:
            source.check_unchanged(index)
            raise SourceUnreadable(f"`{path}` {cause}", file=path) from cause
        except BrokenJsonError as cause:
            source.check_unchanged(index)
            name = PurePath(path).name
            text = str(cause)
            said = f"`{path}` {text}"
            if text.startswith("line "):
                line, _, rest = text.partition(":")
                said = f"{line} of {name}:{rest}"
            raise SourceUnreadable(said, file=path) from cause


class _Parser:
    """Parses blocks with all types given."""

    def __init__(self, schema: pa.Schema, spelling: Spelling, texts: Sequence[str]) -> None:
        self._schema = schema
        self.spelling = spelling
        self.texts = [name for name in schema.names if name in texts]
        self._options = pyarrow.json.ParseOptions(
            explicit_schema=pa.schema(
                [
                    (one.name, pa.string() if _is_moment(one.type) else one.type)
                    for one in schema
                    if one.name not in self.texts
                ]
            ),
            newlines_in_values=True,
            unexpected_field_behavior="ignore" if self.texts else "error",
        )

    def parse(self, block: Block) -> pa.RecordBatch:
        """Return the rows of a block; raises `pyarrow.ArrowInvalid` for what does not fit."""
        texts = self._as_texts(block) if self.texts else {}
        if len(texts) == len(self._schema):
            return pa.RecordBatch.from_arrays(list(texts.values()), schema=self._schema)
        table = pyarrow.json.read_json(
            pa.BufferReader(block.data),
            read_options=pyarrow.json.ReadOptions(
                use_threads=False, block_size=len(block.data) + 1
            ),
            parse_options=self._options,
        )
        arrays = [
            texts[one.name] if one.name in texts else self._typed(table.column(one.name), one)
            for one in self._schema
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _as_texts(self, block: Block) -> dict[str, pa.Array]:
        rows = [value for _, value in objects(block.data, block.line)]
        known = set(self._schema.names)
        if any(not known.issuperset(row) for row in rows):
            raise pa.ArrowInvalid("unexpected field")
        return {
            name: pa.array([plain_text(row.get(name)) for row in rows], pa.string())
            for name in self.texts
        }

    def _typed(self, column: pa.ChunkedArray, field: pa.Field) -> pa.Array:
        values = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
        if values.type == field.type:
            return values
        if self.spelling.rewrites(field.type):
            nulls = values.null_count
            values = self.spelling.rewritten(values, field.type)
            if values.null_count != nulls:
                raise pa.ArrowInvalid("a value is not written as the format says")
        return pc.cast(values, field.type)


def _misfit(
    source: FileSource, index: int, schema: pa.Schema, block: Block, said: str
) -> SourceUnreadable:
    """Return the error for a block that does not parse, with the line and the field."""
    path = source.files[index].path
    name = PurePath(path).name
    parser = _Parser(schema, Spelling.of(source.format), _texts(source))
    for line, row in objects(block.data, block.line):
        for key, value in row.items():
            if key not in schema.names:
                word = "text" if not isinstance(value, bool) else "boolean"
                return SourceUnreadable(
                    f"line {line} of {name}: the field `{key}` stands in none of the records that"
                    ' columns are told from. Say what it is: "types":'
                    f' {{"{key}": "{word}"}}.',
                    file=path, line=line, column=key,
                )  # fmt: skip
        found = _wrong_field(parser, schema, row)
        if found is not None:
            key, value = found
            wanted = _word(schema.field(key).type)
            number = isinstance(value, Written)
            remedy = accepting_word(schema.field(key).type, str(value)) if number else "text"
            return SourceUnreadable(
                f"line {line} of {name}: the field `{key}` is {shown(value)}, and no {wanted},"
                f" which is what {'the recipe' if key in source.types else 'its sample'} says."
                f' This would accept it: "types": {{"{key}": "{remedy}"}}.',
                file=path, line=line, column=key,
            )  # fmt: skip
    return SourceUnreadable(
        f"`{path}` has records from line {block.line} on that are not read: {said}.", file=path
    )


def _wrong_field(
    parser: _Parser, schema: pa.Schema, row: dict[str, object]
) -> tuple[str, object] | None:
    for key, value in row.items():
        one = _Parser(pa.schema([schema.field(key)]), parser.spelling, parser.texts)
        try:
            one.parse(Block(text_of({key: value}).encode(), 1))
        except pa.ArrowInvalid:
            return key, value
    return None


def _unlike(path: str, unlike: UnlikeError, notes: Sequence[str]) -> SourceUnreadable:
    name = PurePath(path).name
    column = unlike.path.partition(".")[0].partition("[")[0]
    (first, second), (one, other) = unlike.lines, unlike.shown
    return SourceUnreadable(
        f"line {second} of {name}: the field `{unlike.path}` is {other}, but in line {first} {one}."
        f' As text, as it is written, this reads it: "types": {{"{column}": "text"}}.'
        + "".join(f" {note}" for note in notes),
        file=path,
        line=second,
        column=column,
    )


def _texts(source: FileSource) -> list[str]:
    """Return the columns that `types` calls text: whatever they hold, as it is written."""
    return [name for name, word in source.types.items() if parse_type(word) == pa.string()]


def _word(found: pa.DataType) -> str:
    nested = next((word for check, word in _KINDS.items() if check(found)), None)
    return nested or type_word(found)


def _is_moment(found: pa.DataType) -> bool:
    return bool(pa.types.is_date(found) or pa.types.is_timestamp(found))


def _line_start(raw: pa.NativeFile, offset: int) -> int:
    """Return where the first line begins that starts at an offset or behind it."""
    raw.seek(offset - 1)
    at = offset - 1
    while data := bytes(raw.read(_HEAD_BYTES)):
        found = data.find(b"\n")
        if found >= 0:
            return at + found + 1
        at += len(data)
    return at


def _first_line(source: FileSource, index: int, span: Span | None) -> int:
    """Return how many lines stand before a span."""
    if span is None:
        return 0
    lines, left = 0, span[0]
    with source.open(index) as raw:
        while left and (data := bytes(raw.read(min(left, _CHUNK_BYTES)))):
            lines += data.count(b"\n")
            left -= len(data)
    return lines
