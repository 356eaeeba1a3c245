"""Queries of a WITH that are read more than once: computed once, and read as tables.

DataFusion puts such a query in each place where it is named, and computes it as often. Here its
rows become a table with the hidden columns that name their source rows, and in the text a SELECT
over that table stands in the query's place:

    WITH near AS (SELECT l.id, ... FROM ...)       WITH near AS (SELECT c0 AS "id", ...
    SELECT ... FROM near a ... FROM near b     ->                FROM __kalla_shared_0)
                                                   SELECT ... FROM near a ... FROM near b

Which names mean what stays DataFusion's business. Nothing that a match SQL may call gives another
answer the second time, so the answer is the same. The table has only the columns that are read,
and only the rows that one of its readers lets through. How a match SQL may be cut is found out from
the plan in which nothing is shared; so is everything that is told of it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_

import pyarrow as pa
from datafusion import DataFrame, Expr, LogicalPlan, SessionContext, col

from kalla_core.matching.plans import logical as lp
from kalla_core.matching.plans.expressions import column_refs, quoted
from kalla_core.matching.row_ids.carried import CannotCarry, Carried, refusals_told
from kalla_core.matching.row_ids.origins import HIDDEN
from kalla_core.matching.row_ids.rebuild import Rebuilder
from kalla_core.matching.sql.lexer import tokenize
from kalla_core.matching.sql.named_queries import NamedQuery, named_queries
from kalla_core.matching.sql.query import Side
from kalla_core.matching.sql.sorted_joins import with_computed_keys
from kalla_core.matching.sql.tables import register_table
from kalla_core.matching.sql.text import Splice, spliced

_TABLE = f"{HIDDEN}shared_"
_READ = re.compile(rf"TableScan: ({_TABLE}\d+)(?: projection=\[([^\]]*)\])?")
_WORK = re.compile(r"Join: |Aggregate: |WindowAggr: |Distinct|Union")
"""What is worth being done once; anything else is cheaper where it can be cut down."""

Keys = Mapping[Side, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Shared:
    """A query that is computed once.

    Attributes:
        name: as the user wrote it.
        table: of its rows; its columns are `c0`, `c1`, ..., hidden ones last.
        text: gives its rows; reads what is shared before it.
        schema: of the table.
        needed: positions of the columns that are read. Others may be all null.
        kept: what a row fulfils that anything reads, over the columns of `table`; None for all.
        carried: what the hidden columns of the table are.
        readers: how often it is read.
    """

    name: str
    table: str
    text: str
    schema: pa.Schema
    needed: tuple[int, ...]
    kept: Expr | None
    carried: Carried
    readers: int


@dataclass(frozen=True, slots=True)
class Sharing:
    """A statement that reads shared queries as tables.

    Attributes:
        queries: each reads only those before it.
    """

    text: str
    queries: tuple[Shared, ...]

    @property
    def carried(self) -> Mapping[str, Carried]:
        """What the hidden columns of each table are."""
        return {one.table: one.carried for one in self.queries}

    @property
    def told(self) -> Iterator[str]:
        """What is computed once, as sentences."""
        for one in self.queries:
            yield f"{one.name} is computed once and read {one.readers} times."


@dataclass(frozen=True, slots=True)
class Sessions:
    """A session without row numbers and one with them, over the same tables.

    Attributes:
        sides: table name to side.
        keys: primary key per side.
    """

    plain: SessionContext
    numbered: SessionContext
    sides: Mapping[str, Side]
    keys: Keys

    def rebuilt(self, text: str, shared: Mapping[str, Carried], computed: bool = False) -> Carried:
        """Return the plan of a statement with the ids of its rows.

        Raises:
            CannotCarry: they cannot travel through it.
        """
        plan = self.plain.sql(with_computed_keys(text) if computed else text).logical_plan()
        rebuilder = Rebuilder(
            self.numbered, self.sides, self.keys, computed_keys=computed, shared=shared
        )
        return rebuilder.rebuild(plan)


def sharing_of(text: str, sessions: Sessions) -> Sharing | None:
    """Return how a statement shares queries; None where it does not.

    Args:
        sessions: with the tables, empty. They get tables of what is shared.
    """
    queries = named_queries(tokenize(text))
    if not queries:
        return None
    try:
        with refusals_told():
            counts = _counted(text, queries, sessions.plain)
            return _planned(text, queries, counts, sessions) if counts else None
    except CannotCarry:
        return None  # which computes it as often as it is named


def shared_frame(one: Shared, sharing: Sharing, sessions: Sessions, computed: bool) -> DataFrame:
    """Return the rows of a shared query, with the columns that are `needed`, by their names.

    Args:
        sessions: with the tables of the job and those of the queries before this one.
        computed: whether joins compare what is computed of their keys: see `sorted_joins`.
    """
    frame = _with_what_is_used(sessions.rebuilt(one.text, sharing.carried, computed))
    refs = column_refs(frame)
    numbered = frame.select(*(refs[place].alias(f"c{place}") for place in one.needed))
    return numbered if one.kept is None else numbered.alias(quoted(one.table)).filter(one.kept)


def _with_what_is_used(carried: Carried) -> DataFrame:
    return carried.frame.select(*_visible(carried.frame), *map(col, carried.hidden))


def _visible(frame: DataFrame) -> list[Expr]:
    return [r for r in column_refs(frame) if not r.to_variant().name().startswith(HIDDEN)]


def _statement(text: str, one: NamedQuery, before: Sequence[Splice]) -> str:
    """Return the rows of a query of a WITH as a statement, that before it as it is replaced."""
    name = text[one.name.start : one.name.end]
    return f"{spliced(text[: one.end], before)}) SELECT * FROM {name}"  # noqa: S608


def _reading(one: NamedQuery, table: str, names: Sequence[str]) -> Splice:
    columns = ", ".join(f"c{place} AS {quoted(name)}" for place, name in enumerate(names))
    return Splice(one.start, one.end, f"SELECT {columns} FROM {table}")  # noqa: S608


def _counted(text: str, queries: Sequence[NamedQuery], plain: SessionContext) -> dict[int, int]:
    """Return the queries that are worth being computed once, and how often each would be."""
    splices: list[Splice] = []
    bodies: dict[int, str] = {}
    for number, one in enumerate(queries):
        frame = plain.sql(_statement(text, one, splices))
        shown, schema = frame.logical_plan().display_indent(), frame.schema()
        bodies[number] = shown
        if len(set(schema.names)) < len(schema.names):
            continue  # it is read in full wherever it is named, and so is what it reads
        table = f"{_TABLE}{number}"
        register_table(plain, table, _empty(_by_number(schema)))
        splices.append(_reading(one, table, schema.names))
    shown = plain.sql(spliced(text, splices)).logical_plan().display_indent()
    for number in range(len(queries)):
        plain.deregister_table(f"{_TABLE}{number}")
    # A query reads only those before it, so that the readers of each are known when it is met.
    counts = Counter(_read_in(shown))
    for number in reversed(range(len(queries))):
        if not _WORK.search(bodies[number]):
            copies = counts.pop(number, 0)
        else:
            copies = min(counts[number], 1)
        for read in _read_in(bodies[number]):
            counts[read] += copies
    return {number: counts[number] for number in range(len(queries)) if counts[number] > 1}


def _read_in(shown: str) -> Iterator[int]:
    for table, _ in _READ.findall(shown):
        yield int(table.removeprefix(_TABLE))


def _planned(
    text: str,
    queries: Sequence[NamedQuery],
    counts: Mapping[int, int],
    sessions: Sessions,
) -> Sharing:
    splices: list[Splice] = []
    carried: dict[str, Carried] = {}
    found: list[Shared] = []
    for number, readers in counts.items():
        table = f"{_TABLE}{number}"
        statement = _statement(text, queries[number], splices)
        rebuilt = sessions.rebuilt(statement, carried)
        schema = _at_run_time(_with_what_is_used(rebuilt), sessions.numbered)
        carried[table] = rebuilt.over(
            {name: f"c{place}" for place, name in enumerate(schema.names)}
        )
        for session in (sessions.plain, sessions.numbered):
            register_table(session, table, _empty(_by_number(schema)))
        visible = [name for name in schema.names if not name.startswith(HIDDEN)]
        splices.append(_reading(queries[number], table, visible))
        name = text[queries[number].name.start : queries[number].name.end]
        one = Shared(name, table, statement, _by_number(schema), (), None, carried[table],
                     readers)  # fmt: skip
        found.append(one)
    sharing = Sharing(spliced(text, splices), tuple(found))
    return _narrowed(sharing, sessions)


def _narrowed(sharing: Sharing, sessions: Sessions) -> Sharing:
    """Return the same with what is read of each table; the last ones' readers are known first."""
    top = sessions.rebuilt(sharing.text, sharing.carried)
    rows = [col(origin.column) for origin in top.origins]
    plans = [top.frame.select(*_visible(top.frame), *rows).optimized_logical_plan()]
    narrowed: list[Shared] = []
    for one in reversed(sharing.queries):
        needed = _needed(one, plans)
        kept = _let_through(one.table, plans)
        narrowed.append(replace(one, needed=needed, kept=kept))
        frame = shared_frame(narrowed[-1], sharing, sessions, computed=False)
        plans.append(frame.optimized_logical_plan())
    return replace(sharing, queries=tuple(reversed(narrowed)))


def _needed(one: Shared, plans: Sequence[LogicalPlan]) -> tuple[int, ...]:
    """Return the columns that plans read of a table.

    Those without nulls always: that there are none may be all that a plan has found out of them.
    """
    needed = {place for place, column in enumerate(one.schema) if not column.nullable}
    for plan in plans:
        for table, columns in _READ.findall(plan.display_indent()):
            if table == one.table:
                names = columns.split(", ") if columns else one.schema.names
                needed |= {int(name.removeprefix("c")) for name in names}
    return tuple(sorted(needed)) or (0,)  # rows without any column cannot be held


def _let_through(table: str, plans: Sequence[LogicalPlan]) -> Expr | None:
    """Return what a row of a table fulfils that any reader lets through; None if one takes all."""
    readers = sum(name == table for p in plans for name, _ in _READ.findall(p.display_indent()))
    filters = [expr for plan in plans for expr in _filters_of(table, plan)]
    if len(filters) < readers or any("subquery" in f.canonical_name().lower() for f in filters):
        return None
    return reduce(or_, filters) if filters else None


def _filters_of(table: str, plan: LogicalPlan) -> Iterator[Expr]:
    node = lp.read(plan)
    if isinstance(node, lp.Filtered):
        below = lp.read(node.input)
        if isinstance(below, lp.Scan) and below.table == table:
            yield node.predicate
            return
    for source in node.inputs:
        yield from _filters_of(table, source)


def _by_number(schema: pa.Schema) -> pa.Schema:
    """Return a schema whose columns are named by their places: names may need quotes, or repeat."""
    return pa.schema([field.with_name(f"c{place}") for place, field in enumerate(schema)])


def _empty(schema: pa.Schema) -> pa.Table:
    return schema.empty_table()


def _at_run_time(frame: DataFrame, session: SessionContext) -> pa.Schema:
    plan = frame.optimized_logical_plan()
    return session.create_dataframe_from_logical_plan(plan).schema()
