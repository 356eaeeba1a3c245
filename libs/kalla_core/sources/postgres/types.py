"""From a column's type in Postgres to its Arrow type, exactly, or not at all.

| Postgres                                              | Arrow                                |
|-------------------------------------------------------|--------------------------------------|
| boolean, smallint, integer, bigint, real, double      | the same                             |
| oid                                                   | int64                                |
| numeric(p,s)                                          | decimal(p,s), 76 digits at most      |
| numeric                                               | the smallest decimal for all values  |
| money                                                 | decimal(19, digits of its currency)  |
| text, varchar, name, citext; enums; uuid, json, jsonb, | string                              |
| xml; char(n), without the blanks it is filled up with |                                      |
| bytea                                                 | binary                               |
| date, timestamp, timestamptz                          | date32, timestamp[us], the same, UTC |
| time                                                  | time64[us]                           |
| one-dimensional arrays of all these but money and oid | list                                 |
| a domain                                              | as what it is made of                |

Everything else (interval, timetz, ranges, inet, geometry, …) is refused by the name of its column,
and read as text where the recipe's `types` say so. NaN and infinities that the Arrow type does not
have are errors, too, when they are met.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa

from kalla_core.errors import InvalidType, SourceUnreadable, UnknownColumn
from kalla_core.recipe.column_types import (
    MAX_DECIMAL_DIGITS,
    decimal_type,
    parse_type,
    type_word,
)
from kalla_core.recipe.nearest import suggestion
from kalla_core.sources.postgres.catalogue import Column

MONEY_DIGITS = 19
MAX_SCALED_DIGITS = 18


class Wire(StrEnum):
    """How the values of a column travel."""

    PLAIN = "plain"
    """As the driver has them: the Arrow type is the type."""
    TEXT = "text"
    """As the server's text."""
    INTEGER = "integer"
    """As bigint."""
    SCALED = "scaled"
    """A decimal of up to 19 digits as bigint, times its scale: a third of the work of text."""
    DECIMAL = "decimal"
    """A decimal as text."""
    LIST = "list"
    TEXT_LIST = "text_list"
    DECIMAL_LIST = "decimal_list"


LISTS = (Wire.LIST, Wire.TEXT_LIST, Wire.DECIMAL_LIST)


@dataclass(frozen=True, slots=True)
class Typed:
    """A column with its Arrow type.

    Attributes:
        type: None for numerics whose digits have to be measured first.
    """

    name: str
    wire: Wire
    type: pa.DataType | None


_PLAIN: Mapping[str, pa.DataType] = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "bytea": pa.binary(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
}
_TEXT = ("text", "varchar", "bpchar", "name", "char", "uuid", "json", "jsonb", "xml")
_NUMBERS = ("int2", "int4", "int8", "numeric", "money")
_TEXT_CATEGORIES = ("S", "E")


def typed_columns(
    columns: Sequence[Column], types: Mapping[str, str], money_scale: int
) -> tuple[Typed, ...]:
    """Return the columns with their Arrow types.

    Args:
        types: the recipe's.
        money_scale: digits that this server's currency has after the point.

    Raises:
        UnknownColumn: `types` name a column that is not there.
        InvalidType: `types` want what the column cannot be read as.
        SourceUnreadable: columns without an exact Arrow type; all are named.
    """
    names = [column.name for column in columns]
    for name in types:
        if name not in names:
            raise UnknownColumn(
                f"`types` name the column `{name}`, which is not there. {suggestion(name, names)}",
                column=name,
            )
    found = [
        _wanted(column, types[column.name], money_scale)
        if column.name in types
        else own_type(column, money_scale)
        for column in columns
    ]
    inexact = [c for c, t in zip(columns, found, strict=True) if t is None]
    if inexact:
        raise _inexact(inexact)
    return tuple(one for one in found if one is not None)


def own_type(column: Column, money_scale: int) -> Typed | None:
    """Return the type a column has by itself; None if there is none that holds it exactly."""
    is_text = column.category in _TEXT_CATEGORIES or (column.builtin and column.type in _TEXT)
    if is_text:
        if column.is_array:
            return Typed(column.name, Wire.TEXT_LIST, pa.list_(pa.string()))
        return Typed(column.name, Wire.TEXT, pa.string())
    if not column.builtin:
        return None
    if column.type == "numeric":
        return _numeric(column)
    if column.type in _PLAIN:
        kind = _PLAIN[column.type]
        if column.is_array:
            return Typed(column.name, Wire.LIST, pa.list_(kind))
        return Typed(column.name, Wire.PLAIN, kind)
    if column.type == "oid" and not column.is_array:
        return Typed(column.name, Wire.INTEGER, pa.int64())
    if column.type == "money" and not column.is_array:
        return Typed(column.name, Wire.SCALED, pa.decimal128(MONEY_DIGITS, money_scale))
    return None


def measured(column: Typed, scale: int | None, largest: str | None) -> Typed:
    """Return a numeric column with the smallest decimal that holds all its values.

    Args:
        column: one whose type is None.
        scale: most digits after the point; None if there is no value.
        largest: the largest absolute value, as text; None likewise.

    Raises:
        SourceUnreadable: NaN or an infinity, or more digits than a decimal has.
    """
    if largest in ("NaN", "Infinity"):
        raise SourceUnreadable(
            f"The column `{column.name}` holds NaN or an infinity, which no decimal can be."
            f" {text_instead(column.name)}",
            column=column.name,
        )
    whole = (largest or "0").partition(".")[0].lstrip("0")
    digits = max(len(whole) + (scale or 0), 1)
    if digits > MAX_DECIMAL_DIGITS:
        raise SourceUnreadable(
            f"The values of the column `{column.name}` take {digits} digits, and a decimal has"
            f" {MAX_DECIMAL_DIGITS} at most. {text_instead(column.name)}",
            column=column.name,
        )
    return _decimal(column.name, digits, scale or 0, is_array=column.wire is Wire.DECIMAL_LIST)


def text_instead(name: str) -> str:
    """Return the sentence that offers text."""
    return f'`types: {{"{name}": "text"}}` in the recipe reads it as text.'


def _numeric(column: Column) -> Typed:
    """Return a numeric's type; its modifier holds precision and scale, -1 for neither."""
    if column.typmod >= 4 and not column.is_array:
        bits = column.typmod - 4
        precision, scale = bits >> 16 & 0xFFFF, (bits & 0x7FF ^ 0x400) - 0x400
        if scale < 0:  # numeric(3,-2) holds 99900: three digits and two zeros
            precision, scale = precision - scale, 0
        if max(precision, scale) <= MAX_DECIMAL_DIGITS:
            return _decimal(column.name, max(precision, scale), scale, is_array=False)
    wire = Wire.DECIMAL_LIST if column.is_array else Wire.DECIMAL
    return Typed(column.name, wire, None)


def _decimal(name: str, precision: int, scale: int, *, is_array: bool) -> Typed:
    kind = decimal_type(precision, scale)
    if is_array:
        return Typed(name, Wire.DECIMAL_LIST, pa.list_(kind))
    return Typed(name, Wire.SCALED if precision <= MAX_SCALED_DIGITS else Wire.DECIMAL, kind)


def _wanted(column: Column, word: str, money_scale: int) -> Typed:
    try:
        kind = parse_type(word)
    except InvalidType as error:
        raise InvalidType(error.message, **{**error.details, "column": column.name}) from error
    if pa.types.is_string(kind):
        return Typed(column.name, Wire.TEXT, kind)
    own = own_type(column, money_scale)
    if own is not None and own.type == kind:
        return own
    is_number = column.builtin and column.type in _NUMBERS and not column.is_array
    if is_number and pa.types.is_decimal(kind):
        return Typed(column.name, Wire.DECIMAL, kind)
    raise InvalidType(
        f"The column `{column.name}` is {column.words} in the database and cannot be read as"
        f" {type_word(kind)}. `types` turn columns of Postgres into text, and numbers into"
        " decimals; for anything else make a view with a cast.",
        column=column.name,
        type=word,
    )


def _inexact(columns: Sequence[Column]) -> SourceUnreadable:
    named = ", ".join(f"`{column.name}` ({column.words})" for column in columns)
    wanted = ", ".join(f'"{column.name}": "text"' for column in columns)
    head = "The column" if len(columns) == 1 else "The columns"
    verb, it = ("has", "it") if len(columns) == 1 else ("have", "them")
    return SourceUnreadable(
        f"{head} {named} {verb} no exact Arrow type. `types: {{{wanted}}}` in the recipe reads"
        f" {it} as text.",
        column=columns[0].name,
        columns=[column.name for column in columns],
    )
