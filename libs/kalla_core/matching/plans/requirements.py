"""What a pair must fulfil to come out of match SQL: the conjuncts of its joins and filters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from datafusion import Expr, LogicalPlan

from kalla_core.matching.plans import logical as lp
from kalla_core.matching.plans.expressions import conjuncts
from kalla_core.matching.plans.trace import Equality, Traced


@dataclass(frozen=True, slots=True)
class Requirement:
    """A condition over the output of one plan, or of the two inputs of a join.

    Attributes:
        plans: requirements of one operator share this very tuple.
        equality: set if it is an equality that a join is made on; `expr` is then `a = b`.
    """

    expr: Expr
    plans: tuple[LogicalPlan, ...]
    equality: Equality | None = None


def requirements(traced: Traced) -> Iterator[Requirement]:
    """Yield what every row of a plan had to fulfil, topmost first.

    What stands below a UNION holds only for some rows, and what is inside EXISTS, IN and their
    kin is about other rows; neither is yielded.
    """
    node = traced.node
    match node:
        case lp.Filtered():
            for expr in conjuncts(node.predicate):
                yield Requirement(expr, node.inputs)
            yield from requirements(traced.inputs[0])
        case lp.Joined():
            yield from _of_join(traced, node)
        case lp.United() | lp.Unknown():
            return
        case _:
            for below in traced.inputs:
                yield from requirements(below)


def _of_join(traced: Traced, node: lp.Joined) -> Iterator[Requirement]:
    left, right = traced.inputs
    if node.kind.one_sided:
        yield from requirements(left if node.kind.value.startswith("Left") else right)
        return
    for equality in traced.on:
        same = equality.left_expr == equality.right_expr
        yield Requirement(same, node.inputs, equality)
    for expr in () if node.filter is None else conjuncts(node.filter):
        yield Requirement(expr, node.inputs)
    yield from requirements(left)
    yield from requirements(right)
