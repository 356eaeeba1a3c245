"""From a column's type in MySQL to its Arrow type, exactly, or not at all.

| MySQL                                              | Arrow                                      |
|----------------------------------------------------|--------------------------------------------|
| tinyint(1), bit(1)                                 | boolean                                    |
| tinyint, smallint, mediumint, int, bigint, year    | integers of 16, 16, 32, 32 and 64 bits      |
| the same unsigned                                  | integers twice as wide; bigint decimal(20) |
| decimal(p,s)                                       | decimal(p,s)                               |
| float, double                                      | double                                     |
| date, datetime, timestamp                          | date32, timestamp[us], the same, UTC       |
| time                                               | time64[us]                                 |
| char, varchar, texts, enum, set, json, uuid, inet  | string                                     |
| binary, varbinary, blobs                           | binary                                     |
| bit(n)                                             | int64, decimal(20) for 64                  |

What a type holds in MySQL but not in Arrow is counted when a table is pinned, and refused by the
name of its column: dates without a day, month or year (`0000-00-00`), times that are no time of a
day, a tinyint(1) that is more than one bit. `types` may say `text` for such columns.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.errors import InvalidType, SourceUnreadable, UnknownColumn
from kalla_core.recipe.column_types import decimal_type, parse_type
from kalla_core.recipe.nearest import suggestion
from kalla_core.sources.mysql.quoting import quoted

_WHOLE = {
    "tinyint": (pa.int16(), pa.int16()),
    "smallint": (pa.int16(), pa.int32()),
    "mediumint": (pa.int32(), pa.int64()),
    "int": (pa.int32(), pa.int64()),
    "bigint": (pa.int64(), pa.decimal128(20, 0)),
    "year": (pa.int16(), pa.int16()),
}
_TEXTS = (
    *("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set", "json"),
    *("uuid", "inet4", "inet6"),
)
_BYTES = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")
_MOMENTS = {
    "date": pa.date32(),
    "datetime": pa.timestamp("us"),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
_WIDEST_BY_DRIVER = 38
_WHOLE_DECIMAL = pa.decimal128(20, 0)


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the server describes it.

    Attributes:
        kind: `data_type` of the information schema, in lower case; `full` is `column_type`.
    """

    name: str
    kind: str
    full: str
    precision: int
    scale: int


@dataclass(frozen=True, slots=True)
class Typed:
    """A column with the way it is read.

    Attributes:
        sql: the expression that reads it; texts are cut to `{size}` characters, which all have.
        type: what it becomes.
        measured: whether the longest value has to be known before it is read.
        odd: counts values that are none of the type; None where all are. `why` says what they are.
    """

    name: str
    sql: str
    type: pa.DataType
    measured: bool = False
    odd: str | None = None
    why: str = ""


def typed(column: Column, types: Mapping[str, str]) -> Typed:
    """Return how a column is read.

    Raises:
        SourceUnreadable: a type that has no Arrow type here.
        InvalidType: `types` names one that values of this do not become.
    """
    word = types.get(column.name)
    if word is not None and parse_type(word) == pa.string():
        return _text(column)
    found = _own(column)
    if word is None or (wanted := parse_type(word)) == found.type:
        return found
    if not _becomes(found.type, wanted):
        raise InvalidType(
            f"The column `{column.name}` is {column.full}, which does not become {word} by"
            ' `types`; use a cast in the match SQL, or "text".',
            column=column.name,
        )
    odd = None if column.kind in ("tinyint", "bit") else found.odd
    return Typed(found.name, found.sql, wanted, found.measured, odd, found.why)


def check_types(types: Mapping[str, str], columns: list[str]) -> None:
    """Check that `types` is about columns that are there."""
    for name in types:
        if name not in columns:
            raise UnknownColumn(
                f"`types` is about the column `{name}`, which is not there."
                f" {suggestion(name, columns)}",
                column=name,
            )


def as_typed(values: pa.Array, wanted: pa.DataType, name: str) -> pa.Array:
    """Return what the driver sent as the type that was pinned.

    Raises:
        SourceUnreadable: a value that the type that the recipe wants does not hold.
    """
    try:
        if pa.types.is_timestamp(wanted) and wanted.tz is not None:
            return pc.cast(values, pa.timestamp("us")).view(wanted)
        if pa.types.is_integer(values.type) and pa.types.is_decimal(wanted):
            values = pc.cast(values, _WHOLE_DECIMAL)
        return pc.cast(values, wanted)
    except pa.ArrowInvalid as cause:
        raise SourceUnreadable(
            f"A value of the column `{name}` is no {wanted}: {cause}.", column=name
        ) from cause


def _own(column: Column) -> Typed:
    name, sql, kind = column.name, quoted(column.name), column.kind
    unsigned = "unsigned" in column.full
    if kind == "tinyint" and column.full.startswith("tinyint(1)"):
        why = f'values other than 0 and 1; `"types": {{"{name}": "integer"}}` reads the number'
        return Typed(name, sql, pa.bool_(), odd=f"{sql} NOT IN (0, 1)", why=why)
    if kind in _WHOLE:
        wanted = _WHOLE[kind][unsigned]
        if unsigned:  # the driver takes their highest bit for a sign
            sql = _decimal(sql, 20) if kind == "bigint" else f"CAST({sql} AS SIGNED)"
        return Typed(name, sql, wanted)
    if kind == "bit":
        bits = column.precision
        if bits == 1:
            return Typed(name, f"{sql} + 0", pa.bool_())
        wide = pa.decimal128(20, 0)
        return Typed(name, _decimal(sql, 20), pa.int64() if bits < 64 else wide)
    if kind == "decimal":
        digits, scale = column.precision, column.scale
        if digits <= _WIDEST_BY_DRIVER:
            return Typed(name, sql, decimal_type(digits, scale))
        return Typed(name, f"CAST({sql} AS CHAR({digits + 2}))", decimal_type(digits, scale))
    if kind in ("float", "double"):
        return Typed(name, f"{sql} + 0e0", pa.float64())  # a float by itself comes with six digits
    if kind in _MOMENTS:
        odd = f"{sql} IS NOT NULL AND 0 IN (YEAR({sql}), MONTH({sql}), DAYOFMONTH({sql}))"
        return Typed(name, sql, _MOMENTS[kind], odd=odd, why=_as_text("dates as 0000-00-00", name))
    if kind == "time":
        odd = f"{sql} < '00:00:00' OR {sql} >= '24:00:00'"
        why = _as_text("times that are no time of a day", name)
        return Typed(name, f"TIMESTAMP('1970-01-01', {sql})", pa.time64("us"), odd=odd, why=why)
    if kind in _TEXTS:
        return _text(column)
    if kind in _BYTES:
        return Typed(name, sql, pa.binary(), measured=True)
    raise SourceUnreadable(
        f"The column `{name}` is of type {column.full}, which is not read here;"
        f" {_as_text('', name).strip('; ')}.",
        column=name,
    )


def _text(column: Column) -> Typed:
    name = quoted(column.name)
    plain = f"CAST({name} AS CHAR)" if column.kind not in _TEXTS else name
    if column.kind in _BYTES:
        plain = f"HEX({name})"
    sql = f"CAST(CONVERT({plain} USING utf8mb4) AS CHAR({{size}}))"
    return Typed(column.name, sql, pa.string(), measured=True)


def _decimal(sql: str, digits: int) -> str:
    return f"CAST({sql} AS DECIMAL({digits}, 0))"


def _as_text(what: str, name: str) -> str:
    return f'{what}; `"types": {{"{name}": "text"}}` reads the server\'s text'


def _becomes(own: pa.DataType, wanted: pa.DataType) -> bool:
    numbers = pa.types.is_integer, pa.types.is_decimal, pa.types.is_boolean
    return any(one(own) for one in numbers) and any(one(wanted) for one in numbers[:2])


_DIGITS = re.compile(r"\((\d+)\)")


def bits_of(full: str) -> int:
    """Return how many bits `bit(n)` has."""
    found = _DIGITS.search(full)
    return int(found[1]) if found else 1
