"""DataFusion's expressions, as far as Python can see into them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from datafusion import DataFrame, Expr, lit
from datafusion.expr import Column

from kalla_core.matching.plans.logical import as_expr

_LEAVES = {"Literal", "Column"}
_OPAQUE = {
    "ScalarSubquery",
    "Exists",
    "InSubquery",
    "SetComparison",
    "OuterReferenceColumn",
    "Placeholder",
    "Unnest",
    "Wildcard",
    "Lambda",
    "LambdaVariable",
    "HigherOrderFunction",
    "GroupingSet",
    "WindowFunction",
    "AggregateFunction",
}


class OpaqueExpression(Exception):
    """An expression whose parts cannot be seen; the message says what kind it is."""


def operands(expr: Expr) -> tuple[Expr, ...]:
    """Return the direct parts of `expr`, none for a column or a literal.

    Raises:
        OpaqueExpression: sub-queries, aggregates, windows and others that hide their parts.
    """
    kind = expr.variant_name()
    if kind in _LEAVES:
        return ()
    if kind == "Alias":
        return (as_expr(expr.to_variant().expr()),)
    if kind in _OPAQUE:
        raise OpaqueExpression(kind)
    try:
        return tuple(as_expr(part) for part in expr.rex_call_operands())
    except Exception as error:  # the bindings raise nothing narrower for kinds they do not know
        raise OpaqueExpression(kind) from error


def walk(expr: Expr) -> Iterator[Expr]:
    """Yield `expr` and all its parts, depth first.

    Raises:
        OpaqueExpression: as `operands`.
    """
    yield expr
    for part in operands(expr):
        yield from walk(part)


def columns(expr: Expr) -> tuple[Column, ...]:
    """Return the columns `expr` reads, in order, with repetitions.

    Raises:
        OpaqueExpression: as `operands`.
    """
    return tuple(part.to_variant() for part in walk(expr) if part.variant_name() == "Column")


def uncast(expr: Expr) -> Expr:
    """Return what the outer casts and aliases of `expr` are applied to."""
    while expr.variant_name() in ("Alias", "Cast"):
        expr = operands(expr)[0]
    return expr


def conjuncts(predicate: Expr) -> tuple[Expr, ...]:
    """Return the conditions that `predicate` joins with AND, in order."""
    if predicate.variant_name() == "BinaryExpr" and predicate.rex_call_operator() == "AND":
        return tuple(part for side in operands(predicate) for part in conjuncts(side))
    return (predicate,)


def position(column: Column, fields: tuple[str, ...]) -> int | None:
    """Return where `column` stands among `fields`; None if nowhere or in several places."""
    name = column.qualified_name()
    hits = [index for index, field in enumerate(fields) if field == name]
    return hits[0] if len(hits) == 1 else None


_PROBE = lit(1)  # making one looks for modules that are not installed, each time


def column_refs(frame: DataFrame) -> tuple[Expr, ...]:
    """Return a reference to each column of `frame`, exact whatever its name or qualifier."""
    extended = frame.with_column("__kalla_probe", _PROBE)
    exprs = extended.logical_plan().to_variant().projections()
    return tuple(as_expr(raw) for raw in exprs[: len(frame.schema())])


def quoted(name: str) -> str:
    """Return `name` as an SQL identifier that means exactly it."""
    return '"' + name.replace('"', '""') + '"'


_VOLATILE = re.compile(r"\b(random|uuid|gen_random_uuid)\(")
_SUB_QUERY = "<subquery>"
_HIDES_PARTS_SAFELY = {"AggregateFunction", "WindowFunction"}


def obstacle(expr: Expr, tables: frozenset[str]) -> str | None:
    """Return why `expr` has no answer on a piece of `tables`, as a sentence, or None.

    Errs on the side of an obstacle: whatever it cannot see into is one.
    """
    text = expr.canonical_name()
    if _VOLATILE.search(text):
        return "A volatile function gives another answer each time."
    seen = list(visible_parts(expr))
    subqueries = [part for part in seen if part.variant_name() == "ScalarSubquery"]
    if text.count(_SUB_QUERY) != len(subqueries):
        return "A sub-query that cannot be seen into stands in an expression."
    for part in subqueries:
        plan = repr(part.to_variant().subquery())
        if any(f'table: "{table}"' in plan for table in tables):
            return "A sub-query in an expression looks at the whole of a side."
    unseen = {part.variant_name() for part in seen} & _OPAQUE - {"ScalarSubquery"}
    unseen -= _HIDES_PARTS_SAFELY
    return f"{', '.join(sorted(unseen))} cannot be analysed." if unseen else None


def visible_parts(expr: Expr) -> Iterator[Expr]:
    """Yield `expr` and those of its parts that can be seen."""
    yield expr
    try:
        parts = operands(expr)
    except OpaqueExpression:
        return
    for part in parts:
        yield from visible_parts(part)
