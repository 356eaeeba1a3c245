"""A match SQL, planned: how it may be cut, what identifies its rows, and the frames to run.

    planned = plan_match(query)                       # no data needed
    frame = pair_frame(planned, plain, numbered)      # sessions with the real tables
    keys = key_frame(planned, session, Side.LEFT)     # what scans hash and reasons compare

Only the query travels between processes; each plans it anew and gets the same.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache

import pyarrow as pa
from datafusion import DataFrame, Expr, SessionContext, col

from kalla_core.errors import EngineFailure
from kalla_core.matching.keys import conditions, keys
from kalla_core.matching.keys.candidates import candidates
from kalla_core.matching.keys.conditions import Condition
from kalla_core.matching.keys.keys import Copartition, KeyComponent
from kalla_core.matching.keys.rules import Rule, RuleFinder
from kalla_core.matching.plans import logical as lp
from kalla_core.matching.plans.agreement import check_agreement
from kalla_core.matching.plans.expressions import column_refs
from kalla_core.matching.plans.lineage import Column, Reader, tables_of
from kalla_core.matching.plans.pairwise import Pairwise
from kalla_core.matching.plans.prepare import PreparedSql, prepare, register_calls
from kalla_core.matching.plans.routes import source
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.plans.trace import Traced, Tracer
from kalla_core.matching.plans.views import without_views
from kalla_core.matching.row_ids.identify import Identification, Identified, identified
from kalla_core.matching.row_ids.identity import check_primary_keys
from kalla_core.matching.row_ids.origins import HIDDEN, RowId
from kalla_core.matching.row_ids.pairs import PairFrame
from kalla_core.matching.sql.forbidden import CLOCK
from kalla_core.matching.sql.query import ROW, MatchQuery, Side
from kalla_core.matching.sql.sorted_joins import with_computed_keys
from kalla_core.matching.sql.tables import register_shapes, table_names
from kalla_core.matching.sql.written import written_in
from kalla_core.matching.strategy.sharing import (
    Sessions,
    Shared,
    Sharing,
    shared_frame,
    sharing_of,
)
from kalla_core.matching.strategy.strategy import Choice, Strategy, choose, in_one_piece


@dataclass(frozen=True, slots=True)
class Planned:
    """What is known of a match SQL before any data is read.

    Attributes:
        output: the user's columns by position, exact types; names may repeat.
        views: positions of columns that the plan gives as views of text or bytes, or nested with
            such inside, and that are cast to the type in `output`.
        output_sides: the side that each of them is computed from; None if from both or neither.
        output_keys: for a side whose primary key stands in each result row, as it is in the source
            row that the result row is told to come from, the positions of its columns in `output`.
        choice: how it may be cut, with the reasons.
        identification: what names the source rows of a result row.
        reason_keys: the equalities that every pair fulfils of a rule that has keys, and that can
            be computed from a single row of each source; those of the copartition if there is
            one; may be empty.
        rules: what tells why a row is in no pair, at least one.
        warnings: sentences for the user, of the SQL and of its plan.
        plan_text: the optimised plan that will run, with nothing shared.
        sharing: its queries that are computed once, if there are any.
        only_joins: it is one SELECT that joins, filters and projects; nothing is sorted or grouped.
    """

    query: MatchQuery
    prepared: PreparedSql
    output: pa.Schema
    views: frozenset[int]
    output_sides: tuple[Side | None, ...]
    output_keys: Mapping[Side, tuple[int, ...]]
    choice: Choice
    identification: Identification
    reason_keys: tuple[KeyComponent, ...]
    rules: tuple[Rule, ...]
    warnings: tuple[str, ...]
    plan_text: str
    sharing: Sharing | None = None
    only_joins: bool = False

    @property
    def impossible(self) -> bool:
        """Whether no rows at all can be in the result, as with conditions that contradict."""
        return self.plan_text.startswith("EmptyRelation")

    @property
    def strategy(self) -> Strategy:
        """How the rows are laid out over fragments."""
        return self.choice.strategy

    @property
    def copartition(self) -> Copartition | None:
        """The key to cut both sides by, if there is one."""
        return self.choice.copartition

    @property
    def replicable(self) -> frozenset[Side]:
        """Sides that every fragment may have whole while the other is cut arbitrarily."""
        return self.choice.replicable

    @property
    def nulls_together(self) -> bool:
        """Whether rows with a null in the copartition key must all be in one bucket."""
        return self.copartition is not None and self.copartition.nulls_together

    @property
    def why(self) -> tuple[str, ...]:
        """Why this strategy, as sentences."""
        return self.choice.why

    @property
    def scattered(self) -> bool:
        """Whether rows of one key of some rule may lie in different buckets."""
        return not self.reason_keys and any(rule.keys for rule in self.rules)


def plan_match(query: MatchQuery) -> Planned:
    """Plan a match SQL; needs no data.

    A process remembers the last few that it planned: the runs of a service, and the fragments of
    a run, ask the same again and again.

    Raises:
        InvalidSql: it does not parse or plan, or does more than read the job's tables.
        SidesNotIdentified: its result does not name a row of both sides.
        TypesNotComparable: it compares values that have no common type, or a primary key has a
            type that cannot be one.
        EngineFailure: the plan with row ids is not the user's plan.
    """
    moment = query.started_at if _CLOCK.search(query.sql) else None
    tables = tuple(
        (shape.alias, shape.schema.serialize().to_pybytes(), shape.primary_key)
        for shape in (query.left, query.right, *query.extras)
    )
    return replace(_planned(_Asked(query.sql, tables, moment, query)), query=query)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a plan depends on; the run's start only where the SQL may ask for the time."""

    sql: str
    tables: tuple[tuple[str, bytes, tuple[str, ...]], ...]
    moment: datetime | None
    query: MatchQuery = field(compare=False)


_CLOCK = re.compile(rf"\b({'|'.join(CLOCK)})\b", re.IGNORECASE)
_REMEMBERED = 8
_SELECT = re.compile(r"\bSELECT\b", re.IGNORECASE)
_KEEPING_NOTHING = (lp.Scan, lp.Aliased, lp.Projected, lp.Filtered, lp.Joined)


@lru_cache(_REMEMBERED)
def _planned(asked: _Asked) -> Planned:
    query = asked.query
    check_primary_keys(query)
    prepared = prepare(query)
    plain, numbered = sessions_without_rows(query, prepared)
    sides = sides_of(query)
    original = plain.sql(prepared.text)
    found = identified(original, numbered, query, sides)
    given = _checked_output(original, found, numbered)
    output = pa.schema(
        [
            pa.field(name, without_views(column.type), column.nullable)
            for name, column in zip(prepared.names, given, strict=True)
        ]
    )
    reader = Reader(numbered, written_in(query.sql, numbered))
    optimised = found.frame.optimized_logical_plan()
    check_agreement(numbered, optimised)
    traced = Tracer(reader, sides).trace(found.analysed.optimized_logical_plan())
    possible = candidates(traced, reader, sides)
    choice = in_one_piece() if found.chance else choose(traced, possible, sides)
    keys_of = {side: query.side(side).primary_key for side in Side}
    sharing = None
    if found.by is Identification.ROW_IDS:
        sharing = sharing_of(prepared.text, Sessions(plain, numbered, sides, keys_of))
    if sharing is not None:
        choice = replace(choice, why=(*choice.why, *sharing.told))
    finder = RuleFinder(query, numbered, sides, reader, choice.copartition)
    rules = finder.rules(original, traced)
    return Planned(
        query=query,
        prepared=prepared,
        output=output,
        views=frozenset(n for n, kind in enumerate(given.types) if kind != output.types[n]),
        output_sides=_output_sides(found.analysed, traced),
        output_keys=_output_keys(query, output, found, traced),
        choice=choice,
        identification=found.by,
        reason_keys=rules.keys,
        rules=rules.rules,
        warnings=(*prepared.warnings, *found.warnings),
        plan_text=optimised.display_indent(),
        sharing=sharing,
        only_joins=_only_joins(prepared, traced),
    )


def _only_joins(prepared: PreparedSql, traced: Traced) -> bool:
    """Whether a plan has no operator that keeps rows but joins, wherever there is one SELECT.

    What further ones come to may lie hidden in an expression.
    """
    alone = len(_SELECT.findall(prepared.text)) == 1
    return alone and all(isinstance(one.node, _KEEPING_NOTHING) for one in traced.walk())


def sessions_without_rows(
    query: MatchQuery, prepared: PreparedSql
) -> tuple[SessionContext, SessionContext]:
    """Return sessions to plan in, with empty tables: as they are, and the two sides with ROW."""
    plain, numbered = new_session(), new_session()
    register_shapes(plain, query)
    register_shapes(numbered, query, numbered=True)
    for session in (plain, numbered):
        register_calls(session, prepared)
    return plain, numbered


def pair_frame(
    planned: Planned,
    plain: SessionContext,
    numbered: SessionContext,
    *,
    computed_keys: bool = False,
    shared: bool = False,
) -> PairFrame:
    """Return the match SQL over real tables, its rows naming their source rows.

    Args:
        plain: has the tables under all their names, without ROW, and the calls registered.
        numbered: the same tables, the two sides with ROW.
        computed_keys: whether joins compare what is computed of their keys: see `sorted_joins`.
        shared: both sessions have the tables of what `planned.sharing` computes once.

    Raises:
        EngineFailure: the plan with row ids is not the user's plan.
    """
    sharing = planned.sharing if shared else None
    text = planned.prepared.text if sharing is None else sharing.text
    original = plain.sql(with_computed_keys(text) if computed_keys else text)
    sides = sides_of(planned.query)
    found = identified(
        original,
        numbered,
        planned.query,
        sides,
        computed_keys=computed_keys,
        shared=None if sharing is None else sharing.carried,
        tried=False,  # as it was when it was planned
    )
    if found.by is not planned.identification:
        raise EngineFailure("The plan that runs names its source rows in another way.")
    visible = visible_columns(planned, found.frame)
    hidden = [col(origin.column) for origin in found.origins]
    return PairFrame(found.frame.select(*visible, *hidden), len(visible), found.origins)


def shared_rows(
    planned: Planned,
    one: Shared,
    plain: SessionContext,
    numbered: SessionContext,
    *,
    computed_keys: bool = False,
) -> DataFrame:
    """Return the rows of a query that is computed once: the columns that are needed of them.

    Args:
        plain: as `pair_frame` takes it; with the tables of the queries before this one.
        numbered: likewise.
    """
    if planned.sharing is None:
        raise ValueError("nothing is shared")
    keys_of = {side: planned.query.side(side).primary_key for side in Side}
    sessions = Sessions(plain, numbered, sides_of(planned.query), keys_of)
    return shared_frame(one, planned.sharing, sessions, computed_keys)


def visible_columns(planned: Planned, frame: DataFrame) -> list[Expr]:
    """Return the user's columns of a frame that has hidden ones too, as `planned.output` says."""
    return [
        ref.cast(column.type).alias(column.name) if place in planned.views else ref
        for place, (ref, column) in enumerate(zip(_visible(frame), planned.output, strict=True))
    ]


def key_frame(planned: Planned, session: SessionContext, side: Side) -> DataFrame:
    """Return the `reason_keys` of each row of a side's table, in its order, and ROW if it has it.

    Columns `__k0`, `__k1`, ... of the components' types; null where a cast fails for a row that
    the match SQL might never have cast.

    Args:
        session: has the table under the side's name.
    """
    row = ROW in source(session, side).schema().names
    return keys.key_frame(session, planned.reason_keys, side, row=row)


def condition_frame(
    planned: Planned, rule: Rule, session: SessionContext, scored: Collection[int] = ()
) -> DataFrame:
    """Return ROW and one Boolean column `c0`, `c1`, ... per condition, one row per pair.

    Args:
        session: has left_src and right_src, in which the rows of a pair have the same ROW.
        scored: numbers of conditions that have a score, which follows as `s0`, `s1`, ...

    Raises:
        ValueError: the rule has no conditions.
    """
    if not rule.checked:
        raise ValueError("there are no conditions to evaluate")
    return conditions.condition_frame(rule.checked, _pairwise(planned, session), scored)


def measure_frame(
    planned: Planned, rule: Rule, session: SessionContext, side: Side
) -> DataFrame | None:
    """Return ROW and `value`, the number or date of a side that the first measure compares.

    None if no condition limits a distance.

    Args:
        session: has the table of `side`, with ROW.
    """
    return conditions.measure_frame(rule.checked, _pairwise(planned, session), side)


def score_frame(planned: Planned, rule: Rule, number: int, session: SessionContext) -> DataFrame:
    """Return ROW and `value`, the score of a condition that has one, one row per pair.

    Args:
        number: of the condition.
        session: as `condition_frame` takes it.
    """
    return conditions.score_frame(rule.checked[number], _pairwise(planned, session))


def _pairwise(planned: Planned, session: SessionContext) -> Pairwise:
    return Pairwise(session, sides_of(planned.query))


def sides_of(query: MatchQuery) -> Mapping[str, Side]:
    """Return table name to side; the extras' names are left out."""
    by_place = dict(enumerate(Side))
    return {
        name: by_place[place]
        for name, place in table_names(query).items()
        if place in by_place
    }  # fmt: skip


def _visible(frame: DataFrame) -> list[Expr]:
    return [r for r in column_refs(frame) if not r.to_variant().name().startswith(HIDDEN)]


def _checked_output(original: DataFrame, found: Identified, session: SessionContext) -> pa.Schema:
    """Return the user's columns, the same with and without row ids."""
    wanted = _at_run_time(original, session)
    rebuilt = _at_run_time(found.frame.select(*_visible(found.frame)), session)
    if wanted.names != rebuilt.names or wanted.types != rebuilt.types:
        raise EngineFailure(
            "The plan that carries row numbers does not give the columns of the match SQL; "
            f"{wanted} became {rebuilt}.",
        )
    return wanted


def _output_sides(frame: DataFrame, traced: Traced) -> tuple[Side | None, ...]:
    names = frame.schema().names
    visible = [n for n, name in enumerate(names) if not name.startswith(HIDDEN)]
    tables = [tables_of(traced.symbols[n]) for n in visible]
    by_table = {side.value: side for side in Side}
    return tuple(by_table.get(next(iter(one))) if len(one) == 1 else None for one in tables)


def _output_keys(
    query: MatchQuery, output: pa.Schema, found: Identified, traced: Traced
) -> dict[Side, tuple[int, ...]]:
    if found.by is not Identification.ROW_IDS:
        return {}
    names = found.analysed.schema().names
    visible = [n for n, name in enumerate(names) if not name.startswith(HIDDEN)]
    places: dict[Side, tuple[int, ...]] = {}
    for origin in found.origins:
        if len(found.origins) != len(Side) or not isinstance(origin, RowId):
            return {}
        row = traced.symbols[names.index(origin.column)]
        if not isinstance(row, Column) or row.name != ROW:
            return {}
        shape = query.side(origin.side)
        at = {(traced.symbols[n], output.types[place]): place for place, n in enumerate(visible)}
        wanted = [
            (Column(row.table, row.scan, name), shape.schema.field(name).type)
            for name in shape.primary_key
        ]
        if all(one in at for one in wanted):
            places[origin.side] = tuple(at[one] for one in wanted)
    return places


def _at_run_time(frame: DataFrame, session: SessionContext) -> pa.Schema:
    plan = frame.optimized_logical_plan()
    return session.create_dataframe_from_logical_plan(plan).schema()


__all__ = [
    "Condition",
    "Copartition",
    "Identification",
    "KeyComponent",
    "Planned",
    "Rule",
    "Shared",
    "Strategy",
    "condition_frame",
    "key_frame",
    "measure_frame",
    "pair_frame",
    "plan_match",
    "score_frame",
    "sessions_without_rows",
    "shared_rows",
]
