"""Whether a plan, run as it stands, picks among rows that compare equal as they happen to come."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from datafusion import Expr, LogicalPlan, SessionContext
from datafusion.unparser import Dialect, Unparser

from kalla_core.matching.plans import logical as lp
from kalla_core.matching.plans.expressions import visible_parts
from kalla_core.matching.plans.logical import JoinKind
from kalla_core.matching.row_ids.apart import Apart, Known, determined, listed, projected
from kalla_core.matching.row_ids.ordering import chooses_by_value, minds_ties, own_order

_ON = re.compile(r"^DistinctOn: on_expr=\[\[(.*)\]\], select_expr=\[\[", re.DOTALL)
_SORT = re.compile(r"\]\], sort_expr=\[\[(.*)\]\]$", re.DOTALL)
_ALONE = ("SELECT (", ") FROM (SELECT 1)")
_FROM_SUB_QUERY = {JoinKind.LEFT_SEMI, JoinKind.LEFT_ANTI, JoinKind.LEFT_MARK}


class Chance:
    """Tells it of plans over certain tables.

    Args:
        session: has the tables.
        keys: the primary key of each table that has one, by the table's name.
    """

    def __init__(self, session: SessionContext, keys: Mapping[str, tuple[str, ...]]) -> None:
        self._session = session
        self._apart = Apart(keys)

    def in_plan(self, plan: LogicalPlan) -> bool:
        """Whether an operator of a plan picks by chance; what cannot be seen into does."""
        return any(map(self._in_operator, _operators(plan)))

    def in_distinct_on(self, plan: LogicalPlan) -> bool:
        """Whether a DISTINCT ON of a plan does so."""
        nodes = (node for node in _operators(plan) if isinstance(node, lp.Unknown))
        return any(node.name == lp.DISTINCT_ON and not self._kept(node) for node in nodes)

    def in_limit(self, plan: LogicalPlan) -> bool:
        """Whether a LIMIT of a plan does so, because its ORDER BY ties or there is none."""
        limits = (
            node
            for node in _operators(plan)
            if isinstance(node, lp.Limited) or (isinstance(node, lp.Sorted) and node.fetch)
        )
        return any(map(self._in_operator, limits))

    def in_sub_queries(self, plan: LogicalPlan, exprs: Sequence[Expr]) -> bool:
        """Whether a sub-query does so inside expressions of the topmost operator of a plan."""
        parts = [part for expr in exprs for part in visible_parts(expr)]
        scalars = [part for part in parts if part.variant_name() == "ScalarSubquery"]
        try:
            plans = [self._alone(part) for part in scalars]
            if any(part.variant_name() == "InSubquery" for part in parts):
                plans += self._made_joins(plan)
        except Exception as error:
            if type(error) not in (Exception, ValueError):  # what DataFusion raises, and its parser
                raise
            return True
        return any(map(self.in_plan, plans))

    def in_window(self, node: lp.Windowed, function: lp.WindowFunction) -> bool:
        """Whether the result of a window function depends on which of equal rows comes first."""
        if not minds_ties(function):
            return False
        order = [key.expr() for key in function.order_by]
        known = self._apart.known_by(node.input, [*function.partition_by, *order])
        if known.row:
            return False
        fields = lp.fields_of(node.input)
        return not (chooses_by_value(function) and determined(function.args, fields, known))

    def in_aggregate(self, node: lp.Aggregated, aggregate: Expr) -> bool:
        """Whether the own ORDER BY of an aggregate leaves rows equal whose values differ."""
        order = own_order(aggregate)
        if order is None:
            return False
        fields = lp.fields_of(node.input)
        groups = self._apart.known_by(node.input, node.groups).columns
        known = self._apart.known(node.input, groups | listed(order, fields))
        args = [lp.as_expr(raw) for raw in lp.unaliased(aggregate).to_variant().args()]
        return not (known.row or determined(args, fields, known))

    def _in_operator(self, node: lp.Operator) -> bool:
        match node:
            case lp.Limited(fetch=0) | lp.Limited(skip=0, fetch=None):
                return False
            case lp.Limited():
                return not self._ordered(node.input)
            case lp.Sorted(fetch=int()):
                return not self._ordered(node.plan)
            case lp.Scan(fetch=int()):
                return True
            case lp.Windowed():
                return any(self.in_window(node, function) for function in node.functions)
            case lp.Aggregated():
                return any(self.in_aggregate(node, one) for one in node.aggregates)
            case lp.Unknown(name=lp.DISTINCT_ON):
                return not self._kept(node)
            case lp.Filtered():
                return self._in_expressions(node, (node.predicate,))
            case lp.Projected():
                return self._in_expressions(node, node.exprs)
            case lp.Joined(filter=Expr() as condition):
                return self._in_expressions(node, (condition,))
            case _:
                return isinstance(node, lp.Unknown)

    def _in_expressions(self, node: lp.Operator, exprs: Sequence[Expr]) -> bool:
        if not any("Subquery" in part.variant_name() for e in exprs for part in visible_parts(e)):
            return False
        return self.in_sub_queries(node.plan, exprs)

    def _ordered(self, plan: LogicalPlan) -> bool:
        """Whether an ORDER BY on top of a plan leaves no two rows equal that differ in anything."""
        known = self._order(plan)
        return known is not None and (known.row or len(known.columns) == len(lp.fields_of(plan)))

    def _order(self, plan: LogicalPlan) -> Known | None:
        """Return what the sort keys of a plan determine; None if it is not sorted."""
        node = lp.read(plan)
        match node:
            case lp.Sorted():
                return self._apart.known_by(node.input, [key.expr() for key in node.keys])
            case lp.Aliased() | lp.Filtered():
                return self._order(node.input)
            case lp.Projected():
                below = self._order(node.input)
                return None if below is None else projected(node, below)
            case _:
                return None

    def _kept(self, node: lp.Unknown) -> bool:
        """Whether the order of a DISTINCT ON tells which row of each group it keeps."""
        text, fields = node.plan.display(), lp.fields_of(node.input)
        on, sort = _ON.search(text), _SORT.search(text)
        if on is None or sort is None:
            return False
        return self._apart.known(node.input, listed(on[1], fields) | listed(sort[1], fields)).row

    def _alone(self, scalar: Expr) -> LogicalPlan:
        """Return the plan of a scalar sub-query, which the bindings show only as SQL."""
        before, after = _ALONE
        plan = self._session.sql("SELECT 1").select(scalar).logical_plan()
        text = Unparser(Dialect.default()).plan_to_sql(plan)
        if not (text.startswith(before) and text.endswith(after)):
            raise ValueError("not the form that was asked for")
        return self._session.sql(text[len(before) : -len(after)]).logical_plan()

    def _made_joins(self, plan: LogicalPlan) -> list[LogicalPlan]:
        """Return the sub-queries of IN, of which the optimiser makes joins that can be seen."""
        frame = self._session.create_dataframe_from_logical_plan(plan)
        nodes = _operators(frame.optimized_logical_plan())
        joins = [n for n in nodes if isinstance(n, lp.Joined) and n.kind in _FROM_SUB_QUERY]
        if not joins:
            raise ValueError("no join was made of it")
        return [node.right for node in joins]


def _operators(plan: LogicalPlan) -> Iterator[lp.Operator]:
    node = lp.read(plan)
    yield node
    for source in node.inputs:
        yield from _operators(source)
