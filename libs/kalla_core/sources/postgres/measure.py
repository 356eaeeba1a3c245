"""What is asked of a table's rows before they are read: digits of numerics, sizes."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pyarrow as pa

from kalla_core.sources.postgres.catalogue import Column, Relation
from kalla_core.sources.postgres.pin import Pin
from kalla_core.sources.postgres.quoting import identifier
from kalla_core.sources.postgres.session import Session
from kalla_core.sources.postgres.types import Typed, Wire, measured
from kalla_core.sources.protocol import Statistics

_VARIABLE_WIDTH = 24
_OFFSET_BYTES = 4


def money_scale(session: Session, columns: Sequence[Column]) -> int:
    """Return how many digits this server's money has after the point; 2 if there is none."""
    if all(column.type != "money" for column in columns):
        return 2
    return int(session.row("SELECT scale('0'::money::numeric)::int8 AS scale")["scale"])


def digits_measured(
    session: Session, relation: Relation, columns: Sequence[Typed]
) -> tuple[Typed, ...]:
    """Return the columns with all types known: one pass over the numerics without precision.

    Raises:
        SourceUnreadable: values that no decimal holds.
    """
    unknown = [column for column in columns if column.type is None]
    if not unknown:
        return tuple(columns)
    asked = ", ".join(_digits(index, column) for index, column in enumerate(unknown))
    row = session.row(f"SELECT {asked} FROM {relation.sql}")
    known = {
        column.name: measured(column, row[f"scale{index}"], row[f"largest{index}"])
        for index, column in enumerate(unknown)
    }
    return tuple(known.get(column.name, column) for column in columns)


def estimated(session: Session, pin: Pin, columns: Sequence[Column]) -> Statistics:
    """Return what the planner expects: it knows the size of a table that was never analysed."""
    rows = session.rows(f"EXPLAIN (FORMAT JSON) SELECT * FROM {pin.relation}", copy=False)
    (plan,) = rows[0].values()
    count = int((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]["Plan Rows"])
    widths = {column.name: column.width for column in columns}
    width = sum(_arrow_width(column, widths.get(column.name)) for column in pin.columns)
    return Statistics(rows=count, arrow_bytes=count * width)


def _digits(index: int, column: Typed) -> str:
    name = identifier(column.name)
    scale, largest = f"min_scale({name})", f"abs({name})"
    if column.wire is Wire.DECIMAL_LIST:
        scale = f"(SELECT max(min_scale(item)) FROM unnest({name}) item)"
        largest = f"(SELECT max(abs(item)) FROM unnest({name}) item)"
    return f"max({scale})::int8 AS scale{index}, max({largest})::numeric::text AS largest{index}"


def _arrow_width(column: Typed, known: int | None) -> int:
    """Return about how many bytes a value takes; 1 for its text's header is Postgres' own."""
    if column.type is None or pa.types.is_nested(column.type):
        return _VARIABLE_WIDTH if known is None else known
    if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
        return _OFFSET_BYTES + (_VARIABLE_WIDTH if known is None else max(known - 1, 1))
    return max(int(column.type.bit_width) // 8, 1)
