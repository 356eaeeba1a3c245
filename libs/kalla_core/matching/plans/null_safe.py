"""`same(a, b)`: equality for which null is the same as null.

It is no function that runs: it is written as `a IS NOT DISTINCT FROM b`, so that it is planned, and
counts as a key, like any other equality.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeGuard

from datafusion import LogicalPlan

from kalla_core.errors import InvalidSql
from kalla_core.matching.plans.calls import SAME, check_arity, is_qualified
from kalla_core.matching.plans.logical import Joined, Operator, read
from kalla_core.matching.sql.lexer import Token
from kalla_core.matching.sql.sites import call_sites
from kalla_core.matching.sql.text import Splice


def same_splices(sql: str, tokens: Sequence[Token]) -> Iterator[Splice]:
    """Yield what is to be put in for each `same(a, b)`.

    Raises:
        InvalidSql: it has not just two arguments.
    """
    for site in call_sites(tokens):
        if site.name.value != SAME or is_qualified(tokens, site):
            continue
        check_arity(sql, site, 2)
        comma, end = tokens[site.arguments[0][1]], tokens[site.close]
        yield Splice(site.name.start, tokens[site.open].end, "((")
        yield Splice(comma.start, comma.end, ") IS NOT DISTINCT FROM (")
        yield Splice(end.start, end.end, "))")


def first_splices(tokens: Sequence[Token]) -> Iterator[Splice]:
    """Yield `coalesce` for each `nvl` and `ifnull`, which DataFusion runs over few types only.

    Of dates and times they would make text.
    """
    for site in call_sites(tokens):
        if site.name.word("nvl", "ifnull") and not is_qualified(tokens, site):
            yield Splice(site.name.start, site.name.end, "coalesce")


def check_null_safe(written: LogicalPlan, optimised: LogicalPlan) -> None:
    """Return unless DataFusion's optimiser made a null-safe key of a plain equality.

    Nulls count as equal for all keys of a join or for none. Of `a = b` in ON beside a null-safe
    comparison DataFusion takes heed; an `a = b` in WHERE it adds to the null-safe keys, so that
    null would equal null there.

    Args:
        written: the plan with nothing pushed from WHERE into joins.
        optimised: the plan that would run.

    Raises:
        InvalidSql: it did so.
    """
    keys = sum(len(node.on) for node in _operators(optimised) if _is_null_safe(node))
    said = written.display_indent().count(_NULL_SAFE)
    if keys > max(said, sum(len(n.on) for n in _operators(written) if _is_null_safe(n))):
        raise InvalidSql(
            "An equality of both sides stands in WHERE, and their join is null-safe (IS NOT"
            " DISTINCT FROM, same); together they would take null for equal to null in both."
            " Write the equality into the ON of the join."
        )


_NULL_SAFE = "IS NOT DISTINCT FROM"


def _is_null_safe(node: Operator) -> TypeGuard[Joined]:
    # Semi and anti joins come from INTERSECT, EXCEPT and sub-queries, whose conditions are read at
    # once.
    return isinstance(node, Joined) and node.nulls_equal and not node.kind.one_sided


def _operators(plan: LogicalPlan) -> Iterator[Operator]:
    node = read(plan)
    yield node
    for each in node.inputs:
        yield from _operators(each)
