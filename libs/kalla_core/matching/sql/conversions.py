"""Casts that were written, and what they need around them to give what PostgreSQL gives.

DataFusion cuts the fraction off where a decimal or a float becomes an integer, and writes moments
with a `T`. PostgreSQL and DuckDB round, and write a blank.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pyarrow as pa

from kalla_core.matching.sql.lexer import Kind, Token
from kalla_core.matching.sql.operations import CAST, TRY_CAST, Operation, Range
from kalla_core.matching.sql.wrapping import Around, Wrapping, cast_to

TO_INTEGER, TRY_TO_INTEGER, TO_TEXT, AS_TEXT = "to integer", "try to integer", "to text", "as text"
CONVERSIONS = frozenset({TO_INTEGER, TRY_TO_INTEGER, TO_TEXT, AS_TEXT})
"""Names of operations that convert a value; the last one stands for what becomes text without a
cast, beside `||` and in functions of text."""

_GATHERING = frozenset({"listagg", "string_agg"})
_TAKING_TEXT = frozenset(
    """
    char_length character_length concat concat_ws left length lpad overlay regexp_replace reverse
    right rpad substr_index substring_index translate
    """.split()  # noqa: SIM905
)
CALLS = frozenset({CAST, TRY_CAST}) | _GATHERING | _TAKING_TEXT
"""What to look for, beside `||`."""

_INTEGERS = frozenset(
    "bigint int int2 int4 int8 integer mediumint smallint tinyint unsigned".split()  # noqa: SIM905
)
_TEXTS = frozenset("char character nvarchar string text varchar".split())  # noqa: SIM905


def conversions(
    tokens: Sequence[Token], found: Sequence[Operation], *, moments: bool
) -> Iterator[Operation]:
    """Yield operations, what is a cast named by what it converts to, other casts left out.

    Args:
        tokens: of the statement.
        found: in it.
        moments: whether a plan may show that something becomes text without a cast.
    """
    for one in found:
        if one.name in (CAST, TRY_CAST):
            name = _conversion(tokens, one)
            if name is not None:
                yield replace(one, name=name, operands=one.operands[:1])
            continue
        if one.name in _GATHERING or (moments and one.name in _TAKING_TEXT | {"||"}):
            yield from (
                Operation(AS_TEXT, operand, (operand,))
                for operand in one.operands
                if not _is_literal(tokens, operand)
            )
        if one.name not in CALLS:
            yield one


def converted(name: str, operand: pa.DataType) -> Wrapping | None:
    """Return what a conversion needs.

    Args:
        name: of `CONVERSIONS`.
        operand: the type of what is converted.
    """
    if name in (TO_INTEGER, TRY_TO_INTEGER):
        whole = _rounded(operand, trying=name == TRY_TO_INTEGER)
        return None if whole is None else Wrapping(None, (whole,))
    if not pa.types.is_timestamp(operand):
        return None
    if name == TO_TEXT:
        return Wrapping(_written(operand), (None,))
    cast, written = cast_to("VARCHAR"), _written(operand)
    return Wrapping(None, ((written[0] + cast[0], cast[1] + written[1]),))


def _conversion(tokens: Sequence[Token], one: Operation) -> str | None:
    value, target = one.operands
    words = [token.value for token in tokens[target[0] : target[1]]]
    if not words or _is_literal(tokens, value) or "[" in words:
        return None
    if words[0] in _INTEGERS:
        return TRY_TO_INTEGER if one.name == TRY_CAST else TO_INTEGER
    return TO_TEXT if words[0] in _TEXTS else None


def _is_literal(tokens: Sequence[Token], place: Range) -> bool:
    first, last = place
    return last == first + 1 and tokens[first].kind is Kind.STRING


def _rounded(operand: pa.DataType, *, trying: bool) -> Around | None:
    """Return the cast to a decimal without fraction, half away from zero, if there is a fraction.

    A cast, because it leaves the names of columns as they are.
    """
    if pa.types.is_decimal(operand) and operand.scale > 0:
        digits = operand.precision - operand.scale + 1
    elif pa.types.is_floating(operand):
        digits = _MOST_DIGITS
    else:
        return None
    before, after = cast_to(f"DECIMAL({digits}, 0)")
    return ("TRY_" + before if trying else before), after


_MOST_DIGITS = 38
_NAIVE: Around = (
    "regexp_replace(",
    r", '^\+?([^T]*)T([^.]*)(\.\d*[1-9])?0*$', '\1 \2\3')",
)
_ZONED: Around = (
    "regexp_replace(replace(",
    r", 'Z', '+00:00'), "
    r"'^\+?([^T]*)T([^.Z+-]*)(\.\d*[1-9])?0*([+-]\d\d(?::(?:0[1-9]|[1-5]\d))?)(?::00)?$', "
    r"'\1 \2\3\4')",
)


def _written(moment: pa.DataType) -> Around:
    """Return what makes PostgreSQL's text of DataFusion's: a blank, and no zeros at the end."""
    return _NAIVE if moment.tz is None else _ZONED


_VARIANT = re.compile(r"\b([a-z_]+)__\d+\(")


def unwritten(text: str) -> str:
    """Return an expression as people read it: variants by their names, text bare."""
    text = _VARIANT.sub(r"\1(", text)
    for before, after in (_NAIVE, _ZONED):
        while (end := text.find(after)) >= 0:
            start = _opening(text, end)
            if not text.endswith(before, 0, start):
                break
            text = text[: start - len(before)] + text[start:end] + text[end + len(after) :]
    return text


def _opening(text: str, end: int) -> int:
    """Return the index after the bracket that is open at `end`."""
    depth, at = 1, end
    while depth and at > 0:
        at -= 1
        depth += (text[at] == ")") - (text[at] == "(")
    return at + 1
