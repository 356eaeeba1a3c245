"""Joins by sorting that keep to their conditions.

DataFusion 55 pushes a projection through a join by sorting without telling the join's residual
condition which columns have moved: it then reads others, of the same type or not. Only joins whose
keys are columns that the projection keeps are concerned. So their keys are computed, by a function
that gives back what it is given, and the plan is looked at before it runs.
"""

from __future__ import annotations

import re

from datafusion import Expr
from datafusion import functions as f

from kalla_core.matching.sql.lexer import Token, tokenize
from kalla_core.matching.sql.operations import Range, operations
from kalla_core.matching.sql.text import Splice, spliced

_GIVES_BACK = "greatest"
_EQUALITIES = frozenset({"=", "==", "<=>", "is not distinct from"})
_WITH_CONDITION = re.compile(
    r"SortMergeJoinExec: join_type=(?:Inner|Left|Right|Full), on=\[(?P<on>.*)\], filter="
)
_COMPUTED = re.compile(rf"\({_GIVES_BACK}\(.*\)@\d+, {_GIVES_BACK}\(.*\)@\d+\)")


def with_computed_keys(sql: str) -> str:
    """Return a statement in which equalities of two columns compare what is computed of them."""
    tokens = tokenize(sql)
    splices = [
        splice
        for one in operations(tokens, frozenset())
        if one.name in _EQUALITIES and all(_is_column(tokens, place) for place in one.operands)
        for first, last in one.operands
        for splice in (
            Splice(tokens[first].start, tokens[first].start, f"{_GIVES_BACK}("),
            Splice(tokens[last - 1].end, tokens[last - 1].end, ")"),
        )
    ]
    return spliced(sql, splices)


def computed(key: Expr) -> Expr:
    """Return what gives back `key`."""
    return f.greatest(key)


def keeps_conditions(physical: str) -> bool:
    """Whether every join by sorting that has a residual condition has a key that is computed.

    Args:
        physical: the text of the plan that would run.
    """
    return all(_COMPUTED.search(found["on"]) for found in _WITH_CONDITION.finditer(physical))


def _is_column(tokens: tuple[Token, ...], place: Range) -> bool:
    names = tokens[place[0] : place[1] : 2]
    points = tokens[place[0] + 1 : place[1] : 2]
    return (
        len(names) == len(points) + 1
        and all(token.is_name and not token.word("null", "true", "false") for token in names)
        and all(token.symbol(".") for token in points)
    )
