"""The queries that read rows.

Rows of a table come in the order they lie in. A view has no such order, and what a planner makes
of it may differ from one reading to the next, so its rows are sorted: by the primary key, then by
all other columns, text by code points. Rows that are equal in all of that are equal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import pyarrow as pa

from kalla_core.sources.postgres.parts import BlockRange
from kalla_core.sources.postgres.pin import Pin
from kalla_core.sources.postgres.quoting import identifier
from kalla_core.sources.postgres.types import Typed, Wire
from kalla_core.sources.postgres.wire import select_list

_SORTED_AS_THEY_ARE = (Wire.PLAIN, Wire.INTEGER, Wire.SCALED)


def of_part(
    pin: Pin,
    columns: Sequence[Typed],
    condition: str,
    ranges: Sequence[BlockRange],
    key: Sequence[str],
) -> Iterator[str]:
    """Yield the queries of a part, to be run one after the other.

    Args:
        condition: the filters in SQL, or nothing.
        ranges: the part's blocks; none for a source that is read whole.
        key: the primary key, as far as there is one.
    """
    selected = f"SELECT {select_list(columns)}"
    if not pin.tables:
        yield f"{selected} FROM {pin.relation}{_where(condition)} ORDER BY {_order(pin, key)}"
    for each in ranges:
        yield f"{selected} FROM ONLY {pin.tables[each.table]}{_where(each.condition, condition)}"


def of_first_rows(pin: Pin, condition: str, rows: int) -> Iterator[str]:
    """Yield queries whose rows, together and cut off, are the first; of a view, any."""
    selected = f"SELECT {select_list(pin.columns)}"
    for name in [f"ONLY {table}" for table in pin.tables] or [pin.relation]:
        yield f"{selected} FROM {name}{_where(condition)} LIMIT {rows}"


def of_not_a_number(pin: Pin, columns: Collection[str]) -> str | None:
    """Return the query that names a numeric column with a NaN in it, as `name`; None for none."""
    looked_at = [c for c in pin.columns if c.name in columns and c.wire is Wire.SCALED]
    pieces = [
        f"(SELECT {index} FROM {pin.relation} WHERE {identifier(column.name)}::numeric = 'NaN'"
        " LIMIT 1)"
        for index, column in enumerate(pin.columns)
        if column in looked_at
    ]
    return f"SELECT coalesce({', '.join(pieces)}) AS position" if pieces else None


def selected(pin: Pin, names: Collection[str] | None) -> tuple[tuple[Typed, ...], pa.Schema]:
    """Return the columns asked for, in the table's order, and their schema; None for all."""
    columns = tuple(c for c in pin.columns if names is None or c.name in names)
    return columns, pa.schema([(column.name, column.type) for column in columns])


def _where(*conditions: str) -> str:
    given = [condition for condition in conditions if condition]
    return f" WHERE {' AND '.join(given)}" if given else ""


def _order(pin: Pin, key: Sequence[str]) -> str:
    first = [column for name in key for column in pin.columns if column.name == name]
    rest = [column for column in pin.columns if column.name not in key]
    return ", ".join(_sort_key(column) for column in (*first, *rest))


def _sort_key(column: Typed) -> str:
    name = identifier(column.name)
    return name if column.wire in _SORTED_AS_THEY_ARE else f'{name}::text COLLATE "C"'
