"""The queries that the WITH of a statement names, found in its text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kalla_core.matching.sql.lexer import Token
from kalla_core.matching.sql.sites import closing


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """One query of a WITH: `name (columns) AS (query)`.

    Attributes:
        name: its token.
        start: offset of the first character of the query, behind its bracket.
        end: offset of the bracket that closes it.
    """

    name: Token
    start: int
    end: int


def named_queries(tokens: Sequence[Token]) -> tuple[NamedQuery, ...]:
    """Return the queries of the WITH that a statement begins with, as they follow each other.

    None if it begins otherwise, names one that reads itself, or is not understood. The WITH of a
    sub-query is not looked for.
    """
    if len(tokens) < 2 or not tokens[0].word("with") or tokens[1].word("recursive"):
        return ()
    found: list[NamedQuery] = []
    at = 1
    while at < len(tokens) and tokens[at].is_name:
        name = tokens[at]
        at += 1
        if at < len(tokens) and tokens[at].symbol("("):
            at = closing(tokens, at) + 1
        if at >= len(tokens) or not tokens[at].word("as"):
            return ()
        at += 1
        while at < len(tokens) and tokens[at].word("not", "materialized"):
            at += 1
        last = closing(tokens, at) if at < len(tokens) and tokens[at].symbol("(") else len(tokens)
        if last == len(tokens):
            return ()
        found.append(NamedQuery(name, tokens[at].end, tokens[last].start))
        at = last + 1
        if at >= len(tokens) or not tokens[at].symbol(","):
            return tuple(found)
        at += 1
    return ()
