"""Casts that nobody wrote: what DataFusion does to make unlike types meet.

Found by comparing the plan as it is written with the plan after type checking.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pyarrow as pa
from datafusion import Expr, LogicalPlan, SessionContext, lit

from kalla_core.matching.plans.logical import (
    Aggregated,
    Filtered,
    Joined,
    Operator,
    Projected,
    Scan,
    Sorted,
    Windowed,
    as_expr,
    read,
    unaliased,
)
from kalla_core.matching.sql.arrow_types import UnknownType, parse_type
from kalla_core.matching.sql.conversions import unwritten
from kalla_core.matching.sql.literal_text import as_sql


@dataclass(frozen=True, slots=True)
class ImplicitCast:
    """A value that is cast without anybody having asked for it.

    Attributes:
        operand: the value as text, for people.
        source: its type; None where it cannot be found out.
        target: the type it is cast to.
        partner: what it is compared with or takes turns with, and the type of that; None where
            it stands alone. A column of a UNION, or of a sub-query under IN, meets `its partner`,
            a result of CASE `another one`.
        constant: whether the value or its partner is the same for all rows.
    """

    operand: str
    source: pa.DataType | None
    target: pa.DataType
    partner: tuple[str, pa.DataType | None] | None
    constant: bool = False


@dataclass(frozen=True, slots=True)
class Scope:
    """An operator, and what is needed to type the expressions over its inputs."""

    session: SessionContext
    operator: Operator

    def type_of(self, expr: Expr) -> pa.DataType | None:
        """Return the type of an expression; None for one that reaches out of a sub-query."""
        frames = [
            self.session.create_dataframe_from_logical_plan(plan) for plan in self.operator.inputs
        ]
        try:
            frame = frames[0] if frames else None
            for other in frames[1:]:
                frame = frame.join_on(other, lit(True), how="inner") if frame else other
            typed = frame.select(expr.alias("__kalla_value")) if frame else None
        except Exception:  # the bindings raise nothing narrower
            return None
        return typed.schema().field(0).type if typed is not None else None


_COMPARISONS = frozenset(
    {"=", "!=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"}
)
_CHOOSING = frozenset({"coalesce", "nullif", "nvl", "ifnull", "greatest", "least"})
_SEARCHING = re.compile(
    r"(?:array|list)s?_(?:contains|except|has|has_all|has_any|indexof|intersect|overlap|position|"
    r"positions|remove|remove_all|remove_n|replace|replace_all|replace_n|union)"
)
"""Functions that compare lists, or what is in them, with what they are given."""

_CONSTANT = frozenset({"Literal"})
_NOT_TEXT = re.compile(r" AS (?:Decimal|U?Int|Float|Date|Time|(?:Large)?List)\w*")
_CAST_TARGET = re.compile(r" AS (\w+(?:\([^()]*\))?)\)")
_CAST = re.compile(r"\bCAST\(")
_OPERATION = re.compile(r" (?:[-+*/%|&<>=]|AND|OR)+ ")
_INNER_NAME = re.compile(r"outer_ref\(([^()]*)\)|__correlated_sq_\d+\.")
_NUMBER = re.compile(r"(?:U?Int|Float|Decimal)\d+\((?!NULL)")


def implicit_casts(
    session: SessionContext, written: LogicalPlan, checked: LogicalPlan
) -> Iterator[ImplicitCast]:
    """Yield the casts of columns and expressions that `checked` adds, and of numbers to dates.

    Of other literals the type is not settled before they meet something.

    Not seen are those in FILTER and ORDER BY of aggregates, and in sub-queries that are neither
    correlated nor under EXISTS or IN.

    Args:
        session: which made the plans.
        written: before type checking.
        checked: after it, otherwise unchanged.
    """
    if not _NOT_TEXT.search(checked.display_indent()):
        return
    explicit = _explicit_casts(session, written)
    for scope in _scopes(session, checked):
        for top in expressions_of(scope.operator):
            for cast, partner in _casts(top, None):
                found = _implicit(scope, cast, partner, explicit)
                if found is not None and _is_column(scope.operator, top, cast):
                    found = replace(found, partner=("its partner", found.target))
                if found is not None:
                    yield found


def shown(expr: Expr) -> str:
    """Return an expression as people would write it, without casts."""
    while _is_cast(expr) or expr.variant_name() == "Alias":
        expr = direct_parts(expr)[0]
    name = unwritten(as_sql(_INNER_NAME.sub(r"\1", expr.canonical_name())))
    for start in reversed([found.end() for found in _CAST.finditer(name)]):
        name = _without_cast(name, start)
    return name.replace("(SELECT ...)", "a sub-query")


def _without_cast(text: str, start: int) -> str:
    """Return `text` without the cast whose operand begins at `start`; brackets where it needs."""
    depth, end = 1, start
    while depth and end < len(text):
        depth += (text[end] == "(") - (text[end] == ")")
        end += 1
    operand, found, _type = text[start : end - 1].rpartition(" AS ")
    if not found:
        return text
    before, after = text[: start - len("CAST(")], text[end:]
    alone = before[-1:] in ("", "(") and after[:1] in ("", ")", ",")
    if _OPERATION.search(operand) and not alone and not _in_brackets(operand):
        operand = f"({operand})"
    return before + operand + after


def _in_brackets(text: str) -> bool:
    """Whether a text is one thing in brackets."""
    depth = 0
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return text.startswith("(") and at == len(text) - 1
    return False


@dataclass(frozen=True, slots=True)
class _Explicit:
    """The casts that were written.

    Attributes:
        casts: what is cast, apart from casts in it, and to which type.
        targets: types that are cast to in sub-queries, where the bindings do not look.
    """

    casts: frozenset[tuple[object, str]]
    targets: frozenset[str]

    def __contains__(self, cast: Expr) -> bool:
        target = cast_target(cast)
        return target in self.targets or (_skeleton(cast), target) in self.casts


def _explicit_casts(session: SessionContext, written: LogicalPlan) -> _Explicit:
    casts = (
        (_skeleton(part), cast_target(part))
        for scope in _scopes(session, written)
        for top in expressions_of(scope.operator)
        for part in every_part(top)
        if _is_cast(part)
    )
    inner = written.display_indent().partition("Subquery:")[2]
    return _Explicit(frozenset(casts), frozenset(_CAST_TARGET.findall(inner)))


def _implicit(
    scope: Scope, cast: Expr, partner: Expr | str | None, explicit: _Explicit
) -> ImplicitCast | None:
    (operand,) = direct_parts(cast)
    if cast in explicit:
        return None
    try:
        target = parse_type(cast_target(cast))
    except UnknownType:
        return None
    literal = operand.variant_name() == "Literal"
    if literal and not (_is_number(operand) and pa.types.is_temporal(target)):
        return None
    compared: tuple[str, pa.DataType | None] | None = None
    constant = not reads_rows(operand)
    if isinstance(partner, str):
        compared = (partner, target)
    elif partner is not None:
        constant = constant or not reads_rows(partner)
        bare = partner
        while _is_cast(bare) and bare not in explicit:
            bare = direct_parts(bare)[0]
        compared = (shown(partner), scope.type_of(bare))
    return ImplicitCast(shown(operand), scope.type_of(operand), target, compared, constant)


def _is_number(literal: Expr) -> bool:
    return _NUMBER.match(literal.canonical_name()) is not None


def reads_rows(expr: Expr) -> bool:
    """Whether an expression has another value for another row."""
    return any(
        part.variant_name() not in _CONSTANT for part in every_part(expr) if not direct_parts(part)
    )


def _casts(expr: Expr, partner: Expr | str | None) -> Iterator[tuple[Expr, Expr | str | None]]:
    """Yield each cast in `expr`, with what it is compared with if it is one side of that."""
    if _is_cast(expr):
        yield expr, partner
    parts = direct_parts(expr)
    if len(parts) > 1 and _compares(expr):
        first, *others = parts
        yield from _casts(first, _not_literal(others))
        for other in others:
            yield from _casts(other, first)
    elif expr.variant_name() == "Case":
        for part in parts:
            yield from _casts(part, "another one")
    else:
        for part in parts:
            yield from _casts(part, None)


def _compares(expr: Expr) -> bool:
    match expr.variant_name():
        case "Between" | "InList":
            return True
        case "BinaryExpr":
            return expr.rex_call_operator() in _COMPARISONS
        case "ScalarFunction":
            name = expr.rex_call_operator()
            return name in _CHOOSING or _SEARCHING.fullmatch(name) is not None
        case _:
            return False


def _is_column(operator: Operator, top: Expr, cast: Expr) -> bool:
    """Whether a cast to anything but text is a whole output column."""
    if not isinstance(operator, Projected) or cast_target(cast) in (
        "Utf8",
        "LargeUtf8",
        "Utf8View",
    ):
        return False
    return unaliased(top).canonical_name() == cast.canonical_name()


def _not_literal(exprs: list[Expr]) -> Expr:
    return next((e for e in exprs if e.variant_name() != "Literal"), exprs[0])


def _scopes(session: SessionContext, plan: LogicalPlan) -> Iterator[Scope]:
    operator = read(plan)
    yield Scope(session, operator)
    for source in operator.inputs:
        yield from _scopes(session, source)


def expressions_of(operator: Operator) -> tuple[Expr, ...]:
    """Return the expressions that an operator evaluates over its inputs."""
    match operator:
        case Projected(exprs=exprs):
            return exprs
        case Filtered(predicate=predicate):
            return (predicate,)
        case Joined(on=pairs, filter=residual):
            equalities = tuple(left == right for left, right in pairs)
            return equalities if residual is None else (*equalities, residual)
        case Aggregated(groups=groups, aggregates=aggregates):
            return (*groups, *aggregates)
        case Windowed(functions=functions):
            return tuple(
                expr
                for function in functions
                for expr in (
                    *function.args,
                    *function.partition_by,
                    *(key.expr() for key in function.order_by),
                )
            )
        case Sorted(keys=keys):
            return tuple(key.expr() for key in keys)
        case Scan(filters=filters):
            return filters
        case _:
            return ()


def every_part(expr: Expr) -> Iterator[Expr]:
    """Yield `expr` and whatever can be seen of its parts, outer ones first."""
    yield expr
    for part in direct_parts(expr):
        yield from every_part(part)


def direct_parts(expr: Expr) -> tuple[Expr, ...]:
    """Return the direct parts of `expr`, none where the bindings show none."""
    kind = expr.variant_name()
    if kind in ("Column", "Literal", "ScalarSubquery", "Exists", "OuterReferenceColumn"):
        return ()
    if kind == "Alias":
        return (as_expr(expr.to_variant().expr()),)
    try:
        return tuple(as_expr(part) for part in expr.rex_call_operands())
    except Exception:  # the bindings raise nothing narrower for kinds they do not know
        return ()


def _is_cast(expr: Expr) -> bool:
    return expr.variant_name() == "Cast"


def cast_target(cast: Expr) -> str:
    """Return the type that a cast is to, as DataFusion writes it."""
    return cast.canonical_name().rpartition(" AS ")[2].removesuffix(")")


def _skeleton(expr: Expr) -> object:
    """Return what `expr` is apart from casts, as a value that can be compared."""
    while _is_cast(expr):
        (expr,) = direct_parts(expr)
    parts = direct_parts(expr)
    if not parts:
        return expr.canonical_name()
    try:
        operator = expr.rex_call_operator()
    except Exception:  # the bindings raise nothing narrower for kinds they do not know
        operator = ""
    return (expr.variant_name(), operator, *map(_skeleton, parts))
