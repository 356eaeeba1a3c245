"""Primary keys: which types they may have, and where a plan puts them out unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
from datafusion import Expr, LogicalPlan

from kalla_core.errors import TypesNotComparable
from kalla_core.matching.plans import logical as lp
from kalla_core.matching.plans.expressions import position
from kalla_core.matching.sql.query import MatchQuery, Side

_PICKS_A_ROW = {"first_value", "last_value"}


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """A column of a source table."""

    side: Side
    name: str


def check_primary_keys(query: MatchQuery) -> None:
    """Return if each column of both primary keys has a type that rows can be told apart by.

    Raises:
        TypesNotComparable: one of them has not; as `unfit_key`.
    """
    for side in Side:
        shape = query.side(side)
        for name in shape.primary_key:
            refusal = unfit_key(name, shape.schema.field(name).type)
            if refusal is not None:
                raise refusal


def unfit_key(name: str, data_type: pa.DataType) -> TypesNotComparable | None:
    """Return why a column of this type cannot be part of a primary key, or None if it can."""
    if pa.types.is_dictionary(data_type) or pa.types.is_run_end_encoded(data_type):
        return unfit_key(name, data_type.value_type)
    if not any(unfit(data_type) for unfit in _WITHOUT_TEXT):
        return None
    return TypesNotComparable(
        f"The column `{name}` cannot be part of a primary key: it is of type {data_type}, which "
        "has neither an order nor a text of its own. Name a column of text, numbers or dates.",
        column=name,
        type=str(data_type),
    )


_WITHOUT_TEXT = (pa.types.is_nested, pa.types.is_union, pa.types.is_interval)

Traced = tuple[SourceColumn | None, ...]


def source_columns(plan: LogicalPlan, sides: Mapping[str, Side]) -> Traced:
    """Return, for each output column of `plan`, the source column it is, or None.

    A column counts only if it is passed through untouched (it may be null where an outer join
    found no row). Works on raw and on optimised plans; what it does not know gives None.
    """
    node = lp.read(plan)
    match node:
        case lp.Scan():
            return _scanned(node, sides)
        case lp.Projected():
            below = source_columns(node.input, sides)
            return tuple(_passed(expr, node, below) for expr in node.exprs)
        case lp.Joined():
            return _joined(node, sides)
        case lp.Aggregated():
            below = source_columns(node.input, sides)
            groups = tuple(_passed(expr, node, below) for expr in node.groups)
            picked = tuple(_picked(expr, node, below) for expr in node.aggregates)
            return _fitted(groups + picked, node)
        case lp.Aliased() | lp.Filtered() | lp.Sorted() | lp.Limited() | lp.Deduplicated():
            return source_columns(node.input, sides)
        case lp.Windowed():
            return _fitted(source_columns(node.input, sides), node)
        case lp.United():
            return _agreed([source_columns(branch, sides) for branch in node.inputs], node)
        case lp.Unknown(name="Unnest" | "Subquery"):
            return _by_name(node, sides)
        case _:
            return (None,) * len(node.fields)


def _scanned(node: lp.Scan, sides: Mapping[str, Side]) -> Traced:
    side = sides.get(node.table)
    if side is None:
        return (None,) * len(node.fields)
    return tuple(SourceColumn(side, name) for name in node.columns)


def _passed(expr: Expr, node: lp.Operator, below: Traced) -> SourceColumn | None:
    bare = lp.unaliased(expr)
    if bare.variant_name() != "Column":
        return None
    index = position(bare.to_variant(), lp.fields_of(node.input))
    return None if index is None else below[index]


def _picked(expr: Expr, node: lp.Operator, below: Traced) -> SourceColumn | None:
    """Return the column of which DISTINCT ON, once optimised, takes the first row's value."""
    bare = lp.unaliased(expr)
    if bare.variant_name() != "AggregateFunction":
        return None
    call = bare.to_variant()
    args = [lp.as_expr(arg) for arg in call.args()]
    name = bare.canonical_name().split("(", 1)[0]
    return _passed(args[0], node, below) if name in _PICKS_A_ROW and args else None


def _joined(node: lp.Joined, sides: Mapping[str, Side]) -> Traced:
    left, right = source_columns(node.left, sides), source_columns(node.right, sides)
    if node.kind.one_sided:
        kept = left if node.kind.value.startswith("Left") else right
        return _fitted(kept, node)
    return left + right


def _agreed(branches: list[Traced], node: lp.Operator) -> Traced:
    columns = zip(*branches, strict=True)
    return _fitted(tuple(c[0] if len(set(c)) == 1 else None for c in columns), node)


def _by_name(node: lp.Operator, sides: Mapping[str, Side]) -> Traced:
    below = source_columns(node.input, sides)
    names = lp.fields_of(node.input)
    return tuple(
        below[names.index(name)] if names.count(name) == 1 and "unnest_placeholder" not in name
        else None
        for name in node.fields
    )  # fmt: skip


def _fitted(traced: Traced, node: lp.Operator) -> Traced:
    missing = len(node.fields) - len(traced)
    return traced + (None,) * missing if missing >= 0 else (None,) * len(node.fields)
