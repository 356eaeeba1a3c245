"""The same answer every time: what decides between rows that an ORDER BY leaves equal.

`row_number`, `lag`, LIMIT and their kin pick among rows that compare equal as they come, and they
come in another order with other threads or parts. So such orders get the primary keys and then
the row ids as last sort keys. `rank`, `dense_rank` and frames by RANGE treat equal
rows alike and stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import pyarrow as pa
from datafusion import DataFrame, Expr, LogicalPlan, SessionContext, col
from datafusion.common import NullTreatment
from datafusion.expr import SortExpr, Window, WindowFrame

from kalla_core.matching.plans import logical as lp
from kalla_core.matching.plans.expressions import column_refs, visible_parts
from kalla_core.matching.row_ids.origins import HIDDEN

_BY_POSITION = {"row_number", "ntile", "lag", "lead"}
_BY_VALUE = {"first_value", "last_value", "nth_value"}
_PICKS_ROWS = re.compile(r"\b(Limit|Window|DistinctOn)\(")
_TREATMENTS = (None, NullTreatment.IGNORE_NULLS, NullTreatment.RESPECT_NULLS)
_OWN_ORDER = re.compile(r"\) ORDER BY \[")
_WITH_SUB_QUERY = {"ScalarSubquery", "InSubquery"}
_PEERS_ALIKE = {"rank", "dense_rank", "percent_rank", "cume_dist"}


@dataclass(frozen=True, slots=True)
class Ties:
    """What tells any two rows of a frame apart, as names of hidden columns.

    Attributes:
        keys: copies of primary keys, or of the columns that rows were grouped by.
        rows: row numbers, which decide where keys repeat.
        all_columns: these alone do not suffice; every visible column takes part.
    """

    keys: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    all_columns: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """All hidden columns, in the order in which they decide."""
        return self.keys + self.rows

    def renamed(self, names: Mapping[str, str]) -> Ties:
        """Return the same under other column names."""
        keys, rows = (tuple(names[name] for name in some) for some in (self.keys, self.rows))
        return Ties(keys, rows, self.all_columns)

    def beside(self, other: Ties) -> Ties:
        """Return what tells rows of a join apart."""
        every = self.all_columns or other.all_columns
        return Ties(self.keys + other.keys, self.rows + other.rows, every)


@dataclass(frozen=True, slots=True)
class Restated:
    """A window function under its old name; a warning if no more sort keys could be given to it."""

    expr: Expr
    warning: str | None = None


def broken_ties(frame: DataFrame, ties: Ties) -> list[SortExpr]:
    """Return sort keys that leave no two rows of `frame` equal, told apart by `ties`."""
    chosen = [col(name) for name in ties.keys]
    if ties.all_columns:
        chosen += [
            ref
            for ref, column in zip(column_refs(frame), frame.schema(), strict=True)
            if not column.name.startswith(HIDDEN) and not pa.types.is_nested(column.type)
        ]
    chosen += [col(name) for name in ties.rows]
    return [expr.sort(ascending=True, nulls_first=False) for expr in chosen]


def chance_in_sub_queries(exprs: Sequence[Expr]) -> str | None:
    """Return a warning if sub-queries inside `exprs`, which stay as they are, pick some rows."""
    parts = [part for expr in exprs for part in visible_parts(expr)]
    plans = [p.to_variant().subquery() for p in parts if p.variant_name() in _WITH_SUB_QUERY]
    if not any(_PICKS_ROWS.search(repr(plan)) for plan in plans):
        return None
    return (
        "A sub-query in an expression picks rows by LIMIT or by a window function: "
        "which of equal rows it picks is chance, unless its ORDER BY tells them apart."
    )


def own_order(aggregate: Expr) -> str | None:
    """Return the sort keys of an aggregate's own ORDER BY, as text; None if it has none.

    That order cannot be refined: the bindings show it nowhere else.
    """
    text = lp.unaliased(aggregate).canonical_name()
    found = _OWN_ORDER.search(text)
    if found is None:
        return None
    ends = [at for at in range(found.end(), len(text)) if text[at] == "]"]
    return next(
        (
            text[found.end() : end]
            for end in ends
            if text.count("[", found.end(), end) == text.count("]", found.end(), end)
        ),
        "",
    )


def chance_in_aggregates(aggregates: Sequence[Expr]) -> tuple[str, ...]:
    """Return a warning for each of these aggregates, whose own ORDER BY may leave rows equal."""
    texts = [lp.unaliased(aggregate).canonical_name() for aggregate in aggregates]
    return tuple(f"{t}: the order of rows that its ORDER BY leaves equal is chance." for t in texts)


def has_stable_order(plan: LogicalPlan) -> bool:
    """Whether the rows of `plan`, read by a LIMIT, come in an order that somebody asked for."""
    node = lp.read(plan)
    if isinstance(node, lp.Projected | lp.Aliased | lp.Filtered):
        return has_stable_order(node.input)
    return isinstance(node, lp.Sorted)


def restated(
    session: SessionContext, function: lp.WindowFunction, keys: Sequence[SortExpr]
) -> Restated:
    """Return `function` with `keys` as its last sort keys, where equal rows would matter."""
    if not minds_ties(function):
        return Restated(function.expr)
    rebuilt = _rebuilt(session, function, keys) if _may_be_refined(function) else None
    if rebuilt is None:
        text = function.expr.canonical_name()
        return Restated(function.expr, f"{text}: which of two equal rows comes first is chance.")
    return Restated(rebuilt.alias(function.expr.schema_name()))


def chooses_by_value(function: lp.WindowFunction) -> bool:
    """Whether a window function returns the value that one of the rows has."""
    return function.name in _BY_VALUE


def minds_ties(function: lp.WindowFunction) -> bool:
    """Whether the result of a window function may depend on which of equal rows comes first."""
    if function.name in _PEERS_ALIKE:
        return False
    if function.name in _BY_POSITION | _BY_VALUE:
        return True
    frame = function.frame
    return frame.get_frame_units() == "ROWS" and not _covers_all(frame)


def _may_be_refined(function: lp.WindowFunction) -> bool:
    """Whether more sort keys leave the frame of each row what it was, ties apart."""
    frame = function.frame
    if function.name in _BY_POSITION or frame.get_frame_units() == "ROWS" or _covers_all(frame):
        return True
    lower = frame.get_lower_bound()
    return function.name == "first_value" and bool(lower.is_unbounded())


def _covers_all(frame: Any) -> bool:
    bounds = (frame.get_lower_bound(), frame.get_upper_bound())
    return all(bound.is_unbounded() for bound in bounds)


def _rebuilt(
    session: SessionContext, function: lp.WindowFunction, keys: Sequence[SortExpr]
) -> Expr | None:
    """Return the function with more sort keys, or None if it cannot be stated anew exactly.

    The bindings hide NULLS treatment, FILTER and DISTINCT. So it is first stated anew as it was,
    and only a statement that is the same to the byte is trusted.
    """
    original = lp.unaliased(function.expr)
    for call, treatment in product(_calls(session, function), _TREATMENTS):
        same = _stated(call, function, function.order_by, treatment)
        if same.to_bytes(session) == original.to_bytes(session):
            return _stated(call, function, (*function.order_by, *keys), treatment)
    return None


def _stated(
    call: Expr,
    function: lp.WindowFunction,
    order_by: Sequence[SortExpr],
    treatment: NullTreatment | None,
) -> Expr:
    frame = WindowFrame.__new__(WindowFrame)
    frame.window_frame = function.frame
    window = Window(
        partition_by=list(function.partition_by),
        window_frame=frame,
        order_by=list(order_by),
        null_treatment=treatment,
    )
    return call.over(window)


def _calls(session: SessionContext, function: lp.WindowFunction) -> tuple[Expr, ...]:
    """Return what the function may be: of windows, or an aggregate, with or without DISTINCT."""
    if function.name in _BY_POSITION | _BY_VALUE:
        return (session.udwf(function.name)(*function.args),)
    aggregate = session.udaf(function.name)(*function.args)
    return (aggregate, aggregate.distinct().build())
