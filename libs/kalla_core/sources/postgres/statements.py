"""The queries that read rows.

Rows of a table come in the order they lie in. A view has no such order, and what a planner makes
of it may differ from one reading to the next, so its rows are sorted: by the primary key, then by
all other columns, text by code points. Rows that are equal in all of that are equal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import pyarrow as pa

from kalla_core.sources.marked import Bools
from kalla_core.sources.postgres.bundles import BUNDLE_BLOCKS, bundle_list, can_be_bundled
from kalla_core.sources.postgres.parts import BlockRange, pieces
from kalla_core.sources.postgres.pin import Pin
from kalla_core.sources.postgres.quoting import identifier
from kalla_core.sources.postgres.types import Typed, Wire
from kalla_core.sources.postgres.wire import select_list

_SORTED_AS_THEY_ARE = (Wire.PLAIN, Wire.INTEGER, Wire.SCALED)


@dataclass(frozen=True, slots=True)
class Query:
    """A query of rows.

    Attributes:
        bundled: the query of the same rows as a bundle, where they can travel so.
    """

    sql: str
    bundled: str | None = None


def of_part(
    pin: Pin,
    columns: Sequence[Typed],
    condition: str,
    ranges: Sequence[BlockRange],
    key: Sequence[str],
) -> Iterator[Query]:
    """Yield the queries of a part, to be run one after the other.

    Args:
        condition: the filters in SQL, or nothing.
        ranges: the part's blocks; none for a source that is read whole.
        key: the primary key, as far as there is one.
    """
    selected = f"SELECT {select_list(columns)}"
    if not pin.tables:
        order = _order(pin, key)
        yield Query(f"{selected} FROM {pin.relation}{_where(condition)} ORDER BY {order}")
    bundles = pin.inline and can_be_bundled(columns)
    for whole in ranges:
        for each in pieces(whole, pin.blocks[whole.table], BUNDLE_BLOCKS) if bundles else (whole,):
            rows = f"FROM ONLY {pin.tables[each.table]}{_where(each.condition, condition)}"
            bundled = f"SELECT {bundle_list(columns)} {rows}" if bundles else None
            yield Query(f"{selected} {rows}", bundled)


def of_picked(
    pin: Pin,
    columns: Sequence[Typed],
    condition: str,
    ranges: Sequence[BlockRange],
    wanted: Bools,
) -> Query:
    """Return the query of some rows of a part, and of whatever rows it has beyond `wanted`.

    The server numbers the rows as they lie, and looks each up in what it is given as bits. That
    all columns are mentioned, where nothing comes of it, lets it number them as they are stored:
    without, it takes each apart and puts together what is needed of it, for a third more work.

    Args:
        columns: at least one.
        ranges: the part's blocks, at least one.
        wanted: for each row of the part, whether it is.
    """
    names = ", ".join(identifier(column.name) for column in pin.columns)
    rows = " UNION ALL ".join(
        f"SELECT {names} FROM ONLY {pin.tables[each.table]}{_where(each.condition, condition)}"
        for each in ranges
    )
    place = _unlike([column.name for column in pin.columns])
    bits = np.packbits(wanted, bitorder="little").tobytes().hex()
    return Query(
        f"SELECT {select_list(columns)}"
        f" FROM (SELECT *, row_number() OVER () - 1 AS {place} FROM ({rows}) AS part) AS numbered"
        f" WHERE CASE WHEN {place} < {len(wanted)}"
        f" THEN get_bit('\\x{bits}'::bytea, {place}) = 1"
        " ELSE (numbered IS NULL) IS NOT NULL END"
    )


def of_first_rows(pin: Pin, condition: str, rows: int) -> Iterator[Query]:
    """Yield queries whose rows, together and cut off, are the first; of a view, any."""
    selected = f"SELECT {select_list(pin.columns)}"
    for name in [f"ONLY {table}" for table in pin.tables] or [pin.relation]:
        yield Query(f"{selected} FROM {name}{_where(condition)} LIMIT {rows}")


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


def _unlike(names: Collection[str]) -> str:
    """Return a name that none of these is."""
    return next(name for name in map("place{}".format, count()) if name not in names)


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
