"""The invariant of a pass, proved on every run: no row in more matches than it may be."""

from __future__ import annotations

from kalla_core.engine.passes.deciding import Decision
from kalla_core.engine.passes.found import Found
from kalla_core.engine.rows import distinct
from kalla_core.errors import AccountingFailed
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.passes import OneSide, Pass, SqlPass


def prove_cardinality(rule: Pass, found: Found, decision: Decision) -> None:
    """Count the accepted pairs of each row anew, whatever decided on them.

    Raises:
        AccountingFailed: a row has more partners than its pass allows.
    """
    for side in Side:
        if not _one(rule, side):
            continue
        places = found.places(side)[decision.accepted]
        if len(distinct(places)) != len(places):
            raise AccountingFailed(
                f"The result cannot be trusted: the pass `{rule.name}` matched a row of the "
                f"{side.word} more often than it may.",
                sides=[side.word],
            )


def _one(rule: Pass, side: Side) -> bool:
    if isinstance(rule, SqlPass):
        cardinality = rule.cardinality
        return cardinality.one_left if side is Side.LEFT else cardinality.one_right
    return (rule.one is OneSide.RIGHT) is (side is Side.LEFT)
