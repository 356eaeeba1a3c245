"""Literals as they have to be written: the time of the run, and numbers of the right kind.

Decimal literals suit money, but beside a floating-point column DataFusion would cast the column
to a decimal, which fails for NaN and beyond 1e15; there the literal has to be a double.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from kalla_core.errors import InvalidSql
from kalla_core.matching.sql.forbidden import CLOCK
from kalla_core.matching.sql.lexer import Kind, Token
from kalla_core.matching.sql.operations import CAST, TRY_CAST, operations
from kalla_core.matching.sql.sites import CallSite, call_sites, may_begin_expression
from kalla_core.matching.sql.text import Splice, where

_CASTING = frozenset({CAST, TRY_CAST})
_MAX_DIGITS = 38
_MICRO_DIGITS = 6
_KEYWORDS = ("current_date", "current_time", "current_timestamp")


def clock_splices(tokens: Sequence[Token], started_at: datetime) -> Iterator[Splice]:
    """Yield a literal of `started_at` for each `now()`, `current_date` and their kin.

    The literals have the types that the functions have: timestamps in UTC without a zone.
    """
    called = set()
    for site in call_sites(tokens):
        called.add(site.name)
        if site.name.value in CLOCK and not site.arguments and _is_bare(tokens, site.open - 1):
            text = _moment(site.name.value, started_at)
            yield Splice(site.name.start, tokens[site.close].end, text)
    for index, token in enumerate(tokens):
        if token.word(*_KEYWORDS) and token not in called and _stands_alone(tokens, index):
            yield Splice(token.start, token.end, _moment(token.value, started_at))


def moment_splices(tokens: Sequence[Token]) -> Iterator[Splice]:
    """Yield what makes `TIMESTAMP` one of microseconds; in nanoseconds it would end in 2262.

    `TIMESTAMPTZ` and `TIMESTAMP WITH TIME ZONE` as well. Literals with more digits stay what they
    are, and so do types that say their digits.
    """
    for cast in operations(tokens, _CASTING):
        first, last = cast.operands[-1]
        if cast.name in _CASTING and _moment_type(tokens, first) == last:
            yield Splice(tokens[first].end, tokens[first].end, f"({_MICRO_DIGITS})")
    for at, name in enumerate(tokens):
        end = _moment_type(tokens, at)
        if at < end < len(tokens) and tokens[end].kind is Kind.STRING:
            fraction = re.search(r"\.(\d+)", tokens[end].value)
            if fraction is None or len(fraction[1]) <= _MICRO_DIGITS:
                yield Splice(name.end, name.end, f"({_MICRO_DIGITS})")


def _moment_type(tokens: Sequence[Token], at: int) -> int:
    """Return the end of a type of timestamps that says no digits; `at` where none begins."""
    words = [token.value for token in tokens[at + 1 : at + 4]]
    if at < len(tokens) and tokens[at].word("timestamp") and words[1:] == ["time", "zone"]:
        return at + 4 if words[0] in ("with", "without") else at + 1
    return at + 1 if at < len(tokens) and tokens[at].word("timestamp", "timestamptz") else at


def number_splices(
    sql: str, tokens: Sequence[Token], doubles: Collection[Token]
) -> Iterator[Splice]:
    """Yield how the number literals have to be written that cannot stay as they are.

    Args:
        sql: the statement, for errors.
        tokens: of `sql`.
        doubles: numbers that are to be doubles. Others are decimals, written without exponent,
            because DataFusion would give `1.5e3` a negative scale, which cannot be stored.

    Raises:
        InvalidSql: a number is too large for a double.
    """
    for token in tokens:
        if token.kind is not Kind.NUMBER:
            continue
        if token in doubles:
            yield Splice(token.start, token.end, _double(sql, token))
        elif _has_exponent(token):
            plain = _plain(Decimal(token.value))
            yield Splice(token.start, token.end, plain or _double(sql, token))


def decimal_literals(tokens: Sequence[Token], calls: Sequence[CallSite]) -> tuple[Token, ...]:
    """Return the numbers that DataFusion reads as decimals, but for whole arguments of `calls`.

    Kalla's functions take decimals beside doubles as the numbers they print as.
    """
    whole = {
        values[0]
        for site in calls
        for first, last in site.arguments
        if len(values := [t for t in tokens[first:last] if not t.symbol("-", "+")]) == 1
    }
    return tuple(
        token
        for token in tokens
        if token.kind is Kind.NUMBER and _is_decimal(token) and token not in whole
    )


def _is_decimal(token: Token) -> bool:
    return "." in token.value or _has_exponent(token)


def _has_exponent(token: Token) -> bool:
    lower = token.value.lower()
    return "e" in lower and not lower.startswith("0x")


def _plain(number: Decimal) -> str | None:
    """Return a number without exponent but with a point; None if it has too many digits."""
    _sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)  # noqa: S101 - a number token is finite
    scale, whole = max(-exponent, 1), max(len(digits) + exponent, 1)
    if scale + whole > _MAX_DIGITS:
        return None
    return f"{number:.{scale}f}"


def _double(sql: str, token: Token) -> str:
    if float(token.value) == float("inf"):
        raise InvalidSql(**where(sql, token.start, f"The number {token.value} is too large"))
    return f"CAST('{token.value}' AS DOUBLE)"


def _moment(function: str, started_at: datetime) -> str:
    utc = started_at.astimezone(UTC).replace(tzinfo=None)
    match function:
        case "current_date" | "today":
            return f"DATE '{utc.date().isoformat()}'"
        case "current_time":
            return f"TIME '{utc.time().isoformat('microseconds')}'"
        case _:
            return f"TIMESTAMP(6) '{utc.isoformat('T', 'microseconds')}'"


def _is_bare(tokens: Sequence[Token], index: int) -> bool:
    return index == 0 or not tokens[index - 1].symbol(".")


def _stands_alone(tokens: Sequence[Token], index: int) -> bool:
    """Whether a keyword is a value, not an alias, a table or a call."""
    follows = tokens[index + 1] if index + 1 < len(tokens) else None
    attached = follows is not None and follows.symbol("(", ".")
    return not attached and may_begin_expression(tokens, index)
