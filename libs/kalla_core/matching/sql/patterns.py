"""Patterns that DataFusion reads otherwise than PostgreSQL, or not at all, as it has to have them.

DataFusion takes what follows SIMILAR TO for a regular expression that may be found anywhere in the
text, and knows no ESCAPE but the backslash. Both are patterns in the text of the statement, so
they can be written as what they mean: a regular expression of the whole text, and a pattern whose
escapes are backslashes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kalla_core.errors import InvalidSql
from kalla_core.matching.sql.lexer import Kind, Token
from kalla_core.matching.sql.operators import Form, Level, Operator, operator_at
from kalla_core.matching.sql.text import Splice, where


def pattern_splices(sql: str, tokens: Sequence[Token]) -> Iterator[Splice]:
    """Yield what to write in the place of each SIMILAR TO, and of each LIKE with ESCAPE.

    Raises:
        InvalidSql: what follows SIMILAR TO is no plain text, or an escape stands before nothing.
    """
    for at in range(1, len(tokens)):
        found = _pattern_at(tokens, at)
        if found is None:
            continue
        if found.similar:
            yield from _similar(sql, tokens, found)
        elif found.escape is not None and found.text is not None:
            yield from _like(sql, tokens, found)


@dataclass(frozen=True, slots=True)
class _Pattern:
    """An operator that takes a pattern, by its tokens `[first, last)`.

    Attributes:
        text: the token of the pattern; None unless that is a text and nothing else.
        escape: the token of the text after ESCAPE, if any.
        end: the index after the pattern and its escape.
    """

    first: int
    last: int
    negated: bool
    similar: bool
    text: Token | None
    escape: Token | None
    end: int


def _pattern_at(tokens: Sequence[Token], at: int) -> _Pattern | None:
    if not tokens[at].word("not", "like", "ilike", "similar") or tokens[at - 1].symbol("."):
        return None
    if tokens[at].word("like", "ilike", "similar") and tokens[at - 1].word("not"):
        return None
    operator = operator_at(tokens, at)
    if operator is None or operator.form is not Form.PATTERN:
        return None
    last = at + operator.tokens
    text = tokens[last] if last < len(tokens) and tokens[last].kind is Kind.STRING else None
    escape, end = None, last + 1
    if [t.value for t in tokens[end : end + 1]] == ["escape"] and end + 1 < len(tokens):
        escape, end = tokens[end + 1], end + 2
    if text is not None and (not _is_plain(text) or _goes_on(tokens, end)):
        text = None
    similar = tokens[last - 1].word("to")
    return _Pattern(at, last, tokens[at].word("not"), similar, text, escape, end)


def _is_plain(text: Token) -> bool:
    """Whether the token's value is the text it stands for."""
    return text.end - text.start == len(text.value) + 2 + text.value.count("'")


def _goes_on(tokens: Sequence[Token], at: int) -> bool:
    """Whether what follows a text belongs to the same operand."""
    if at < len(tokens) and (tokens[at].symbol(":", "[") or tokens[at].word("collate")):
        return True
    operator: Operator | None = operator_at(tokens, at)
    return operator is not None and operator.level > Level.CONTAINMENT


def _similar(sql: str, tokens: Sequence[Token], found: _Pattern) -> Iterator[Splice]:
    start = tokens[found.first].start
    if found.text is None:
        what = "SIMILAR TO takes a text in quotes here, and no expression"
        raise InvalidSql(**where(sql, start, what, "; `~` takes any regular expression."))
    regex = _regex(found.text.value, _escape(sql, found), _place(sql, found))
    operator = "!~" if found.negated else "~"
    yield Splice(start, tokens[found.end - 1].end, f"{operator} {_quoted(regex)}")


def _like(sql: str, tokens: Sequence[Token], found: _Pattern) -> Iterator[Splice]:
    assert found.text is not None  # noqa: S101 - the caller has looked
    escape, place = _escape(sql, found), _place(sql, found)
    pattern = "".join(
        "\\" + char if escaped or char == "\\" else char
        for escaped, char in _characters(found.text.value, escape, place)
    )
    yield Splice(found.text.start, tokens[found.end - 1].end, _quoted(pattern))


_Place = tuple[str, int]


def _place(sql: str, found: _Pattern) -> _Place:
    assert found.text is not None  # noqa: S101 - the caller has looked
    return sql, found.text.start


def _escape(sql: str, found: _Pattern) -> str:
    """Return the character that escapes; none at all if that is empty."""
    if found.escape is None:
        return "\\"
    if found.escape.kind is not Kind.STRING or len(found.escape.value) > 1:
        what = "ESCAPE takes one character in quotes, or none"
        raise InvalidSql(**where(sql, found.escape.start, what))
    return found.escape.value


def _characters(pattern: str, escape: str, place: _Place) -> Iterator[tuple[bool, str]]:
    """Yield each character of a pattern, and whether it has been escaped."""
    characters = iter(pattern)
    for char in characters:
        if char != escape:
            yield False, char
            continue
        following = next(characters, None)
        if following is None:
            raise InvalidSql(**where(*place, "This pattern ends in its escape character"))
        yield True, following


_SIMILAR = {"%": ".*", "_": "."}
_LITERAL = frozenset(".^$\\")
_LITERAL_IN_CLASS = frozenset("\\[&~")


def _regex(pattern: str, escape: str, place: _Place) -> str:
    """Return the regular expression of all texts that are SIMILAR TO a pattern."""
    found, in_class = "", False
    characters = list(_characters(pattern, escape, place))
    for (escaped, char), (_, following) in zip(
        characters, [*characters[1:], (False, "")], strict=True
    ):
        if escaped:
            found += re.escape(char)
        elif in_class:
            named = char == "[" and following == ":"
            found += "\\" + char if char in _LITERAL_IN_CLASS and not named else char
            in_class = char != "]"
        else:
            in_class = char == "["
            found += "\\" + char if char in _LITERAL else _SIMILAR.get(char, char)
    return f"(?s)^(?:{found})$"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
