"""Values of a plan for given pairs of source rows, without joining, filtering or grouping.

The two source tables have a pair number each (ROW); what the plan computes from a left and a
right row is computed here for the rows of equal number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from datafusion import DataFrame, Expr, LogicalPlan, SessionContext, col

from kalla_core.matching.plans import logical as lp
from kalla_core.matching.plans.expressions import columns, position, quoted
from kalla_core.matching.plans.routes import NoRoute, Route, positions, routes, source
from kalla_core.matching.sql.query import ROW, Side

_NUMBER = {Side.LEFT: "__kalla_pl", Side.RIGHT: "__kalla_pr"}


@dataclass(frozen=True, slots=True)
class Paired:
    """Rows computed from one source row or from a pair of them.

    Attributes:
        frame: has (at least) the columns asked for, and the pair numbers of the sides it reads.
        read: the source columns it is computed from.
    """

    frame: DataFrame
    read: Mapping[Side, tuple[str, ...]]

    @property
    def number(self) -> Expr:
        """The number of the pair."""
        return col(_NUMBER[next(iter(self.read))])

    @property
    def numbers(self) -> list[str]:
        """The hidden columns."""
        return [_NUMBER[side] for side in self.read]


@dataclass(frozen=True, slots=True)
class Pairwise:
    """Computes values of plans for the pairs in a session.

    Attributes:
        session: has left_src or right_src or both, with ROW.
        sides: table name to side, as in the plans.
    """

    session: SessionContext
    sides: Mapping[str, Side]
    _sources: dict[Side, DataFrame] = field(init=False, default_factory=dict)

    def values(self, exprs: Sequence[Expr], plans: Sequence[LogicalPlan]) -> Paired:
        """Return rows that have all columns `exprs` read from `plans`, one plan or two joined.

        Raises:
            NoRoute: a column is not a function of one left and one right row.
        """
        if len(plans) == 1:
            return self._of(plans[0], positions(plans[0], exprs))
        wanted = [_own(exprs, plan, other) for plan, other in (plans, reversed(list(plans)))]
        parts = [self._of(p, w) for p, w in zip(plans, wanted, strict=True) if w]
        if not parts:
            raise NoRoute("It reads no column.")
        return parts[0] if len(parts) == 1 else _beside(*parts)

    def _of(self, plan: LogicalPlan, wanted: Sequence[int]) -> Paired:
        if not wanted:
            raise NoRoute("It reads no column.")
        try:
            found = routes(plan, wanted, self.sides)
        except NoRoute:
            return self._straddling(plan, wanted)
        if len(found) > 1:
            raise NoRoute("It comes from several branches of a UNION.")
        return self._followed(found[0])

    def _followed(self, route: Route) -> Paired:
        start, number = self._source(route.side), _NUMBER[route.side]
        return Paired(route.follow(start, [number]), {route.side: route.columns})

    def _source(self, side: Side) -> DataFrame:
        """Return the rows of a side with their numbers."""
        if side not in self._sources:
            table = source(self.session, side)
            names = [name for name in table.schema().names if name != ROW]
            self._sources[side] = table.select(
                *(col(f"{side.value}.{quoted(name)}") for name in names),
                col(f"{side.value}.{quoted(ROW)}").alias(_NUMBER[side]),
            )
        return self._sources[side]

    def _straddling(self, plan: LogicalPlan, wanted: Sequence[int]) -> Paired:
        """Return columns of a plan that are computed from both sides."""
        node = lp.read(plan)
        match node:
            case lp.Joined() if not node.kind.one_sided:
                width = len(lp.fields_of(node.left))
                left = [i for i in wanted if i < width]
                right = [i - width for i in wanted if i >= width]
                if not left or not right:
                    return self._of(node.left, left) if left else self._of(node.right, right)
                return _beside(self._of(node.left, left), self._of(node.right, right))
            case lp.Projected():
                return self._selected(node.input, [node.exprs[i] for i in wanted])
            case lp.Aggregated() if all(i < len(node.groups) for i in wanted):
                return self._selected(node.input, [node.groups[i] for i in wanted])
            case lp.Aliased():
                below = self._of(node.input, wanted)
                return replace(below, frame=below.frame.alias(quoted(node.alias)))
            case lp.Filtered() | lp.Sorted() | lp.Limited() | lp.Deduplicated():
                return self._of(node.input, wanted)
            case _:
                raise NoRoute("It cannot be told from one row of each side.")

    def _selected(self, plan: LogicalPlan, exprs: Sequence[Expr]) -> Paired:
        below = self._of(plan, positions(plan, exprs))
        hidden = (col(name).alias(name) for name in below.numbers)
        return replace(below, frame=below.frame.select(*exprs, *hidden))


def _own(exprs: Sequence[Expr], plan: LogicalPlan, other: LogicalPlan) -> list[int]:
    """Return the positions in `plan` of the columns that `exprs` read from it.

    Raises:
        NoRoute: a column is in neither of the plans.
    """
    fields, others = lp.fields_of(plan), lp.fields_of(other)
    found: list[int] = []
    for expr in exprs:
        for column in columns(expr):
            index = position(column, fields)
            if index is None and position(column, others) is None:
                raise NoRoute(f"{column.qualified_name()} cannot be told from other columns.")
            if index is not None and index not in found:
                found.append(index)
    return found


def _beside(left: Paired, right: Paired) -> Paired:
    if set(left.read) & set(right.read):
        raise NoRoute("It compares two rows of one side.")
    frame = left.frame.join_on(right.frame, left.number == right.number, how="inner")
    return Paired(frame, {**left.read, **right.read})
