"""New and carried rows as rows of one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.errors import InvalidType, SourceUnreadable, UnknownColumn
from kalla_core.recipe.column_types import (
    INTEGER_DIGITS,
    MAX_DECIMAL_DIGITS,
    decimal_type,
    type_word,
)
from kalla_core.recipe.model import Carry
from kalla_core.recipe.nearest import nearest, suggestion
from kalla_core.recipe.open_amounts import AGE_DAYS, FIRST_OPEN_RUN, OPEN_AMOUNT

ADDED = (FIRST_OPEN_RUN, OPEN_AMOUNT, AGE_DAYS)
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Earlier:
    """A run whose open items are carried, as its evidence tells.

    Attributes:
        as_of: the day that its own ages counted to.
        columns: of its unmatched rows, without those of Kalla: original name to how the file
            calls it.
    """

    run_id: str
    as_of: date
    columns: Mapping[str, str]


def united(new: pa.Schema, carried: pa.Schema, carry: Carry) -> pa.Schema:
    """Return the columns of both, and those that are added.

    Args:
        new: of the new rows.
        carried: of the open items, by their original names; may have the added ones.

    Raises:
        SourceUnreadable: the new rows have a column of the name of an added one.
        InvalidType: a column has a type there that no type of here holds as well.
        UnknownColumn: a column that `carry` names is not there.
    """
    fields = {field.name: field for field in new}
    clash = [name for name in ADDED if name in fields]
    if clash:
        raise SourceUnreadable(
            f"It has a column `{clash[0]}`, which `carry` adds: leave one of them out.",
            column=clash[0],
        )
    for field in carried:
        if field.name not in ADDED:
            known = fields.get(field.name)
            both = field.type if known is None else _both(field.name, known.type, field.type)
            fields[field.name] = pa.field(field.name, both)
    schema = pa.schema(fields.values())
    amount = _named(carry.amount, "amount", schema)
    if not (pa.types.is_integer(amount.type) or pa.types.is_decimal(amount.type)):
        raise InvalidType(
            f"`carry.amount`: `{amount.name}` is {type_word(amount.type)}; an open amount is a "
            "whole number or a decimal.",
            column=amount.name,
        )
    if carry.age_from is not None:
        day = _named(carry.age_from, "age_from", schema)
        if not (pa.types.is_date(day.type) or pa.types.is_timestamp(day.type)):
            raise InvalidType(
                f"`carry.age_from`: `{day.name}` is {type_word(day.type)} and must be a date or a "
                "timestamp.",
                column=day.name,
            )
    added = (pa.string(), amount.type, pa.int64())
    return pa.schema([*schema, *map(pa.field, ADDED, added)])


def _named(name: str | None, what: str, schema: pa.Schema) -> pa.Field:
    if name is None:
        raise UnknownColumn(
            f"`carry.{what}` is missing: say which column, or name it in `amounts`.", column=what
        )
    if name not in schema.names:
        raise UnknownColumn(
            f"`carry.{what}`: there is no column `{name}`. {suggestion(name, schema.names)}",
            column=name,
            nearest=nearest(name, schema.names),
        )
    return schema.field(name)


def _both(name: str, new: pa.DataType, carried: pa.DataType) -> pa.DataType:
    """Return the type that holds the values of both exactly."""
    if new == carried or pa.types.is_null(carried):
        return new
    if pa.types.is_null(new):
        return carried
    digits = [_digits(kind) for kind in (new, carried)]
    if None not in digits:
        whole, scale = (max(one[n] for one in digits if one is not None) for n in (0, 1))
        if all(kind in INTEGER_DIGITS for kind in (new, carried)):
            return pa.int64()
        if whole + scale <= MAX_DECIMAL_DIGITS:
            return decimal_type(whole + scale, scale)
    raise InvalidType(
        f"`{name}` is {type_word(new)} here and {type_word(carried)} among the open items that "
        "`carry` brings: give it that type in `types`.",
        column=name,
    )


def _digits(kind: pa.DataType) -> tuple[int, int] | None:
    """Return the digits of a number before and behind the point; None of what is not exact."""
    if kind in INTEGER_DIGITS and kind != pa.uint64():
        return INTEGER_DIGITS[kind], 0
    return (kind.precision - kind.scale, kind.scale) if pa.types.is_decimal(kind) else None


def new_rows(batch: pa.RecordBatch, schema: pa.Schema, carry: Carry) -> pa.RecordBatch:
    """Return new rows with the columns of `schema`, those of `united` or some of them."""
    return _rows(batch, schema, carry, pa.nulls(batch.num_rows, pa.string()), None)


def carried_rows(
    batch: pa.RecordBatch, schema: pa.Schema, carry: Carry, earlier: Earlier
) -> pa.RecordBatch:
    """Return open items of an earlier run, by their original names, with those columns."""
    first = pc.fill_null(_or_null(batch, FIRST_OPEN_RUN, pa.string()), earlier.run_id)
    return _rows(batch, schema, carry, first, earlier)


def _rows(
    batch: pa.RecordBatch,
    schema: pa.Schema,
    carry: Carry,
    first: pa.Array,
    earlier: Earlier | None,
) -> pa.RecordBatch:
    arrays = []
    for field in schema:
        if field.name == FIRST_OPEN_RUN:
            arrays.append(first)
        elif field.name == OPEN_AMOUNT:
            amount = _or_null(batch, str(carry.amount), field.type)
            kept = _or_null(batch, OPEN_AMOUNT, field.type)
            arrays.append(pc.if_else(kept.is_valid(), kept, amount))
        elif field.name == AGE_DAYS:
            arrays.append(_ages(batch, carry, earlier))
        else:
            arrays.append(_or_null(batch, field.name, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _ages(batch: pa.RecordBatch, carry: Carry, earlier: Earlier | None) -> pa.Array:
    until = carry.as_of or _EPOCH
    if carry.age_from is not None:
        days = _day(batch.column(carry.age_from)) if carry.age_from in batch.schema.names else None
        if days is None:
            return pa.nulls(batch.num_rows, pa.int64())
        return pc.subtract(pa.scalar((until - _EPOCH).days, pa.int64()), days)
    if earlier is None:
        return pa.repeat(pa.scalar(0, pa.int64()), batch.num_rows)
    since = (until - earlier.as_of) // timedelta(days=1)
    return pc.add(pc.fill_null(_or_null(batch, AGE_DAYS, pa.int64()), 0), pa.scalar(since))


def _day(values: pa.Array) -> pa.Array:
    """Return the days since 1970 of dates and timestamps, int64; those with a zone in UTC."""
    if pa.types.is_null(values.type):
        return values.cast(pa.int64())
    if pa.types.is_timestamp(values.type):
        plain = values.cast(pa.timestamp(values.type.unit))
        values = pc.floor_temporal(plain, unit="day")
    return values.cast(pa.date32()).cast(pa.int32()).cast(pa.int64())


def _or_null(batch: pa.RecordBatch, name: str, kind: pa.DataType) -> pa.Array:
    if name not in batch.schema.names:
        return pa.nulls(batch.num_rows, kind)
    column = batch.column(name)
    if column.type == kind:
        return column
    if pa.types.is_integer(column.type) and pa.types.is_decimal(kind):
        column = column.cast(pa.decimal128(INTEGER_DIGITS[column.type], 0))
    return column.cast(kind)


def needed(columns: frozenset[str], carry: Carry) -> frozenset[str]:
    """Return the columns to be read so that those wanted can be made."""
    made = set(columns)
    if OPEN_AMOUNT in columns and carry.amount is not None:
        made.add(carry.amount)
    if AGE_DAYS in columns and carry.age_from is not None:
        made.add(carry.age_from)
    return frozenset(made)
