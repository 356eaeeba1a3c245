"""From the user's match SQL to SQL that may be planned.

The text stays as it was written, byte for byte, but for tokens that have to be other ones (calls of
Kalla's functions, the clock, number literals) and for brackets where DataFusion would group
operators otherwise than PostgreSQL. Everything else about it is decided by plans that DataFusion
makes of it over empty tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

import pyarrow as pa
from datafusion import LogicalPlan, SessionContext

from kalla_core.errors import InvalidSql
from kalla_core.matching.plans import calls as own
from kalla_core.matching.plans.aggregates import check_order, float_sums
from kalla_core.matching.plans.calls import Call
from kalla_core.matching.plans.casts import ImplicitCast, implicit_casts
from kalla_core.matching.plans.comparable import check_comparisons, doubles_needed, hidden_casts
from kalla_core.matching.plans.lists import search_splices
from kalla_core.matching.plans.null_safe import check_null_safe, first_splices, same_splices
from kalla_core.matching.plans.operands import exact_splices
from kalla_core.matching.plans.planning import (
    PlanningFailed,
    analysed,
    check_runnable,
    column_names,
    full_session,
    planning_session,
    raw,
)
from kalla_core.matching.sql.constants import check_constants
from kalla_core.matching.sql.faults import check_tables_read, fault, functions_of
from kalla_core.matching.sql.forbidden import take_away
from kalla_core.matching.sql.grouping import bracket_splices, bracketed
from kalla_core.matching.sql.lexer import Token, tokenize
from kalla_core.matching.sql.literals import (
    clock_splices,
    decimal_literals,
    moment_splices,
    number_splices,
)
from kalla_core.matching.sql.patterns import pattern_splices
from kalla_core.matching.sql.query import MatchQuery
from kalla_core.matching.sql.sites import CallSite
from kalla_core.matching.sql.statement import check_text
from kalla_core.matching.sql.sub_queries import alone, check_sub_queries, refusal
from kalla_core.matching.sql.text import Splice, original_offset, spliced


@dataclass(frozen=True, slots=True)
class PreparedSql:
    """Match SQL that plans in any session with its tables, after `register_calls`.

    Attributes:
        text: the SQL to plan; the user's own but for a few tokens.
        calls: the variants of Kalla's functions it calls.
        names: of its columns, as the user's own SQL would have them.
        warnings: sentences for the user.
    """

    text: str
    calls: tuple[Call, ...]
    names: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def prepare(query: MatchQuery) -> PreparedSql:
    """Return the SQL to plan in place of `query.sql`.

    Raises:
        ForbiddenSql: it would do more than read the job's tables.
        InvalidSql: it does not parse or plan, or its answer would not be determined.
        UnknownColumn: it names a column that is not there.
        TypesNotComparable: it compares values of unlike types.
    """
    try:
        return _prepare(query)
    except RecursionError:
        raise InvalidSql("The SQL is nested too deeply.") from None


def _prepare(query: MatchQuery) -> PreparedSql:
    tokens = check_text(query.sql)
    sites = own.own_calls(query.sql, tokens)
    check_order(query.sql, tokens)
    check_constants(query.sql, tokens)
    grouped = bracketed(query.sql, tokens)
    session = planning_session(query)
    own.register_stand_ins(session)
    exact, fixed = bracket_splices(grouped), _fixed(query, tokens)
    statement = _Statement(query, tokens, grouped, sites, session, exact, fixed)
    try:
        return _prepared(statement)
    except PlanningFailed as error:
        splices = statement.splices(frozenset())
        again = partial(_refusal, session, query)
        raise fault(str(error), query, tokens, splices, functions_of(session), again) from None


def _fixed(query: MatchQuery, tokens: tuple[Token, ...]) -> tuple[Splice, ...]:
    """Return what has to be put in whatever plans find out, but for brackets."""
    return (
        *same_splices(query.sql, tokens),
        *first_splices(tokens),
        *pattern_splices(query.sql, tokens),
        *search_splices(query.sql, tokens),
        *clock_splices(tokens, query.started_at),
        *moment_splices(tokens),
    )


def _refusal(session: SessionContext, query: MatchQuery, text: str) -> str | None:
    """Return what is said to a statement, in which Kalla's functions bear their own names."""
    try:
        analysed(session, text)
        full = full_session(query)
        own.register_stand_ins(full)
        check_runnable(full, text)
    except PlanningFailed as error:
        return str(error)
    return None


def register_calls(session: SessionContext, prepared: PreparedSql) -> None:
    """Make `session` able to plan `prepared.text`, and unable to call what is forbidden."""
    take_away(session)
    own.register(session, prepared.calls)


@dataclass(frozen=True, slots=True)
class _Statement:
    """The user's SQL and a session that plans it.

    Attributes:
        bracketed: the tokens with brackets where operators have to be grouped.
        calls: of Kalla's functions.
        exact: those brackets, and casts that the SQL may not even plan without.
        fixed: what else has to be put in, but for numbers.
    """

    query: MatchQuery
    tokens: tuple[Token, ...]
    bracketed: tuple[Token, ...]
    calls: tuple[CallSite, ...]
    session: SessionContext
    exact: tuple[Splice, ...]
    fixed: tuple[Splice, ...]
    _splices: dict[frozenset[Token], tuple[Splice, ...]] = field(init=False, default_factory=dict)
    _written: dict[str, LogicalPlan] = field(init=False, default_factory=dict)
    _checked: dict[str, LogicalPlan] = field(init=False, default_factory=dict)

    def splices(self, doubles: frozenset[Token]) -> tuple[Splice, ...]:
        """Return what has to be put in, some numbers as doubles."""
        if doubles not in self._splices:
            self._splices[doubles] = self._found(doubles)
        return self._splices[doubles]

    def _found(self, doubles: frozenset[Token]) -> tuple[Splice, ...]:
        numbers = number_splices(self.query.sql, self.tokens, doubles)
        return (*self.exact, *self.fixed, *numbers)

    def text(self, doubles: frozenset[Token]) -> str:
        """Return the SQL with `splices` put in."""
        return spliced(self.query.sql, self.splices(doubles))

    def written(self, doubles: frozenset[Token]) -> LogicalPlan:
        """Return the plan as it is written, with nothing cast that nobody casts.

        Raises:
            PlanningFailed: there is none.
        """
        text = self.text(doubles)
        if text not in self._written:
            self._written[text] = raw(self.session, text)
        return self._written[text]

    def checked(self, doubles: frozenset[Token]) -> LogicalPlan:
        """Return the plan with what it casts of itself.

        Raises:
            PlanningFailed: there is none.
        """
        text = self.text(doubles)
        if text not in self._checked:
            self._checked[text] = analysed(self.session, text)
        return self._checked[text]

    def casts(self, doubles: frozenset[Token]) -> tuple[ImplicitCast, ...]:
        """Return the casts that nobody wrote."""
        written, checked = self.written(doubles), self.checked(doubles)
        seen = tuple(implicit_casts(self.session, written, checked))
        return (*seen, *hidden_casts(self.query, written, checked, seen))

    def with_exact(self, doubles: frozenset[Token], checked: str = "") -> _Statement:
        """Return the statement with the casts that make it exact."""
        plain = replace(self, exact=())
        splices = plain.splices(doubles)
        found = exact_splices(
            self.session,
            self.query.sql,
            self.bracketed,
            splices,
            checked,
            untyped=self.is_untyped(),
            timed=self.is_timed(),
        )
        return replace(self, exact=found)

    def is_untyped(self) -> bool:
        """Whether values may be of type NULL: those of a column without any, or a literal."""
        return any(token.word("null") for token in self.tokens) or any(
            map(pa.types.is_null, self._types())
        )

    def is_timed(self) -> bool:
        """Whether values may be times of a day."""
        made = ("time", "to_time", "make_time", "current_time")
        return any(token.word(*made) for token in self.tokens) or any(
            map(pa.types.is_time, self._types())
        )

    def _types(self) -> list[pa.DataType]:
        tables = (self.query.left, self.query.right, *self.query.extras)
        return [field.type for table in tables for field in table.schema]


def _prepared(statement: _Statement) -> PreparedSql:
    query, tokens, session = statement.query, statement.tokens, statement.session
    none: frozenset[Token] = frozenset()
    try:
        written = statement.written(none)
    except PlanningFailed:  # a minus before an unsigned integer, unless it is the user's fault
        statement = statement.with_exact(none)
        written = statement.written(none)
    names = column_names(session, written)
    if statement.is_untyped() or statement.is_timed():  # what is cast then fits, as it is now
        statement = statement.with_exact(none)
        written = statement.written(none)
    check_tables_read(query, tokens, written)
    _check_sub_queries(statement)
    doubles = _doubles(statement)
    checked = statement.checked(doubles).display_indent()
    splices = statement.with_exact(doubles, checked).splices(doubles)
    renamed, calls = own.resolve(session, query.sql, tokens, statement.calls, splices)
    text = spliced(query.sql, (*splices, *renamed))
    prepared = PreparedSql(text, calls, names, float_sums(session, written))
    _check_plans(query, prepared, written)
    return prepared


def _check_sub_queries(statement: _Statement) -> None:
    """Check where sub-queries stand, and what those compare that the plan around them hides."""

    def stands_alone(sql: str) -> bool:
        try:
            raw(statement.session, sql)
        except PlanningFailed:
            return False
        return True

    text = statement.text(frozenset())
    if found := check_sub_queries(text, tokenize(text), stands_alone):
        offset, what, remedy = found
        place = original_offset(statement.splices(frozenset()), offset)
        raise refusal(statement.query.sql, place, what, remedy)
    session = statement.session
    for inner in alone(text, tokenize(text), stands_alone):
        casts = tuple(implicit_casts(session, raw(session, inner), analysed(session, inner)))
        check_comparisons(statement.query.sql, statement.tokens, casts)


def _doubles(statement: _Statement) -> frozenset[Token]:
    """Return the number literals that have to be doubles, after a look at all that is compared."""
    sql, tokens = statement.query.sql, statement.tokens
    casts = statement.casts(frozenset())
    check_comparisons(sql, tokens, casts)
    literals = decimal_literals(tokens, statement.calls)
    return doubles_needed(sql, tokens, literals, casts, statement.casts)


def _check_plans(query: MatchQuery, prepared: PreparedSql, written: LogicalPlan) -> None:
    """Plan as a run does: what the optimiser finds, or what nobody can run, is found now."""
    session = full_session(query)
    register_calls(session, prepared)
    check_null_safe(written, analysed(session, prepared.text))
    check_runnable(session, prepared.text)
