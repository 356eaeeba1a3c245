"""Expressions as people read them."""

from __future__ import annotations

from itertools import zip_longest

from datafusion import Expr

from kalla_core.matching.plans.lineage import HOLE, Call, Column, Constant, Symbol
from kalla_core.matching.plans.lists import unguarded
from kalla_core.matching.sql.conversions import unwritten
from kalla_core.matching.sql.literal_text import as_sql
from kalla_core.matching.sql.written import Written


def worded(expr: Expr, written: Written) -> str:
    """Return `expr` with literals, function names and casts as in SQL."""
    return written.only(unguarded(unwritten(as_sql(expr.canonical_name()))))


def spoken(symbol: Symbol, written: Written) -> str:
    """Return a value of a source over the columns of the source, as in SQL."""
    return unwritten(_spoken(symbol, written))


def _spoken(symbol: Symbol, written: Written) -> str:
    match symbol:
        case Column():
            return symbol.name
        case Constant():
            return as_sql(symbol.text)
        case Call(kind="Cast"):
            return written.shown(_spoken(symbol.parts[0], written), symbol.text)
        case Call():
            pieces = as_sql(symbol.text).split(HOLE)
            parts = (_spoken(part, written) for part in symbol.parts)
            return "".join(a + b for a, b in zip_longest(pieces, parts, fillvalue=""))
        case _:
            return "..."
