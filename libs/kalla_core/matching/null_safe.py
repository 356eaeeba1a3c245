"""`same(a, b)`: equality for which null is the same as null.

It is no function that runs: it is written as `a IS NOT DISTINCT FROM b`, so that it is planned, and
counts as a key, like any other equality.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kalla_core.matching.calls import SAME, check_arity, is_qualified
from kalla_core.matching.lexer import Token
from kalla_core.matching.sites import call_sites
from kalla_core.matching.text import Splice


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
