"""From the values of a sample to the types of columns. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from kalla_core.recipe.column_types import (
    MAX_DECIMAL128_DIGITS,
    MAX_DECIMAL_DIGITS,
    decimal_type,
)
from kalla_core.sources.csv.infer import told_type
from kalla_core.sources.csv.spelling import Spelling
from kalla_core.sources.jsonl.texts import Written, text_of

_MOMENTS = (pa.types.is_date, pa.types.is_timestamp)
_NAMES = {
    dict: "an object",
    list: "an array",
    bool: "true or false",
    Written: "a number",
    str: "a text",
}


class UnlikeError(Exception):
    """Values of one field that no type holds together.

    Attributes:
        path: of the field, its levels parted by dots.
        lines: of two such values; `shown` are these.
    """

    def __init__(self, path: str, lines: tuple[int, int], shown: tuple[str, str]) -> None:
        super().__init__(path)
        self.path = path
        self.lines = lines
        self.shown = shown


@dataclass(frozen=True, slots=True)
class Value:
    """A value, and the line of its record."""

    line: int
    value: Any


def kind_of(value: object) -> type:
    """Return what JSON calls a value's kind."""
    return next(kind for kind in _NAMES if isinstance(value, kind))


def shown(value: object) -> str:
    """Return a value and its kind, short enough for a message."""
    text = text_of(value)
    return f"{_NAMES[kind_of(value)]}, `{text if len(text) <= 40 else text[:39] + '…'}`"


def told_schema(
    rows: Sequence[Value], spelling: Spelling, declared: Mapping[str, pa.DataType]
) -> pa.Schema:
    """Return the columns of records, in the order in which they are first seen.

    Args:
        rows: values that are objects.
        spelling: how dates and timestamps are written.
        declared: types of columns that are not to be told.

    Raises:
        UnlikeError: see there.
    """
    return pa.schema(
        [
            (name, declared.get(name) or _type(name, values, spelling))
            for name, values in _by_name(rows).items()
        ]
    )


def _by_name(rows: Sequence[Value]) -> dict[str, list[Value]]:
    found: dict[str, list[Value]] = {}
    for row in rows:
        for name, value in row.value.items():
            found.setdefault(name, []).append(Value(row.line, value))
    return found


def _type(path: str, values: Sequence[Value], spelling: Spelling | None) -> pa.DataType:
    present = [one for one in values if one.value is not None]
    if not present:
        return pa.null()
    kind = kind_of(present[0].value)
    for one in present:
        if kind_of(one.value) is not kind:
            first = present[0]
            raise UnlikeError(path, (first.line, one.line), (shown(first.value), shown(one.value)))
    if kind is bool:
        return pa.bool_()
    if kind is Written:
        return _number([one.value for one in present])
    if kind is str:
        return _text([one.value for one in present], spelling)
    if kind is list:
        inner = [Value(one.line, each) for one in present for each in one.value]
        return pa.list_(_type(f"{path}[]", inner, None))
    fields = _by_name(present)
    return pa.struct([(name, _type(f"{path}.{name}", each, None)) for name, each in fields.items()])


def _text(values: Sequence[str], spelling: Spelling | None) -> pa.DataType:
    if spelling is None:
        return pa.string()
    found = told_type(pa.chunked_array([pa.array(values, pa.string()).cast(pa.binary())]), spelling)
    is_moment = any(check(found.type) for check in _MOMENTS)
    return found.type if is_moment else pa.string()


def _number(values: Sequence[str]) -> pa.DataType:
    texts = [plain_number(value) for value in values]
    if None in texts:
        return pa.float64()
    found = told_type(pa.chunked_array([pa.array(texts, pa.string()).cast(pa.binary())])).type
    return found if pa.types.is_integer(found) or pa.types.is_decimal(found) else _wide(texts)


def _wide(texts: Sequence[str | None]) -> pa.DataType:
    """Return the type of numbers of more digits than an integer has."""
    parts = [text.lstrip("-").partition(".") for text in texts if text is not None]
    scale = max(len(behind) for _, _, behind in parts)
    digits = max(len(before) for before, _, _ in parts) + scale
    if digits > MAX_DECIMAL_DIGITS:
        return pa.float64()
    wide = digits > MAX_DECIMAL128_DIGITS
    return decimal_type(MAX_DECIMAL_DIGITS if wide else MAX_DECIMAL128_DIGITS, scale)


def plain_number(written: str) -> str | None:
    """Return a number without an exponent; None where that has more digits than decimals have."""
    text = written
    if "e" in text or "E" in text:
        try:
            number = Decimal(text)
        except InvalidOperation:
            return None
        if number and not -MAX_DECIMAL_DIGITS < number.adjusted() < MAX_DECIMAL_DIGITS:
            return None
        text = f"{number:f}"
    if len(text) > 2 * MAX_DECIMAL_DIGITS:
        return None
    return "0" if text == "-0" else text
