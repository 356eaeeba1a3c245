"""Where in a statement stands what DataFusion complains of without saying where."""

from __future__ import annotations

from collections.abc import Sequence

from kalla_core.errors import InvalidSql
from kalla_core.matching.sql.lexer import Token, tokenize


def place_of(tokens: Sequence[Token], text: str) -> int | None:
    """Return the offset of `text`, a name or an expression, in a statement; None if not found.

    Compared token by token, in any letter case. What is not found as a whole is looked for by its
    first qualified name, then by its last name.
    """
    whole = next((token for token in tokens if token.value == text), None)
    if whole is not None:
        return whole.start
    for wanted in _attempts(text):
        at = _find(tokens, wanted)
        if at is not None:
            return tokens[at].start
    return None


def _attempts(text: str) -> list[list[str]]:
    try:
        parts = tokenize(text)
    except InvalidSql:
        return []
    names = [part.value for part in parts if part.is_name]
    whole = [part.value for part in parts]
    qualified = [
        [*names[at : at + 1], ".", *names[at + 1 : at + 2]] for at in range(len(names) - 1)
    ]
    return [whole, *qualified, *([name] for name in reversed(names))]


def _find(tokens: Sequence[Token], wanted: Sequence[str]) -> int | None:
    folded = [value.casefold() for value in wanted]
    for at in range(len(tokens) - len(folded) + 1):
        if [token.value.casefold() for token in tokens[at : at + len(folded)]] == folded:
            return at if folded else None
    return None
