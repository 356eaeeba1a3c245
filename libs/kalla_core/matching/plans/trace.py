"""A plan with symbols: what each column of each operator is, in terms of the scans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa
from datafusion import Expr, LogicalPlan

from kalla_core.matching.plans import logical as lp
from kalla_core.matching.plans.expressions import obstacle
from kalla_core.matching.plans.lineage import Branches, Column, Reader, Symbol
from kalla_core.matching.plans.logical import JoinKind
from kalla_core.matching.sql.query import Side


@dataclass(frozen=True, slots=True)
class Equality:
    """An equality that a join asks for.

    Attributes:
        left, right: the two sides as symbols.
        type: the type both were brought to.
        left_expr, right_expr: the same as expressions over the inputs of the join.
        left_plan, right_plan: these inputs.
    """

    left: Symbol
    right: Symbol
    type: pa.DataType
    left_expr: Expr
    right_expr: Expr
    left_plan: LogicalPlan
    right_plan: LogicalPlan

    @property
    def ends(self) -> tuple[tuple[LogicalPlan, Expr], ...]:
        """Both sides as expressions over plans."""
        return ((self.left_plan, self.left_expr), (self.right_plan, self.right_expr))


@dataclass(frozen=True, slots=True)
class Traced:
    """An operator and what its columns are.

    Attributes:
        symbols: one per output column.
        scan: number of a scan; two scans of one table have two.
        on: the equalities of a join.
        classes: for an aggregate its GROUP BY, for windows each PARTITION BY: the symbols that
            rows must share to be looked at together.
        obstacle: why the operator cannot be cut at all, as a sentence.
    """

    node: lp.Operator
    symbols: tuple[Symbol, ...]
    inputs: tuple[Traced, ...]
    scan: int = 0
    on: tuple[Equality, ...] = ()
    classes: tuple[tuple[Symbol, ...], ...] = ()
    obstacle: str | None = None

    def walk(self) -> Iterator[Traced]:
        """Yield this and everything below."""
        yield self
        for below in self.inputs:
            yield from below.walk()


@dataclass(frozen=True, slots=True)
class Tracer:
    """Traces optimised plans.

    Attributes:
        sides: table name to side; both sides' tables are named after the side in symbols.
    """

    reader: Reader
    sides: Mapping[str, Side]

    def trace(self, plan: LogicalPlan) -> Traced:
        """Return `plan` with symbols."""
        node = lp.read(plan)
        inputs = tuple(self.trace(source) for source in node.inputs)
        match node:
            case lp.Scan():
                return self._scan(node)
            case lp.Projected():
                symbols = self._symbols(node.exprs, inputs[0])
                return Traced(node, symbols, inputs, obstacle=self._obstacle(*node.exprs))
            case lp.Filtered():
                found = self._obstacle(node.predicate)
                return Traced(node, inputs[0].symbols, inputs, obstacle=found)
            case lp.Aliased() | lp.Sorted() | lp.Limited() | lp.Deduplicated():
                return Traced(node, inputs[0].symbols, inputs)
            case lp.Joined():
                return self._joined(node, inputs)
            case lp.Aggregated():
                return self._aggregated(node, inputs)
            case lp.Windowed():
                return self._windowed(node, inputs)
            case lp.United():
                return self._united(node, inputs)
            case lp.Constant():
                return Traced(node, self._unseen(len(node.fields)), inputs)
            case _:
                name = node.name if isinstance(node, lp.Unknown) else type(node).__name__
                found = f"{name} is not known to keep rows of one key together."
                return Traced(node, self._unseen(len(node.fields)), inputs, obstacle=found)

    def _obstacle(self, *exprs: Expr) -> str | None:
        return next((found for e in exprs if (found := obstacle(e, frozenset(self.sides)))), None)

    def _unseen(self, columns: int) -> tuple[Symbol, ...]:
        return tuple(self.reader.unseen() for _ in range(columns))

    def _symbols(self, exprs: tuple[Expr, ...], below: Traced) -> tuple[Symbol, ...]:
        return tuple(self.reader.symbol(e, below.node.plan, below.symbols) for e in exprs)

    def _scan(self, node: lp.Scan) -> Traced:
        number = self.reader.next_number()
        side = self.sides.get(node.table)
        table = node.table if side is None else side.value
        symbols = tuple(Column(table, number, name) for name in node.columns)
        found = self._obstacle(*node.filters)
        if node.fetch is not None and side is not None:
            found = "LIMIT takes rows of the whole."
        return Traced(node, symbols, (), scan=number, obstacle=found)

    def _joined(self, node: lp.Joined, inputs: tuple[Traced, ...]) -> Traced:
        left, right = inputs
        on = tuple(self._equality(a, b, left, right) for a, b in node.on)
        exprs = [expr for pair in node.on for expr in pair]
        if node.filter is not None:
            exprs.append(node.filter)
        return Traced(
            node,
            self._of_join(node, left, right),
            inputs,
            on=on,
            obstacle=self._obstacle(*exprs),
        )

    def _equality(self, a: Expr, b: Expr, left: Traced, right: Traced) -> Equality:
        (left_symbol,) = self._symbols((a,), left)
        (right_symbol,) = self._symbols((b,), right)
        agreed = self.reader.type_of(a, left.node.plan)
        return Equality(
            left_symbol, right_symbol, agreed, a, b, left.node.plan, right.node.plan
        )  # fmt: skip

    def _of_join(self, node: lp.Joined, left: Traced, right: Traced) -> tuple[Symbol, ...]:
        if node.kind.one_sided:
            kept = left if node.kind.value.startswith("Left") else right
            return kept.symbols + self._unseen(len(node.fields) - len(kept.symbols))
        # Where an outer join found no partner its columns are null: no longer the same symbol.
        nulled_left = node.kind in (JoinKind.RIGHT, JoinKind.FULL)
        nulled_right = node.kind in (JoinKind.LEFT, JoinKind.FULL)
        return (
            self._unseen(len(left.symbols)) if nulled_left else left.symbols
        ) + (self._unseen(len(right.symbols)) if nulled_right else right.symbols)  # fmt: skip

    def _aggregated(self, node: lp.Aggregated, inputs: tuple[Traced, ...]) -> Traced:
        groups = self._symbols(node.groups, inputs[0])
        found = self._obstacle(*node.groups, *node.aggregates)
        if len(groups) + len(node.aggregates) != len(node.fields):
            found = "GROUPING SETS, CUBE and ROLLUP look at rows of several keys together."
        symbols = groups + self._unseen(len(node.fields) - len(groups))
        return Traced(node, symbols, inputs, classes=(groups,), obstacle=found)

    def _windowed(self, node: lp.Windowed, inputs: tuple[Traced, ...]) -> Traced:
        below = inputs[0]
        symbols = below.symbols + self._unseen(len(node.fields) - len(below.symbols))
        classes = tuple(self._symbols(w.partition_by, below) for w in node.functions)
        found = self._obstacle(*(w.expr for w in node.functions))
        return Traced(node, symbols, inputs, classes=classes, obstacle=found)

    def _united(self, node: lp.United, inputs: tuple[Traced, ...]) -> Traced:
        number = self.reader.next_number()
        columns = zip(*(branch.symbols for branch in inputs), strict=True)
        symbols = tuple(Branches(number, i, tuple(parts)) for i, parts in enumerate(columns))
        return Traced(node, symbols, inputs)
