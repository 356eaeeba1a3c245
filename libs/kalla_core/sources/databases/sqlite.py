"""Tables of SQLite files (see `streams.kind.Kind`).

SQLite keeps the type with each value, so columns are told from what is in them, in one scan:
integers, doubles, texts, bytes. Where a column is declared as decimals, doubles are the decimals
that they were written as, with at most 15 digits; where all texts of the first rows are dates or
timestamps, the column is of those. A column of several kinds is text, as SQLite writes it.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.errors import SourceUnreadable
from kalla_core.recipe.column_types import (
    MAX_DECIMAL128_DIGITS,
    MAX_DECIMAL_DIGITS,
    decimal_type,
    parse_type,
    type_word,
)
from kalla_core.sources.csv.infer import told_type
from kalla_core.sources.csv.spelling import Spelling
from kalla_core.sources.databases.beside import chosen_table, opened_path, quoted
from kalla_core.sources.formats import FileSource
from kalla_core.sources.sheets.values import exact
from kalla_core.sources.streams.kind import Look, Span

_BATCH_ROWS = 8192
_SAMPLED_ROWS = 10_000
_NARROW = 18
_CLASSES = ("integer", "real", "text", "blob")
_DECIMAL = re.compile(r"\b(?:DECIMAL|NUMERIC|MONEY|NUMBER)\b", re.IGNORECASE)
_BOOLEAN = re.compile(r"\bBOOL(?:EAN)?\b", re.IGNORECASE)
_ALLOWED = (
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_PRAGMA,
    getattr(sqlite3, "SQLITE_RECURSIVE", 33),
)


@dataclass(frozen=True, slots=True)
class _Column:
    """What one scan tells of a column.

    Attributes:
        declared: its type as it was declared.
        kinds: what its values are.
        flags: whether all integers are 0 or 1.
        digits: of decimals, before and behind the point.
    """

    name: str
    declared: str
    kinds: frozenset[str]
    flags: bool


class SqliteKind:
    """Reads SQLite files."""

    name = "SQLite files"
    fields = frozenset({"table", "date", "timestamp", "row_number", "amount"})
    typed = True

    def look(self, source: FileSource, index: int) -> Look:
        """Scan the table once: how many rows, and what its values are."""
        with _opened(source, index) as database:
            table = _table(source, index, database)
            rows, columns = _scan(database, table)
            sample = _sample(database, table, columns)
            spelling = Spelling.of(source.format)
            fields, notes = [], []
            for column, values in zip(columns, sample, strict=True):
                if column.name in source.types:
                    kind = parse_type(source.types[column.name])
                elif _is_decimal(column):
                    kind = _decimal(database, table, column)
                else:
                    kind = _type(column, values, spelling)
                fields.append((column.name, kind))
                if len(column.kinds) > 1 and pa.types.is_string(kind):
                    kinds = " and ".join(sorted(column.kinds))
                    notes.append(f"`{column.name}` is text: its values are {kinds}.")
        width = sum(_width(kind) for _, kind in fields)
        return Look(pa.schema(fields), rows, True, float(width), tuple(notes))

    def cut(self, source: FileSource, index: int, pieces: int) -> Sequence[Span | None]:
        """Leave a table whole."""
        return (None,)

    def batches(
        self, source: FileSource, index: int, schema: pa.Schema, span: Span | None
    ) -> Iterator[pa.RecordBatch]:
        """Read some thousand rows at a time."""
        spelling = Spelling.of(source.format)
        with _opened(source, index) as database:
            table = _table(source, index, database)
            there = {name for name, _ in _declared(database, table)}
            wanted = pa.schema([one for one in schema if one.name in there])
            cursor = database.execute(f"SELECT {_selected(wanted)} FROM {quoted(table)}")
            while rows := cursor.fetchmany(_BATCH_ROWS):
                arrays = [
                    _array(values, one, spelling, source.files[index].path)
                    for one, values in zip(wanted, zip(*rows, strict=True), strict=True)
                ]
                yield pa.RecordBatch.from_arrays(arrays, schema=wanted)


@contextmanager
def _opened(source: FileSource, index: int) -> Iterator[sqlite3.Connection]:
    path = source.files[index].path
    with opened_path(source, index, ("-wal", "-journal")) as where:
        try:
            uri = f"file:{quote(where)}?mode=ro&immutable=1"
            with closing(sqlite3.connect(uri, uri=True)) as database:
                database.execute("PRAGMA trusted_schema = OFF")
                database.execute("PRAGMA cell_size_check = ON")
                database.set_authorizer(_authorised)
                yield database
        except (sqlite3.Error, UnicodeError, OverflowError) as cause:
            source.check_unchanged(index)
            raise SourceUnreadable(
                f"`{path}` is no whole SQLite database: {cause}.", file=path
            ) from cause


def _authorised(action: int, *_: object) -> int:
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


def _table(source: FileSource, index: int, database: sqlite3.Connection) -> str:
    rows = database.execute(
        "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')"
        " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
    )
    names = [str(name) for (name,) in rows]
    return chosen_table(source.files[index].path, names, source.format.table)


def _declared(database: sqlite3.Connection, table: str) -> list[tuple[str, str]]:
    rows = database.execute(f"PRAGMA table_xinfo({quoted(table)})")
    return [(str(name), str(kind or "")) for _, name, kind, _, _, _, hidden in rows if hidden != 1]


def _scan(database: sqlite3.Connection, table: str) -> tuple[int, list[_Column]]:
    declared = _declared(database, table)
    parts = ["count(*)"]
    for name, _ in declared:
        column = quoted(name)
        parts += [f"max(typeof({column}) = '{kind}')" for kind in _CLASSES]
        parts.append(f"min(typeof({column}) <> 'integer' OR {column} IN (0, 1))")
    # A table may have more columns than a result has with five values for each.
    found: list[int] = []
    step = 5 * 100
    for start in range(1, len(parts), step):
        some = [parts[0], *parts[start : start + step]]
        row = database.execute(f"SELECT {', '.join(some)} FROM {quoted(table)}").fetchone()
        found += row[1:]
        rows = int(row[0])
    columns = []
    for place, (name, kind) in enumerate(declared):
        flags = found[5 * place : 5 * place + 5]
        kinds = frozenset(one for one, is_there in zip(_CLASSES, flags, strict=False) if is_there)
        columns.append(_Column(name, kind, kinds, bool(flags[4])))
    return rows, columns


def _sample(
    database: sqlite3.Connection, table: str, columns: Sequence[_Column]
) -> list[tuple[object, ...]]:
    names = ", ".join(quoted(one.name) for one in columns)
    rows = database.execute(f"SELECT {names} FROM {quoted(table)} LIMIT {_SAMPLED_ROWS}").fetchall()
    return list(zip(*rows, strict=True)) if rows else [() for _ in columns]


def _is_decimal(column: _Column) -> bool:
    is_number = column.kinds <= {"integer", "real"}
    return bool(_DECIMAL.search(column.declared)) and is_number and bool(column.kinds)


def _decimal(database: sqlite3.Connection, table: str, column: _Column) -> pa.DataType:
    """Return the decimals that the doubles of a column were written as; doubles if too long."""
    before, behind = 1, 0
    said = re.search(r"\(\s*\d+\s*,\s*(\d+)\s*\)", column.declared)
    if said:
        behind = min(int(said[1]), MAX_DECIMAL128_DIGITS)
    name = quoted(column.name)
    for (value,) in database.execute(f"SELECT DISTINCT {name} FROM {quoted(table)}"):
        if value is not None:
            number = Decimal(exact(repr(value)))
            exponent = number.as_tuple().exponent
            before = max(before, number.adjusted() + 1)
            behind = max(behind, -exponent if isinstance(exponent, int) else 0)
    if before + behind > MAX_DECIMAL_DIGITS:
        return pa.float64()
    return decimal_type(max(before + behind, _NARROW), behind)


def _type(column: _Column, sample: Sequence[object], spelling: Spelling) -> pa.DataType:
    kinds = column.kinds
    if not kinds:
        return pa.null()
    if kinds == {"integer"}:
        return pa.bool_() if column.flags and _BOOLEAN.search(column.declared) else pa.int64()
    if kinds <= {"integer", "real"}:
        return pa.float64()
    if kinds == {"blob"}:
        return pa.binary()
    if kinds != {"text"}:
        return pa.string()
    texts = pa.array([value for value in sample if isinstance(value, str)], pa.string())
    found = told_type(pa.chunked_array([texts.cast(pa.binary())]), spelling).type
    is_moment = pa.types.is_date(found) or pa.types.is_timestamp(found)
    return found if is_moment else pa.string()


def _selected(wanted: pa.Schema) -> str:
    pieces = []
    for one in wanted:
        name = quoted(one.name)
        keeps = any(check(one.type) for check in _KEPT)
        pieces.append(name if keeps else f"CAST({name} AS TEXT)")
    return ", ".join(pieces) or "NULL"


_KEPT = (
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_boolean,
    pa.types.is_binary,
    pa.types.is_decimal,
    pa.types.is_null,
)


def _array(values: Sequence[object], field: pa.Field, spelling: Spelling, path: str) -> pa.Array:
    kind = field.type
    try:
        if pa.types.is_boolean(kind):
            return pa.array([None if one is None else bool(one) for one in values], kind)
        if pa.types.is_decimal(kind):
            return pa.array([_as_decimal(one) for one in values], kind)
        if any(check(kind) for check in _KEPT):
            return pa.array(values, kind)
        texts = pa.array(values, pa.string())
        if spelling.rewrites(kind):
            nulls = texts.null_count
            texts = spelling.rewritten(texts, kind)
            if texts.null_count != nulls:
                raise pa.ArrowInvalid("it is not written as the format says")
        return pc.cast(texts, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError, OverflowError) as cause:
        raise SourceUnreadable(
            f"The column `{field.name}` of `{path}` has a value that is no {type_word(kind)}:"
            f' {cause}. This would accept it: "types": {{"{field.name}": "text"}}.',
            file=path,
            column=field.name,
        ) from cause


def _as_decimal(value: object) -> Decimal | None:
    if value is None:
        return None
    return Decimal(value) if isinstance(value, (int, str)) else Decimal(exact(repr(value)))


def _width(kind: pa.DataType) -> int:
    sized: Mapping[bool, int] = {True: 16, False: 24}
    return sized[pa.types.is_primitive(kind)]
