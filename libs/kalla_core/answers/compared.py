"""Which columns of both sides a match SQL compares with each other, from its text."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from kalla_core.answers.selected import called
from kalla_core.errors import InvalidSql
from kalla_core.matching.sql.lexer import Token, tokenize
from kalla_core.matching.sql.query import Side

_BEGINS = ("on", "where", "having", "qualify", "and", "or", "when")
_ENDS = ("select", "from", "join", "inner", "left", "right", "full", "cross", "group", "order",
         "limit", "union", "except", "intersect", "then", "else", "end", "window")  # fmt: skip


def compared(
    queries: Sequence[str],
    tables: Mapping[str, Side],
    columns: Mapping[Side, Collection[str]],
) -> tuple[tuple[str, str], ...]:
    """Return the columns that conditions compare, left and right, in the order of the text.

    A condition tells if it reads one column of each side. What is compared by way of a `WITH`, or
    in text that cannot be read, is left out.

    Args:
        tables: the names that the tables of both sides have.
        columns: those of each side.
    """
    found: dict[tuple[str, str], None] = {}
    for sql in queries:
        try:
            tokens = tokenize(sql)
        except InvalidSql:
            continue
        sides = dict(called(tokens, tables))
        for condition in _conditions(tokens):
            read = {side: dict[str, None]() for side in Side}
            for side, name in _read(condition, sides, columns):
                read[side][name] = None
            if all(len(names) == 1 for names in read.values()):
                found[next(iter(read[Side.LEFT])), next(iter(read[Side.RIGHT]))] = None
    return tuple(found)


def _conditions(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """Yield the pieces of conditions between AND and OR."""
    piece: list[Token] | None = None
    for at, token in enumerate(tokens):
        # `left(text, 2)` is a call, and `a.on` a column.
        is_part = _symbol(tokens, at - 1, ".") or _symbol(tokens, at + 1, "(", ".")
        begins = token.word(*_BEGINS) and not _symbol(tokens, at - 1, ".")
        if begins or (token.word(*_ENDS) and not is_part):
            if piece:
                yield piece
            piece = [] if begins else None
        elif piece is not None:
            piece.append(token)
    if piece:
        yield piece


def _read(
    tokens: Sequence[Token], sides: Mapping[str, Side], columns: Mapping[Side, Collection[str]]
) -> Iterator[tuple[Side, str]]:
    """Yield the columns that a condition reads."""
    for at, token in enumerate(tokens):
        if not token.is_name or _symbol(tokens, at + 1, "(", "."):
            continue
        if _symbol(tokens, at - 1, "."):
            side = sides.get(tokens[at - 2].value) if at > 1 else None
            owners = [] if side is None else [side]
        else:
            owners = [side for side in Side if token.value in columns[side]]
        if len(owners) == 1 and token.value in columns[owners[0]]:
            yield owners[0], token.value


def _symbol(tokens: Sequence[Token], at: int, *symbols: str) -> bool:
    return 0 <= at < len(tokens) and any(tokens[at].symbol(one) for one in symbols)
