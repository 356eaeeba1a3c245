"""The tables of a job in a session, under every name that match SQL may give them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
from datafusion import SessionContext

from kalla_core.errors import InvalidSql
from kalla_core.matching.sql.lexer import folded
from kalla_core.matching.sql.query import ROW, MatchQuery, Side, TableShape


@dataclass(frozen=True, slots=True)
class ArrowFile:
    """Rows in an Arrow IPC file, read as a query needs them.

    Attributes:
        path: its ending says nothing.
        schema: the columns to be read, the first ones of the file.
        rows: how many there are.
    """

    path: Path
    schema: pa.Schema
    rows: int

    def without(self, column: str | None) -> ArrowFile:
        """Return the file without its last column, if that is the one."""
        kept = [field for field in self.schema if field.name != column]
        return ArrowFile(self.path, pa.schema(kept), self.rows)


TableData: TypeAlias = Sequence[pa.RecordBatch] | ArrowFile
"""Rows of a table: batches of one schema (none at all is an empty table), or a file."""


def table_names(query: MatchQuery) -> dict[str, int]:
    """Return, for every name that finds a table, its place among left, right and the extras.

    A table is found by its alias as it is spelt (`"Invoices"`) and, because DataFusion looks
    unquoted names up in lower case, by its alias in lower case (`Invoices`, `invoices`).

    Raises:
        InvalidSql: two tables have the same name, or names that differ in case only.
    """
    names: dict[str, int] = {}
    for place, given in _given_names(query):
        for name in {given, folded(given)}:
            if names.setdefault(name, place) != place:
                raise InvalidSql(f'Two tables have the alias "{given}".', alias=given)
    return names


def register_tables(
    session: SessionContext,
    query: MatchQuery,
    left: TableData,
    right: TableData,
    extras: Mapping[str, TableData],
) -> None:
    """Make the rows of a job known to `session`: left_src, right_src, and every alias.

    Args:
        session: in which the match SQL will be planned.
        query: names and schemas of the tables.
        left: rows of the left side; columns as in its schema, ROW may follow.
        right: rows of the right side, likewise.
        extras: rows by alias; each alias of `query.extras` is there.

    Raises:
        InvalidSql: two tables have the same name.
    """
    data = (left, right, *(extras[shape.alias] for shape in query.extras))
    shapes = _shapes(query)
    for name, place in table_names(query).items():
        _register(session, name, data[place], shapes[place].schema)


def register_side(session: SessionContext, query: MatchQuery, side: Side, data: TableData) -> None:
    """Make the rows of one side known to `session`, in the place of any it has already.

    Args:
        session: in which keys or conditions will be evaluated.
        query: names and schemas of the tables.
        side: left_src or right_src.
        data: its rows; columns as in its schema, ROW may follow.
    """
    shape, place = query.side(side), list(Side).index(side)
    for name, owner in table_names(query).items():
        if owner == place:
            session.deregister_table(name)
            _register(session, name, data, shape.schema)


def register_apart(
    session: SessionContext, query: MatchQuery, side: Side, batches: Sequence[pa.RecordBatch]
) -> None:
    """Make the rows of one side known to a fresh `session`, each batch a partition of its own.

    Args:
        batches: at least one, none of them empty; columns as in the side's schema, ROW may follow.
    """
    place = list(Side).index(side)
    for name, owner in table_names(query).items():
        if owner == place:
            session.register_record_batches(_quoted(name), [[batch] for batch in batches])


def register_table(session: SessionContext, name: str, table: pa.Table) -> None:
    """Make a table of ours known to `session`; it may be without rows."""
    _register(session, name, table.to_batches(), table.schema)


def register_file(session: SessionContext, name: str, file: ArrowFile) -> None:
    """Make a file of ours known to `session`."""
    _register(session, name, file, file.schema)


def register_shapes(session: SessionContext, query: MatchQuery, numbered: bool = False) -> None:
    """Make empty tables of the job's schemas known to `session`, enough to plan.

    Args:
        session: in which to plan.
        query: names and schemas of the tables.
        numbered: give the two sides the column ROW, UInt64, after their own.

    Raises:
        InvalidSql: two tables have the same name.
    """
    shapes = _shapes(query)
    for name, place in table_names(query).items():
        schema = shapes[place].schema
        if numbered and place < len(Side):
            schema = schema.append(pa.field(ROW, pa.uint64(), nullable=False))
        _register(session, name, (), schema)


def _shapes(query: MatchQuery) -> tuple[TableShape, ...]:
    return (query.left, query.right, *query.extras)


def _given_names(query: MatchQuery) -> Iterator[tuple[int, str]]:
    yield 0, Side.LEFT.value
    yield 1, Side.RIGHT.value
    yield from ((place, shape.alias) for place, shape in enumerate(_shapes(query)))


def _register(session: SessionContext, name: str, data: TableData, schema: pa.Schema) -> None:
    quoted = _quoted(name)
    if isinstance(data, ArrowFile):
        if data.rows:
            ending = data.path.suffix
            session.register_arrow(quoted, data.path, data.schema, file_extension=ending)
            return
        schema, data = data.schema, ()
    batches = list(data) or [pa.RecordBatch.from_pylist([], schema=schema)]
    session.register_record_batches(quoted, [batches])


def _quoted(name: str) -> str:
    """Return a name in quotes, in which it is taken as it stands; else it is read as in SQL."""
    return '"' + name.replace('"', '""') + '"'
