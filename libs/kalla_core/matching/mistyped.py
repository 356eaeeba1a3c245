"""Two values in match SQL that do not go together: which, and where they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from kalla_core.errors import KallaError, TypesNotComparable
from kalla_core.matching.arrow_types import UnknownType, kind_of, parse_type, spoken
from kalla_core.matching.lexer import Token
from kalla_core.matching.said import Said
from kalla_core.matching.text import where


def no_common_type(said: Said, match: re.Match[str]) -> KallaError:
    """Tell which two columns were meant to meet, or which types."""
    types = match["left"].strip(), match["right"].strip()
    if compared := _compared(said, *types):
        what, place = compared
        return TypesNotComparable(**where(said.sql, place, what, "; CAST one of them."))
    left, right = map(spoken, types)
    what = f"A value of type {left} and one of type {right} do not go together"
    return TypesNotComparable(**where(said.sql, None, what, "; CAST one of them."))


_OPERATORS = ("not", "like", "ilike", "is", "distinct", "from")


def _compared(said: Said, left: str, right: str) -> tuple[str, int] | None:
    """Return which columns of two types stand beside one operator, and where, if any do."""
    try:
        wanted = kind_of(parse_type(left)), kind_of(parse_type(right))
    except UnknownType:
        return None
    columns = list(_qualified(said.tokens))
    for (start, one), (other_start, other) in pairwise(columns):
        between = said.tokens[start + 3 : other_start]
        beside = all(token.word(*_OPERATORS) for token in between if token.is_name)
        names = [".".join(token.value for token in column[::2]) for column in (one, other)]
        if wanted[0] == wanted[1] and any(token.symbol("=", "<", ">") for token in between):
            continue  # values of one kind can be compared: another operator is meant
        if beside and all(map(said.may_be, (one[2].value, other[2].value), wanted)):
            what = f"{names[0]} is {wanted[0]} and {names[1]} is {wanted[1]}"
            return f"{what}, which do not go together", one[0].start
    return None


def _qualified(tokens: Sequence[Token]) -> Iterator[tuple[int, Sequence[Token]]]:
    """Yield each `TABLE.COLUMN`, and which token it begins with."""
    for at, three in enumerate(zip(tokens, tokens[1:], tokens[2:], strict=False)):
        if three[0].is_name and three[1].value == "." and three[2].is_name:
            yield at, three
