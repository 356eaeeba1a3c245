"""DataFusion's logical plans as plain values: one frozen class per operator.

What the Python bindings offer is untyped, differs from operator to operator and hides a few
things (whether an anti join minds nulls, which kind of DISTINCT it is). `read` is the one place
that knows; everything else matches on what it returns. An operator that is not known here comes
out as `Unknown`, so that nobody reasons about it by accident.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from datafusion import DataFrame, Expr, LogicalPlan
from datafusion.expr import SortExpr

from kalla_core.errors import InvalidSql
from kalla_core.matching.plans.session import new_session


class JoinKind(StrEnum):
    """What a join keeps; the value is DataFusion's name of it."""

    INNER = "Inner"
    LEFT = "Left"
    RIGHT = "Right"
    FULL = "Full"
    LEFT_SEMI = "LeftSemi"
    LEFT_ANTI = "LeftAnti"
    LEFT_MARK = "LeftMark"
    RIGHT_SEMI = "RightSemi"
    RIGHT_ANTI = "RightAnti"
    RIGHT_MARK = "RightMark"

    @property
    def one_sided(self) -> bool:
        """Whether only rows of one input come out: semi, anti and mark joins."""
        return self.value.endswith(("Semi", "Anti", "Mark"))

    @property
    def keeps_left_input(self) -> bool:
        """Whether rows of the left input come out that found no partner."""
        return self in _KEEPS_LEFT

    @property
    def keeps_right_input(self) -> bool:
        """Whether rows of the right input come out that found no partner."""
        return self in _KEEPS_RIGHT


_KEEPS_LEFT = {JoinKind.LEFT, JoinKind.FULL, JoinKind.LEFT_ANTI, JoinKind.LEFT_MARK}
_KEEPS_RIGHT = {JoinKind.RIGHT, JoinKind.FULL, JoinKind.RIGHT_ANTI, JoinKind.RIGHT_MARK}


DISTINCT_ON = "DISTINCT ON"
"""The name of an operator that is `Unknown`: the bindings hide its columns and its order."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Base of all operators.

    Attributes:
        plan: the plan whose topmost operator this is.
        fields: names of the output columns by position, `qualifier.name` or `name`.
        inputs: the plans it reads.
    """

    plan: LogicalPlan
    fields: tuple[str, ...]
    inputs: tuple[LogicalPlan, ...]

    @property
    def input(self) -> LogicalPlan:
        """The plan read by an operator that reads only one."""
        (only,) = self.inputs
        return only


@dataclass(frozen=True, slots=True)
class Scan(Operator):
    """A table, read for the columns it is needed for.

    Attributes:
        columns: their names without the table's.
        filters: conditions that the table itself applies.
        fetch: how many rows are wanted; None for all.
    """

    table: str
    columns: tuple[str, ...]
    filters: tuple[Expr, ...]
    fetch: int | None


@dataclass(frozen=True, slots=True)
class Aliased(Operator):
    """A sub-query or table under another name."""

    alias: str


@dataclass(frozen=True, slots=True)
class Projected(Operator):
    """SELECT list."""

    exprs: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Filtered(Operator):
    """WHERE, HAVING, QUALIFY."""

    predicate: Expr


@dataclass(frozen=True, slots=True)
class Joined(Operator):
    """A join of two inputs; `on` are pairs (of the left input, of the right input).

    Attributes:
        nulls_equal: the pairs hold for null and null too (INTERSECT, IS NOT DISTINCT FROM).
        null_aware: an anti join that keeps nothing if the right input has a null (NOT IN).
    """

    kind: JoinKind
    on: tuple[tuple[Expr, Expr], ...]
    filter: Expr | None
    nulls_equal: bool
    null_aware: bool

    @property
    def left(self) -> LogicalPlan:
        """The first input."""
        return self.inputs[0]

    @property
    def right(self) -> LogicalPlan:
        """The second input."""
        return self.inputs[1]


@dataclass(frozen=True, slots=True)
class Aggregated(Operator):
    """GROUP BY; no `groups` means one row over everything."""

    groups: tuple[Expr, ...]
    aggregates: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Deduplicated(Operator):
    """SELECT DISTINCT (not DISTINCT ON)."""


@dataclass(frozen=True, slots=True)
class Windowed(Operator):
    """Window functions; their results come after the columns of the input."""

    functions: tuple[WindowFunction, ...]


@dataclass(frozen=True, slots=True)
class WindowFunction:
    """One window function, taken apart.

    Attributes:
        frame: DataFusion's own frame object.
    """

    expr: Expr
    name: str
    args: tuple[Expr, ...]
    partition_by: tuple[Expr, ...]
    order_by: tuple[SortExpr, ...]
    frame: Any


@dataclass(frozen=True, slots=True)
class Sorted(Operator):
    """ORDER BY, with LIMIT folded in where `fetch` is given."""

    keys: tuple[SortExpr, ...]
    fetch: int | None


@dataclass(frozen=True, slots=True)
class Limited(Operator):
    """LIMIT and OFFSET; `fetch` None means no limit."""

    skip: int
    fetch: int | None


@dataclass(frozen=True, slots=True)
class United(Operator):
    """UNION ALL."""


@dataclass(frozen=True, slots=True)
class Constant(Operator):
    """Rows that no table gives: VALUES, SELECT without FROM, or nothing at all (`rows` 0)."""

    rows: int


@dataclass(frozen=True, slots=True)
class Unknown(Operator):
    """An operator that is not known here; `name` is DataFusion's."""

    name: str


def read(plan: LogicalPlan) -> Operator:
    """Return the topmost operator of `plan`."""
    variant = plan.to_variant()
    name = type(variant).__name__
    reader = _READERS.get(name)
    inputs = tuple(plan.inputs())
    fields = fields_of(plan)
    if reader is None:
        return Unknown(plan, fields, inputs, name)
    return reader(variant, (plan, fields, inputs))


def fields_of(plan: LogicalPlan) -> tuple[str, ...]:
    """Return the names of the output columns, `qualifier.name` or `name`, by position."""
    variant = plan.to_variant()
    if hasattr(variant, "schema"):
        return tuple(variant.schema().field_names())
    inputs = plan.inputs()
    return fields_of(inputs[0]) if inputs else ()


def as_expr(raw: Any) -> Expr:
    """Return `raw`, which the bindings wrap or do not wrap, as an Expr."""
    return raw if isinstance(raw, Expr) else Expr(raw)


def as_sort(raw: Any) -> SortExpr:
    """Return a raw sort key as a SortExpr."""
    return as_expr(raw.expr()).sort(ascending=raw.ascending(), nulls_first=raw.nulls_first())


_Base = tuple[LogicalPlan, tuple[str, ...], tuple[LogicalPlan, ...]]


def _scan(variant: Any, base: _Base) -> Operator:
    prefix = ".".join(part for part in variant.fqn() if part) + "."
    columns = tuple(name.removeprefix(prefix) for name in base[1])
    filters = tuple(as_expr(raw) for raw in variant.filters())
    return Scan(*base, variant.fqn()[2], columns, filters, variant.fetch())


def _aliased(variant: Any, base: _Base) -> Operator:
    return Aliased(*base, variant.alias())


def _projected(variant: Any, base: _Base) -> Operator:
    return Projected(*base, tuple(as_expr(raw) for raw in variant.projections()))


def _filtered(variant: Any, base: _Base) -> Operator:
    return Filtered(*base, as_expr(variant.predicate()))


def _joined(variant: Any, base: _Base) -> Operator:
    residual = variant.filter()
    return Joined(
        *base,
        kind=JoinKind(repr(variant.join_type()).rsplit(".", 1)[-1]),
        on=tuple((as_expr(left), as_expr(right)) for left, right in variant.on()),
        filter=None if residual is None else as_expr(residual),
        nulls_equal=bool(variant.null_equals_null()),
        # The bindings have no accessor for it; the plan's own text ends with the word.
        null_aware=base[0].display().rstrip().endswith("null_aware"),
    )


def _aggregated(variant: Any, base: _Base) -> Operator:
    groups = tuple(as_expr(raw) for raw in variant.group_by_exprs())
    return Aggregated(*base, groups, tuple(as_expr(raw) for raw in variant.aggregate_exprs()))


def _distinct(variant: Any, base: _Base) -> Operator:
    # DISTINCT ON shows neither its columns nor its order through the bindings.
    plain = "Distinct ALL" in repr(variant)
    return Deduplicated(*base) if plain else Unknown(*base, DISTINCT_ON)


def _windowed(variant: Any, base: _Base) -> Operator:
    functions = tuple(_window_function(variant, raw) for raw in variant.get_window_expr())
    return Windowed(*base, functions)


def _window_function(variant: Any, raw: Any) -> WindowFunction:
    expr = as_expr(raw)
    bare = unaliased(expr).expr
    return WindowFunction(
        expr=expr,
        name=variant.window_func_name(bare),
        args=tuple(as_expr(arg) for arg in variant.get_args(bare)),
        partition_by=tuple(as_expr(key) for key in variant.get_partition_exprs(bare)),
        order_by=tuple(as_sort(key) for key in variant.get_sort_exprs(bare)),
        frame=variant.get_frame(bare),
    )


def unaliased(expr: Expr) -> Expr:
    """Return what `expr` names, without its alias."""
    while expr.variant_name() == "Alias":
        expr = as_expr(expr.to_variant().expr())
    return expr


def _sorted(variant: Any, base: _Base) -> Operator:
    keys = tuple(as_sort(raw) for raw in variant.sort_exprs())
    return Sorted(*base, keys, variant.get_fetch_val())


def _limited(variant: Any, base: _Base) -> Operator:
    return Limited(*base, skip=_count(variant.skip()) or 0, fetch=_count(variant.fetch()))


def _count(raw: Any) -> int | None:
    """Return the number that LIMIT or OFFSET says, by a literal or by a constant expression."""
    if raw is None or isinstance(raw, int):
        return raw
    expr = as_expr(raw)
    try:
        value = _one_row().select(expr).to_pydict().popitem()[1][0]
    except Exception as error:  # a sub-query, a column: DataFusion says so each in its own way
        raise InvalidSql(
            f"LIMIT and OFFSET take a constant number, as in LIMIT 10, not {expr.canonical_name()}."
        ) from error
    return None if value is None else int(value)


def _one_row() -> DataFrame:
    return new_session().sql("SELECT 1")


def _united(_variant: Any, base: _Base) -> Operator:
    return United(*base)


def _empty(variant: Any, base: _Base) -> Operator:
    return Constant(*base, 1 if variant.produce_one_row() else 0)


def _values(variant: Any, base: _Base) -> Operator:
    return Constant(*base, len(variant.values()))


_READERS = {
    "TableScan": _scan,
    "SubqueryAlias": _aliased,
    "Projection": _projected,
    "Filter": _filtered,
    "Join": _joined,
    "Aggregate": _aggregated,
    "Distinct": _distinct,
    "WindowExpr": _windowed,
    "Sort": _sorted,
    "Limit": _limited,
    "Union": _united,
    "EmptyRelation": _empty,
    "Values": _values,
}
