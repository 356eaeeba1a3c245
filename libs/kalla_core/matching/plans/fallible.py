"""Expressions of a match SQL that may fail on a value: casts, arithmetic, calls.

For the error message when one did. Each is computed from one source row, from a row of each side,
or from a group of rows, so that it can be evaluated over those again and the one be found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from datafusion import DataFrame, Expr, LogicalPlan, SessionContext

from kalla_core.matching.plans.casts import (
    Scope,
    cast_target,
    direct_parts,
    every_part,
    expressions_of,
    reads_rows,
    shown,
)
from kalla_core.matching.plans.expressions import OpaqueExpression, conjuncts
from kalla_core.matching.plans.fallible_text import is_arithmetic, is_computed, may_fail
from kalla_core.matching.plans.logical import Aggregated, Joined, Operator, Scan, Windowed, read
from kalla_core.matching.plans.pairwise import Pairwise
from kalla_core.matching.plans.planning import PlanningFailed, analysed, planning_session, raw
from kalla_core.matching.plans.prepare import PreparedSql, register_calls
from kalla_core.matching.plans.routes import NoRoute, Route, routes_to, source
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.sql.arrow_types import UnknownType, is_zoned, parse_type
from kalla_core.matching.sql.lexer import tokenize
from kalla_core.matching.sql.query import MatchQuery, Side
from kalla_core.matching.sql.sub_queries import alone
from kalla_core.matching.sql.tables import register_shapes, table_names
from kalla_core.matching.sql.written import Written, written_in


@dataclass(frozen=True, slots=True)
class OfRow:
    """An expression over one source row.

    Attributes:
        parts: those of it that may fail, the innermost first; it may be one of them.
        inputs: the plans whose columns it reads.
    """

    expr: Expr
    parts: tuple[Expr, ...]
    inputs: tuple[LogicalPlan, ...]
    route: Route

    def over(self, session: SessionContext, part: Expr) -> DataFrame:
        """Return the value of a part for each row of its side's table in `session`."""
        start = source(session, self.route.side)
        return self.route.follow(start).select(part.alias("value"))


@dataclass(frozen=True, slots=True)
class OfPair:
    """An expression over a row of each side; attributes as in `OfRow`."""

    expr: Expr
    parts: tuple[Expr, ...]
    inputs: tuple[LogicalPlan, ...]
    sides: Mapping[str, Side]

    def over(self, session: SessionContext, part: Expr) -> DataFrame:
        """Return the value of a part for each pair of rows with the same ROW in `session`."""
        if not reads_rows(part):
            return session.sql("SELECT 1").select(part.alias("value"))
        paired = Pairwise(session, self.sides).values([part], self.inputs)
        return paired.frame.select(part.alias("value"))


@dataclass(frozen=True, slots=True)
class OfGroup:
    """An expression over the rows of an operator that have been made of groups; `parts` as above.

    Attributes:
        sql: in whose plan it is.
        place: of the operator whose expression it is, in `operators` of that plan.
        groups: names, as `fields_of` its input has them, of what was grouped by.
    """

    expr: Expr
    parts: tuple[Expr, ...]
    sql: str
    place: int
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OfSeveral:
    """An expression that is told from neither; `parts` as above."""

    parts: tuple[Expr, ...]


Suspect = OfRow | OfPair | OfGroup | OfSeveral


@dataclass(frozen=True, slots=True)
class _Place:
    """An operator of the plan of a statement."""

    sql: str
    operator: int


@dataclass(frozen=True)
class Suspects:
    """The expressions of one match SQL that may fail."""

    query: MatchQuery
    prepared: PreparedSql

    @cached_property
    def sides(self) -> Mapping[str, Side]:
        """Table name to side."""
        places = dict(enumerate(Side))
        return {name: places[n] for name, n in table_names(self.query).items() if n in places}

    @cached_property
    def all(self) -> tuple[Suspect, ...]:
        """All of them, the lowest in the plan first.

        Raises:
            PlanningFailed: the SQL does not plan.
        """
        session = planning_session(self.query)
        register_calls(session, self.prepared)
        return tuple(
            suspect
            for sql in self._statements(session)
            for place, operator in enumerate(operators(analysed(session, sql)))
            for top in expressions_of(operator)
            for conjunct in _conditions(top)
            for suspect in self._of(Scope(session, operator), _Place(sql, place), conjunct)
        )

    def _statements(self, session: SessionContext) -> Iterator[str]:
        """Yield the sub-queries that the plan hides, as far as they stand alone, and the whole."""
        text = self.prepared.text

        def stands_alone(sql: str) -> bool:
            try:
                raw(session, sql)
            except PlanningFailed:
                return False
            return True

        yield from alone(text, tokenize(text), stands_alone)
        yield text

    def columns(self, suspect: OfRow | OfPair, part: Expr) -> Mapping[Side, tuple[str, ...]]:
        """Return the source columns that a part reads."""
        if not reads_rows(part):
            return {}
        if isinstance(suspect, OfPair):
            paired = Pairwise(self._shapes, self.sides).values([part], suspect.inputs)
            return {side: paired.read.get(side, ()) for side in Side}
        side = suspect.route.side
        routes = _routes(suspect.inputs, part, self.sides)
        return {side: next(one.columns for one in routes if one.side is side)}

    def as_written(self, suspect: OfRow | OfPair, part: Expr) -> Expr:
        """Return a part, or of a cast that nobody wrote the smallest part around it."""
        while part.variant_name() == "Cast" and not self._is_written(part):
            name = part.canonical_name()
            around = (
                outer
                for outer in every_part(suspect.expr)
                if any(inner.canonical_name() == name for inner in direct_parts(outer))
            )
            outer = next(around, None)
            if outer is None or outer.variant_name() == "Alias":
                break
            part = outer
        return part

    @cached_property
    def written(self) -> Written:
        """The casts of the SQL."""
        return written_in(self.query.sql, new_session())

    def _is_written(self, cast: Expr) -> bool:
        (operand,) = direct_parts(cast)
        if is_computed(operand):
            return True  # it is left out, and told by what is computed
        try:
            kind = parse_type(cast_target(cast))
        except UnknownType:
            return True
        if is_zoned(kind) and any(token.word("zone") for token in tokenize(self.query.sql)):
            return True
        return self.written.find(shown(operand), str(kind)) is not None

    @cached_property
    def _shapes(self) -> SessionContext:
        session = new_session()
        register_shapes(session, self.query, numbered=True)
        register_calls(session, self.prepared)
        return session

    def _of(self, scope: Scope, place: _Place, expr: Expr) -> Iterator[Suspect]:
        alone = list(self._of_rows(scope, expr))
        yield from alone
        told = {part.canonical_name() for one in alone for part in one.parts}
        rest = [part for part in _failing(scope, expr) if part.canonical_name() not in told]
        if rest:
            yield from self._of_several(scope.operator, place, expr, tuple(rest))

    def _of_rows(self, scope: Scope, expr: Expr) -> Iterator[OfRow]:
        """Yield the largest parts of an expression that read one side alone."""
        operator = scope.operator
        inputs = (operator.plan,) if isinstance(operator, Scan) else operator.inputs
        found = _routes(inputs, expr, self.sides)
        if not found:
            for part in direct_parts(expr):
                yield from self._of_rows(scope, part)
        elif parts := _failing(scope, expr):
            yield from (OfRow(expr, parts, inputs, route) for route in found)

    def _of_several(
        self, operator: Operator, place: _Place, expr: Expr, parts: tuple[Expr, ...]
    ) -> Iterator[Suspect]:
        """Yield an expression, or what can be told of it, over pairs or over groups."""
        for one in (expr, *reversed(parts)):
            try:
                Pairwise(self._shapes, self.sides).values([one], operator.inputs)
            except (NoRoute, OpaqueExpression):
                continue
            yield OfPair(one, parts, operator.inputs, self.sides)
            return
        below = [groups for groups in map(_groups, operator.inputs) if groups is not None]
        if below and not isinstance(operator, Joined):
            yield OfGroup(parts[-1], parts, place.sql, place.operator, below[0])
        else:
            yield OfSeveral(parts)


def operators(plan: LogicalPlan) -> Iterator[Operator]:
    """Yield the operators of a plan, the lowest first."""
    operator = read(plan)
    for below in operator.inputs:
        yield from operators(below)
    yield operator


def _routes(
    plans: Sequence[LogicalPlan], expr: Expr, sides: Mapping[str, Side]
) -> tuple[Route, ...]:
    """Return the routes to what an expression reads, if that is some columns of one source row."""
    found: list[Route] = []
    for plan in plans:
        try:
            found += routes_to(plan, [expr], sides)
        except NoRoute:
            continue
    return tuple(route for route in found if route.columns)


def is_safe(expr: Expr) -> bool:
    """Whether an expression fails on no value, judged by what it is made of."""
    return all(
        part.variant_name() in _SAFE
        and not (part.variant_name() == "BinaryExpr" and is_arithmetic(part))
        for part in every_part(expr)
    )


_SAFE = frozenset(
    {"BinaryExpr", "Column", "Literal", "IsNull", "IsNotNull", "Not", "Between", "InList", "Like",
     "IsTrue", "IsFalse", "IsNotTrue", "IsNotFalse"}
)  # fmt: skip


def _conditions(expr: Expr) -> tuple[Expr, ...]:
    try:
        return conjuncts(expr)
    except OpaqueExpression:
        return (expr,)


def _failing(scope: Scope, expr: Expr) -> tuple[Expr, ...]:
    inner_first = reversed(list(every_part(expr)))
    return tuple(part for part in inner_first if may_fail(scope, part))


def _groups(plan: LogicalPlan) -> tuple[str, ...] | None:
    """Return what the rows of a plan are grouped or parted by; None if they are not."""
    operator = read(plan)
    if isinstance(operator, Aggregated):
        return operator.fields[: len(operator.groups)]
    if isinstance(operator, Windowed):
        keys = [key for one in operator.functions[:1] for key in one.partition_by]
        named = [k.to_variant().qualified_name() for k in keys if k.variant_name() == "Column"]
        return tuple(name for name in named if name in operator.fields)
    found = _groups(operator.input) if len(operator.inputs) == 1 else None
    if found is None:
        return None
    bare = {name.rpartition(".")[2]: name for name in operator.fields}
    kept = (bare.get(name.rpartition(".")[2]) for name in found)
    return tuple(name for name in kept if name is not None)
