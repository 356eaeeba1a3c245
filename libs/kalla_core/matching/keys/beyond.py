"""What match SQL does beyond comparing two rows, in words.

Windows, sums, LIMIT and second passes look at other rows too, so they may leave out a pair of
which every condition holds. DISTINCT and UNION do not: the row that is left stands for all pairs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from datafusion import Expr

from kalla_core.matching.plans import logical as lp
from kalla_core.matching.plans.logical import JoinKind
from kalla_core.matching.plans.requirements import Requirement
from kalla_core.matching.plans.trace import Traced
from kalla_core.matching.plans.wording import worded
from kalla_core.matching.row_ids.origins import HIDDEN
from kalla_core.matching.sql.written import NOTHING, Written

_WINDOW = re.compile(
    r" (?P<of>(?:PARTITION BY \[[^\]]*\])? ?(?:ORDER BY \[[^\]]*\])?) ?"
    r"(?:ROWS|RANGE|GROUPS) BETWEEN "
    r"[^()]+? (?:PRECEDING|ROW|FOLLOWING) AND (?:[^()]+? (?:PRECEDING|FOLLOWING)|CURRENT ROW)"
)
_NULLS = re.compile(r" ASC NULLS (?:FIRST|LAST)|(?<= DESC) NULLS (?:FIRST|LAST)")
_HIDDEN_COLUMN = re.compile(rf"(?:, )?(?:\w+\.)*{HIDDEN}\w+")
_LIST = re.compile(r"\b(PARTITION BY|ORDER BY) \[(?:, )?([^\]]*)\]")
_NO_LIST = re.compile(r" ?\b(?:PARTITION BY|ORDER BY) \[\]")
_FIRST_OF_EACH = re.compile(r"first_value\([^()]+ AS [^()]+\)")
"""What DISTINCT ON is once it is optimised; nobody can write AS in an argument."""
_EXCLUDING = {JoinKind.LEFT_ANTI, JoinKind.RIGHT_ANTI}


def beyond_pairs(
    traced: Traced, untold: Iterable[Requirement], written: Written
) -> tuple[str, ...]:
    """Return what a plan does that cannot be told from one row of each side, in words.

    Args:
        traced: the plan.
        untold: the conditions that all result rows fulfil and that no pair alone can tell.
        written: what the author wrote.
    """
    conditions = dict.fromkeys(_plain(one.expr, written) for one in untold)
    nodes = [below.node for below in traced.walk()]
    steps = [word for node in nodes for word in _steps(node)]
    if not conditions:
        steps = [word for node in nodes for word in _values(node, written)] + steps
    return (*conditions, *dict.fromkeys(steps))


def chooses(traced: Traced) -> bool:
    """Whether a plan may leave out a pair because of other rows of the sides, not of an extra's."""
    return any(
        word
        for below in traced.walk()
        for word in (*_values(below.node, NOTHING), *_steps(below.node))
    )


def _values(node: lp.Operator, written: Written) -> Iterator[str]:
    """Yield what is computed of several rows."""
    if isinstance(node, lp.Windowed):
        yield from (_plain(function.expr, written) for function in node.functions)
    if isinstance(node, lp.Aggregated):
        names = [expr.canonical_name() for expr in node.aggregates]
        if names and all(map(_FIRST_OF_EACH.match, names)):
            yield lp.DISTINCT_ON
        else:
            yield from (_plain(e, written) for e in _visible(node))


def _steps(node: lp.Operator) -> Iterator[str]:
    match node:
        case lp.Limited() | lp.Sorted(fetch=int()) | lp.Scan(fetch=int()):
            yield "LIMIT"
        case lp.Joined() if node.kind.one_sided:
            if node.kind in _EXCLUDING:
                yield "NOT EXISTS, NOT IN or EXCEPT"
            else:
                yield "EXISTS, IN or INTERSECT"
        case _:
            return


def _visible(node: lp.Aggregated) -> list[Expr]:
    return [expr for expr in node.aggregates if HIDDEN not in expr.canonical_name()]


def _plain(expr: Expr, written: Written) -> str:
    """Return a condition or a window as in SQL, without what goes without saying."""
    text = _HIDDEN_COLUMN.sub("", _NULLS.sub("", worded(expr, written)))
    text = _WINDOW.sub(lambda found: f" OVER ({_NO_LIST.sub('', found['of'])})", text)
    return _LIST.sub(r"\1 \2", text)
