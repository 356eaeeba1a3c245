"""From a column somewhere in a plan down to the source rows it is computed from.

A route is the part of a plan between one scan of a side and an operator above, with everything
left out that does not change values: filters, joins, orders, groups. Following it over a source
table gives, one row per source row, the values that the operator would see.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from datafusion import DataFrame, Expr, LogicalPlan, SessionContext, col

from kalla_core.matching.plans import logical as lp
from kalla_core.matching.plans.expressions import OpaqueExpression, columns, position, quoted
from kalla_core.matching.sql.query import Side


class NoRoute(Exception):
    """A value is not a function of one source row; the message says why."""


@dataclass(frozen=True, slots=True)
class Renamed:
    """The rows under another qualifier."""

    alias: str

    def __str__(self) -> str:
        return f"AS {self.alias}"


@dataclass(frozen=True, slots=True)
class Selected:
    """Expressions over the columns of the step before."""

    exprs: tuple[Expr, ...]

    def __str__(self) -> str:
        return f"SELECT {', '.join(expr.canonical_name() for expr in self.exprs)}"


@dataclass(frozen=True, slots=True)
class Route:
    """Steps from a source table to where its columns are used.

    Attributes:
        columns: the source columns that are needed.
        shielded: rows may be lost on the way, so that a value which raises an error for some row
            may never have been asked for.
    """

    side: Side
    columns: tuple[str, ...]
    steps: tuple[Renamed | Selected, ...] = ()
    shielded: bool = False

    def then(self, step: Renamed | Selected) -> Route:
        """Return the route one step longer; of two names in a row only the last matters."""
        kept = self.steps
        if isinstance(step, Renamed) and kept and isinstance(kept[-1], Renamed):
            kept = kept[:-1]
        return replace(self, steps=(*kept, step))

    @property
    def signature(self) -> str:
        """Text that two routes share only if they lead to the same rows and columns."""
        return " ".join([self.side.value, *map(str, self.steps)])

    def follow(self, frame: DataFrame, passing: Sequence[str] = ()) -> DataFrame:
        """Return the rows of the route's end, computed from `frame`, the source table.

        Args:
            frame: the source table, qualified by its side's name.
            passing: hidden columns of `frame` that are kept.
        """
        for step in self.steps:
            match step:
                case Renamed():
                    frame = frame.alias(quoted(step.alias))
                case Selected():
                    frame = frame.select(*step.exprs, *(col(name).alias(name) for name in passing))
        return frame


def routes(
    plan: LogicalPlan, wanted: Sequence[int], sides: Mapping[str, Side]
) -> tuple[Route, ...]:
    """Return the routes to the columns of `plan` at the positions `wanted`, one per UNION branch.

    Raises:
        NoRoute: the columns are not functions of one source row.
    """
    node = lp.read(plan)
    match node:
        case lp.Scan():
            return (_from_scan(node, wanted, sides),)
        case lp.Aliased():
            below = routes(node.input, wanted, sides)
            return tuple(route.then(Renamed(node.alias)) for route in below)
        case lp.Projected():
            return _selected(node.input, [node.exprs[i] for i in wanted], sides)
        case lp.Aggregated():
            if any(i >= len(node.groups) for i in wanted):
                raise NoRoute("It is the result of an aggregate.")
            return _shielded(_selected(node.input, [node.groups[i] for i in wanted], sides))
        case lp.Filtered() | lp.Sorted() | lp.Limited() | lp.Deduplicated():
            return _shielded(routes(node.input, wanted, sides))
        case lp.Windowed():
            if any(i >= len(lp.fields_of(node.input)) for i in wanted):
                raise NoRoute("It is the result of a window function.")
            return _shielded(routes(node.input, wanted, sides))
        case lp.Joined():
            return _shielded(_of_join(node, wanted, sides))
        case lp.United():
            return tuple(r for branch in node.inputs for r in routes(branch, wanted, sides))
        case _:
            raise NoRoute("It comes from an operator that cannot be seen through.")


def routes_to(
    plan: LogicalPlan, exprs: Sequence[Expr], sides: Mapping[str, Side]
) -> tuple[Route, ...]:
    """Return the routes to all columns of `plan` that `exprs` read, one per UNION branch.

    Raises:
        NoRoute: the columns are not functions of one source row.
    """
    return routes(plan, positions(plan, exprs), sides)


def positions(plan: LogicalPlan, exprs: Sequence[Expr]) -> tuple[int, ...]:
    """Return where the columns that `exprs` read stand in the output of `plan`, each once.

    Raises:
        NoRoute: a column cannot be told, or an expression hides what it reads.
    """
    fields = lp.fields_of(plan)
    found: list[int] = []
    for expr in exprs:
        try:
            read = columns(expr)
        except OpaqueExpression as error:
            raise NoRoute(f"{error} cannot be seen through.") from error
        for column in read:
            index = position(column, fields)
            if index is None:
                raise NoRoute(f"{column.qualified_name()} cannot be told from other columns.")
            if index not in found:
                found.append(index)
    return tuple(found)


def _from_scan(node: lp.Scan, wanted: Sequence[int], sides: Mapping[str, Side]) -> Route:
    side = sides.get(node.table)
    if side is None:
        raise NoRoute(f"It comes from {node.table}.")
    names = tuple(node.columns[i] for i in wanted)
    route = Route(side, names, shielded=bool(node.filters))
    return route if node.table == side.value else route.then(Renamed(node.table))


def _selected(
    plan: LogicalPlan, exprs: Sequence[Expr], sides: Mapping[str, Side]
) -> tuple[Route, ...]:
    below = routes_to(plan, exprs, sides)
    if all(expr.variant_name() == "Column" for expr in exprs):
        return below  # fewer columns, under the same names
    return tuple(route.then(Selected(tuple(exprs))) for route in below)


def _shielded(found: tuple[Route, ...]) -> tuple[Route, ...]:
    return tuple(replace(route, shielded=True) for route in found)


def _of_join(
    node: lp.Joined, wanted: Sequence[int], sides: Mapping[str, Side]
) -> tuple[Route, ...]:
    width = len(lp.fields_of(node.left))
    if node.kind.one_sided:
        kept = node.left if node.kind.value.startswith("Left") else node.right
        if any(i >= len(lp.fields_of(kept)) for i in wanted):
            raise NoRoute("It says whether a row was found.")
        return routes(kept, wanted, sides)
    if all(i < width for i in wanted):
        return routes(node.left, wanted, sides)
    if all(i >= width for i in wanted):
        return routes(node.right, [i - width for i in wanted], sides)
    raise NoRoute("It is computed from several tables.")


def source(session: SessionContext, side: Side) -> DataFrame:
    """Return the table of a side, qualified by the side's name."""
    return session.table(quoted(side.value))
