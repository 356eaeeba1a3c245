"""What a value is, whatever it is called: expressions in terms of the columns of scans.

A symbol is equal to another only if both always have the same value in the same row. Casts that
lose nothing (int32 to int64) leave a symbol as it is, so that the two sides of `CAST(l.id AS
Int64) = r.id` are recognised wherever they are used. What cannot be seen through becomes a symbol
of its own, equal to nothing else: that can only cost a chance, never the answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

import pyarrow as pa
from datafusion import Expr, LogicalPlan, SessionContext

from kalla_core.matching.plans.expressions import OpaqueExpression, operands, position
from kalla_core.matching.plans.logical import as_expr, fields_of
from kalla_core.matching.plans.lossless import loses_nothing
from kalla_core.matching.sql.written import NOTHING, Written


@dataclass(frozen=True, slots=True)
class Column:
    """A column of one scan of a table. Two scans of a table are different rows."""

    table: str
    scan: int
    name: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal."""

    text: str


HOLE = "\0"
"""Stands in the text of a call where a part of it was."""


@dataclass(frozen=True, slots=True)
class Call:
    """An operation: its kind, its text with a HOLE for each part, and the parts.

    Of a cast, the text is the type, and there is one part.
    """

    kind: str
    text: str
    parts: tuple[Symbol, ...]


@dataclass(frozen=True, slots=True)
class Branches:
    """A column of a UNION: in a row of branch i, what `parts[i]` is there."""

    union: int
    index: int
    parts: tuple[Symbol, ...]


@dataclass(frozen=True, slots=True)
class Unseen:
    """A value that is not known; equal only to itself."""

    number: int


Symbol = Column | Constant | Call | Branches | Unseen


def tables_of(symbol: Symbol) -> frozenset[str]:
    """Return the tables that a value is computed from; what cannot be seen counts as one more."""
    match symbol:
        case Column():
            return frozenset((symbol.table,))
        case Call() | Branches():
            return frozenset().union(*map(tables_of, symbol.parts))
        case Constant():
            return frozenset()
        case Unseen():
            return frozenset(("",))


@dataclass(frozen=True, slots=True)
class Reader:
    """Turns expressions into symbols.

    Attributes:
        session: any session; types are asked of it.
        written: what the author wrote, for texts.
    """

    session: SessionContext
    written: Written = NOTHING
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def unseen(self) -> Unseen:
        """Return a symbol that is equal to no other."""
        return Unseen(next(self._numbers))

    def next_number(self) -> int:
        """Return a number that no scan, union or unknown value has yet."""
        return next(self._numbers)

    def symbol(self, expr: Expr, plan: LogicalPlan, known: tuple[Symbol, ...]) -> Symbol:
        """Return what `expr` over the output of `plan` is.

        Args:
            expr: an expression over the columns of `plan`.
            plan: the input of the operator that `expr` belongs to.
            known: what the columns of `plan` are, by position.
        """
        try:
            return self._symbol(expr, plan, known)
        except OpaqueExpression:
            return self.unseen()

    def _symbol(self, expr: Expr, plan: LogicalPlan, known: tuple[Symbol, ...]) -> Symbol:
        kind = expr.variant_name()
        if kind == "Column":
            index = position(expr.to_variant(), fields_of(plan))
            return self.unseen() if index is None else known[index]
        if kind == "Literal":
            return Constant(expr.canonical_name())
        if kind == "Alias":
            return self._symbol(as_expr(expr.to_variant().expr()), plan, known)
        parts = operands(expr)
        symbols = tuple(self._symbol(part, plan, known) for part in parts)
        if kind in ("Cast", "TryCast"):
            return self._cast(expr, parts[0], symbols[0], plan)
        return Call(kind, _without_parts(expr, parts), symbols)

    def _cast(self, expr: Expr, inner: Expr, symbol: Symbol, plan: LogicalPlan) -> Symbol:
        before, after = self.type_of(inner, plan), self.type_of(expr, plan)
        # A cast that fails gives null or no answer at all; where there is one it is the same.
        return symbol if loses_nothing(before, after) else Call("Cast", str(after), (symbol,))

    def type_of(self, expr: Expr, plan: LogicalPlan) -> pa.DataType:
        """Return the type of `expr` over the output of `plan`."""
        frame = self.session.create_dataframe_from_logical_plan(plan)
        return frame.select(expr.alias("x")).schema().field(0).type


def _without_parts(expr: Expr, parts: tuple[Expr, ...]) -> str:
    """Return the text of `expr` with a hole for each part, so that names do not matter.

    Raises:
        OpaqueExpression: the text does not show the parts in order.
    """
    text, begin, pieces = expr.canonical_name(), 0, []
    for part in parts:
        name = part.canonical_name()
        found = text.find(name, begin)
        if found < 0:
            raise OpaqueExpression(expr.variant_name())
        pieces.append(text[begin:found])
        begin = found + len(name)
    return HOLE.join([*pieces, text[begin:]])
