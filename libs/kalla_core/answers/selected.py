"""Which column of a source a match SQL selects as which column of its output, from its text.

Only plain queries tell: one SELECT over the tables of both sides, without WITH or UNION. Planning
the query would tell more, and take longer than all else that is asked of evidence.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from kalla_core.errors import InvalidSql
from kalla_core.matching.sql.lexer import Token, tokenize
from kalla_core.matching.sql.query import Side

_AFTER_LIST = ("from", "into", "union", "except", "intersect", "with")
_JOINED = ("from", "join")
_NO_ALIAS = ("on", "using", "join", "inner", "left", "right", "full", "cross", "where", "group",
             "order", "having", "limit", "natural", "semi", "anti", "qualify", "window", "outer",
             "offset", "fetch")  # fmt: skip

Selected = Mapping[str, tuple[Side, str]]
"""A column's name in the output to its side and its name there."""


def selected(
    queries: Sequence[str],
    tables: Mapping[str, Side],
    columns: Mapping[Side, Collection[str]],
) -> Selected:
    """Return the columns that all of some queries select alike; none where one cannot be read.

    Args:
        tables: the names that the tables of both sides have.
        columns: those of each side.
    """
    found: dict[str, tuple[Side, str]] = {}
    refused: set[str] = set()
    for sql in queries:
        items = _items_of(sql, tables, columns)
        if items is None:
            return {}
        for name, column in items:
            if column is None or found.setdefault(name, column) != column:
                refused.add(name)
    return {name: column for name, column in found.items() if name not in refused}


_Item = tuple[str, tuple[Side, str] | None]


def _items_of(
    sql: str, tables: Mapping[str, Side], columns: Mapping[Side, Collection[str]]
) -> list[_Item] | None:
    """Return what a query selects, each by its name; None if that is not for the text to tell."""
    try:
        tokens = _outside_brackets(tokenize(sql))
    except InvalidSql:
        return None
    if not tokens or not tokens[0].word("select"):
        return None
    ends = [at for at, token in enumerate(tokens) if token.word(*_AFTER_LIST)]
    if len(ends) != 1 or not tokens[ends[0]].word("from"):
        return None
    sides = dict(called(tokens[ends[0] :], tables))
    listed = tokens[1 : ends[0]]
    if listed and listed[0].word("distinct"):
        listed = listed[1:]
    items = [_item(some, sides, columns) for some in _apart(listed)]
    return None if any(one is None for one in items) else [one for one in items if one is not None]


def _outside_brackets(tokens: Sequence[Token]) -> list[Token]:
    """Return the tokens at the top, of brackets the first one only."""
    depth, found = 0, list[Token]()
    for token in tokens:
        if token.symbol(")"):
            depth -= 1
        elif depth == 0 and not token.symbol(";"):
            found.append(token)
        if token.symbol("("):
            depth += 1
    return found


def called(tokens: Sequence[Token], tables: Mapping[str, Side]) -> Iterator[tuple[str, Side]]:
    """Yield what the tables of both sides are called in a query."""
    for at, token in enumerate(tokens):
        table = tokens[at + 1] if at + 1 < len(tokens) else None
        if not (token.word(*_JOINED) or token.symbol(",")) or table is None:
            continue
        side = tables.get(table.value) if table.is_name else None
        if side is None:
            continue
        rest = [one for one in tokens[at + 2 : at + 4] if not one.word("as")]
        named = bool(rest) and rest[0].is_name and not rest[0].word(*_NO_ALIAS)
        yield rest[0].value if named else table.value, side


def _apart(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    start = 0
    for at, token in enumerate(tokens):
        if token.symbol(","):
            yield tokens[start:at]
            start = at + 1
    yield tokens[start:]


def _item(
    tokens: Sequence[Token], sides: Mapping[str, Side], columns: Mapping[Side, Collection[str]]
) -> _Item | None:
    """Return the name of an item of the list and its column, if it is one; None if it has none."""
    value, name = list(tokens), None
    if len(value) > 1 and value[-2].word("as") and value[-1].is_name:
        value, name = value[:-2], value[-1].value
    if len(value) == 3 and value[1].symbol(".") and value[0].is_name and value[2].is_name:
        side = sides.get(value[0].value)
        known = side is not None and value[2].value in columns[side]
        column = (side, value[2].value) if side is not None and known else None
        return name or value[2].value, column
    if len(value) == 1 and value[0].is_name:
        own = [side for side in sides.values() if value[0].value in columns[side]]
        return name or value[0].value, (own[0], value[0].value) if len(own) == 1 else None
    return None if name is None and (not value or value[-1].symbol("*")) else (name or "", None)
