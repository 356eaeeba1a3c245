"""Which columns of a table match SQL can possibly read, told from its text.

A superset, and cheap: a column that is read is named in the text, unless a wildcard, a NATURAL
join or a query that begins with FROM stands for it. Where columns are renamed by position (`AS
a(x, y)`) the narrow table does not plan, which whoever narrows has to expect.
"""

from __future__ import annotations

from collections.abc import Sequence

from kalla_core.matching.sql.lexer import Kind, Token, tokenize
from kalla_core.matching.sql.query import TableShape

_AFTER_A_WILDCARD = ("from", "exclude", "except", "replace", "rename", "ilike", "union", "into")
_BEFORE_A_QUERY = ("union", "all", "except", "intersect", "name")
_BEFORE_A_WILDCARD = ("select", "distinct", "all")


def mentioned_columns(sql: str, table: TableShape) -> frozenset[str]:
    """Return the columns of `table` that `sql` may read, and those of its primary key."""
    tokens = tokenize(sql)
    if _reads_all(tokens) or any(_is_wildcard(tokens, at) for at in range(len(tokens))):
        return frozenset(table.schema.names)
    named = {token.value for token in tokens if token.is_name}
    return frozenset(named.intersection(table.schema.names)) | frozenset(table.primary_key)


def _reads_all(tokens: Sequence[Token]) -> bool:
    """Tell NATURAL, `TABLE t` and a query without SELECT, which gives all columns."""
    return any(
        token.word("natural", "table") or (token.word("from") and _begins_query(tokens, at))
        for at, token in enumerate(tokens)
    )


def _begins_query(tokens: Sequence[Token], at: int) -> bool:
    return at == 0 or tokens[at - 1].symbol("(") or tokens[at - 1].word(*_BEFORE_A_QUERY)


def _is_wildcard(tokens: Sequence[Token], at: int) -> bool:
    """Tell `*` for all columns from multiplication and from `count(*)`."""
    if not tokens[at].symbol("*"):
        return False
    before = tokens[at - 1] if at else None
    after = tokens[at + 1] if at + 1 < len(tokens) else None
    if before is None or after is None:
        return True
    if before.symbol("(") and after.symbol(")"):
        return False
    factor_before = (
        before.kind is Kind.NUMBER
        or before.symbol(")")
        or (before.is_name and not before.word(*_BEFORE_A_WILDCARD))
    )
    factor_after = (
        after.kind in (Kind.NUMBER, Kind.STRING)
        or after.symbol("(", "-", "+")
        or (after.is_name and not after.word(*_AFTER_A_WILDCARD))
    )
    return not (factor_before and factor_after)
