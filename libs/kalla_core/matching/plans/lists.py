"""Searches for lists in lists: null where either is null, true or false everywhere else.

DataFusion finds a null list in every other, if no list beside it in the batch has a value. Which
rows stand beside a row depends on how they come to be joined, so the answer of a search counts
only where both lists are there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kalla_core.matching.plans.calls import is_qualified
from kalla_core.matching.sql.lexer import Token
from kalla_core.matching.sql.sites import CallSite, call_sites
from kalla_core.matching.sql.text import Splice

_SEARCHES = frozenset(
    {"array_has_all", "list_has_all", "array_has_any", "list_has_any", "arrays_overlap"}
)


def search_splices(sql: str, tokens: Sequence[Token]) -> Iterator[Splice]:
    """Yield what is to be put around each search for a list in a list."""
    for site in call_sites(tokens):
        if site.name.value not in _SEARCHES or len(site.arguments) != 2:
            continue
        if not is_qualified(tokens, site):
            yield from _guarded(sql, tokens, site)


def _guarded(sql: str, tokens: Sequence[Token], site: CallSite) -> Iterator[Splice]:
    there = [f"({_text(sql, tokens, span)}) IS NOT NULL" for span in site.arguments]
    close = tokens[site.close]
    # In this form the optimiser leaves it alone, and a detail tells of one condition, not of three.
    guard = f"CASE {' AND '.join(there)} WHEN true THEN {site.name.value}"
    yield Splice(site.name.start, site.name.end, guard)
    yield Splice(close.start, close.end, ") END")


def _text(sql: str, tokens: Sequence[Token], span: tuple[int, int]) -> str:
    first, last = span
    return sql[tokens[first].start : tokens[last - 1].end] if last > first else "NULL"


_GUARD = re.compile(
    r"CASE (?:(?!CASE ).)*? WHEN true THEN "
    rf"((?:{'|'.join(sorted(_SEARCHES))})\((?:(?!CASE ).)*?\)) END"
)


def unguarded(text: str) -> str:
    """Return an expression as people read it, without what `search_splices` put in."""
    return _GUARD.sub(r"\1", text)
