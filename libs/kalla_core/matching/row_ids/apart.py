"""Whether the rows of a plan are told apart by some of its columns.

They are where those columns have the primary key of every table that the rows come from, or
determine it: by an equality of a join or a filter (`a.pk = b.fk`), by groups, by `row_number()`.
Where an ORDER BY tells all rows apart, or all that is made of them, no tie is left to chance.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from datafusion import Expr, LogicalPlan

from kalla_core.matching.plans import logical as lp
from kalla_core.matching.plans.expressions import (
    OpaqueExpression,
    columns,
    conjuncts,
    operands,
    position,
)
from kalla_core.matching.plans.logical import JoinKind

Places = frozenset[int]

_DIRECTION = re.compile(r" (?:ASC|DESC) NULLS (?:FIRST|LAST)$")


@dataclass(frozen=True, slots=True)
class Known:
    """What some columns of a plan determine.

    Attributes:
        columns: positions of the columns whose values they determine, themselves among them.
        row: they determine the row, so that no two rows have the same values in them.
    """

    columns: Places
    row: bool


@dataclass(frozen=True, slots=True)
class Apart:
    """Tells it of plans over certain tables.

    Attributes:
        keys: the primary key of each table that has one, by the table's name.
    """

    keys: Mapping[str, tuple[str, ...]]

    def known(self, plan: LogicalPlan, given: Iterable[int]) -> Known:
        """Return what the columns at some positions determine."""
        node = lp.read(plan)
        found = self._known(node, frozenset(given))
        return Known(frozenset(range(len(node.fields))), True) if found.row else found

    def known_by(self, plan: LogicalPlan, exprs: Iterable[Expr]) -> Known:
        """Return what those of the expressions determine that are columns of `plan`."""
        return self.known(plan, _places(exprs, lp.fields_of(plan)))

    def _known(self, node: lp.Operator, given: Places) -> Known:
        match node:
            case lp.Scan():
                key = self.keys.get(node.table, ())
                row = bool(key) and {node.columns[place] for place in given} >= set(key)
                return Known(given, row)
            case lp.Constant():
                return Known(given, node.rows <= 1)
            case lp.Limited(fetch=1) | lp.Sorted(fetch=1):
                return Known(given, True)
            case lp.Aliased() | lp.Sorted() | lp.Limited():
                return self.known(node.input, given)
            case lp.Filtered():
                return self._filtered(node, given)
            case lp.Projected():
                below = _places((node.exprs[place] for place in given), lp.fields_of(node.input))
                return projected(node, self.known(node.input, below), given)
            case lp.Joined():
                return self._joined(node, given)
            case lp.Aggregated():
                return self._grouped(node, given)
            case lp.Deduplicated():
                below = self.known(node.input, given).columns
                return Known(below, len(below) == len(node.fields))
            case lp.Windowed():
                return self._windowed(node, given)
            case _:
                return Known(given, False)

    def _filtered(self, node: lp.Filtered, given: Places) -> Known:
        fixed, pairs = _equalities(conjuncts(node.predicate), node.fields)
        known = self.known(node.input, given | fixed)
        while more := _passed_on(pairs, known.columns):
            known = self.known(node.input, known.columns | more)
        return known

    def _joined(self, node: lp.Joined, given: Places) -> Known:
        width = len(lp.fields_of(node.left))
        if node.kind.one_sided:
            kept = node.right if node.kind.value.startswith("Right") else node.left
            inside = frozenset(place for place in given if place < len(lp.fields_of(kept)))
            found = self.known(kept, inside)
            return Known(found.columns | given, found.row)
        pairs = list(_join_pairs(node, width))
        while True:
            left = self.known(node.left, (place for place in given if place < width))
            right = self.known(node.right, (p - width for p in given if p >= width))
            known = left.columns | {place + width for place in right.columns}
            more = _passed_on(pairs, known)
            if not more:
                return Known(known, left.row and right.row)
            given = known | more

    def _grouped(self, node: lp.Aggregated, given: Places) -> Known:
        if any(group.variant_name() == "GroupingSet" for group in node.groups):
            return Known(given, False)
        fields, count = lp.fields_of(node.input), len(node.groups)
        below = self.known(
            node.input, _places((node.groups[p] for p in given if p < count), fields)
        )
        known = given | {p for p in range(count) if _determined(node.groups[p], fields, below)}
        return Known(known, known >= set(range(count)))

    def _windowed(self, node: lp.Windowed, given: Places) -> Known:
        fields = lp.fields_of(node.input)
        below = self.known(node.input, (place for place in given if place < len(fields)))
        numbered = any(
            len(fields) + index in given
            and function.name == "row_number"
            and all(_determined(one, fields, below) for one in function.partition_by)
            for index, function in enumerate(node.functions)
        )
        return Known(below.columns | given, below.row or numbered)


def projected(node: lp.Projected, below: Known, given: Places = frozenset()) -> Known:
    """Return what is known of a SELECT list, given what is known of its input."""
    fields = lp.fields_of(node.input)
    places = {p for p, expr in enumerate(node.exprs) if _determined(expr, fields, below)}
    return Known(given | places, below.row)


def listed(text: str, fields: tuple[str, ...]) -> Places:
    """Return the columns in a list of sort keys or of expressions, as plans write it.

    Args:
        text: as `l.a ASC NULLS LAST, l.b + 1 DESC NULLS FIRST`; what is no column is left out.
    """
    names = (_DIRECTION.sub("", part) for part in _parts(text))
    hits = ([place for place, field in enumerate(fields) if field == name] for name in names)
    return frozenset(found[0] for found in hits if len(found) == 1)


def determined(exprs: Iterable[Expr], fields: tuple[str, ...], known: Known) -> bool:
    """Whether expressions read nothing but columns that are known."""
    return all(_determined(expr, fields, known) for expr in exprs)


def _determined(expr: Expr, fields: tuple[str, ...], known: Known) -> bool:
    try:
        read = [position(column, fields) for column in columns(expr)]
    except OpaqueExpression:
        return False
    return all(place in known.columns for place in read)


def _parts(text: str) -> Iterator[str]:
    """Split a list at the commas that stand in no bracket."""
    depth, start = 0, 0
    for at, sign in enumerate(text):
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and depth == 0:
            yield text[start:at].strip()
            start = at + 1
    yield text[start:].strip()


def _places(exprs: Iterable[Expr], fields: tuple[str, ...]) -> Places:
    return frozenset(p for expr in exprs if (p := _place(expr, fields)) is not None)


def _place(expr: Expr, fields: tuple[str, ...]) -> int | None:
    bare = lp.unaliased(expr)
    return position(bare.to_variant(), fields) if bare.variant_name() == "Column" else None


def _join_pairs(node: lp.Joined, width: int) -> Iterator[tuple[int, int]]:
    """Yield which columns determine which others, by position in the output of the join.

    What an outer join adds for rows without a partner has no value that an equality would tell.
    """
    residual = () if node.filter is None else conjuncts(node.filter)
    _, equal = _equalities(residual, node.fields)
    on = ((_place(left, node.fields), _place(right, node.fields)) for left, right in node.on)
    both = [*equal, *((a, b) for x, y in on if x is not None and y is not None for a, b in
                      ((x, y), (y, x)))]  # fmt: skip
    for one, other in both:
        from_left = one < width <= other
        from_right = other < width <= one
        if (
            node.kind is JoinKind.INNER
            or (node.kind is JoinKind.LEFT and from_left)
            or (node.kind is JoinKind.RIGHT and from_right)
        ):
            yield one, other


def _equalities(
    conditions: Iterable[Expr], fields: tuple[str, ...]
) -> tuple[Places, list[tuple[int, int]]]:
    """Return the columns that equal a constant, and both ways the pairs that equal each other."""
    fixed, pairs = set[int](), list[tuple[int, int]]()
    for condition in conditions:
        sides = _equal(condition)
        places = [_place(side, fields) for side in sides]
        match places:
            case [int(a), int(b)]:
                pairs += [(a, b), (b, a)]
            case [int(a), None] if sides[1].variant_name() == "Literal":
                fixed.add(a)
            case [None, int(b)] if sides[0].variant_name() == "Literal":
                fixed.add(b)
    return frozenset(fixed), pairs


def _equal(condition: Expr) -> tuple[Expr, ...]:
    if condition.variant_name() != "BinaryExpr" or condition.rex_call_operator() != "=":
        return ()
    return operands(condition)


def _passed_on(pairs: Iterable[tuple[int, int]], known: Places) -> Places:
    return frozenset(other for one, other in pairs if one in known and other not in known)
