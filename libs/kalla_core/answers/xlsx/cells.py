"""Columns as cells of a sheet, in XML, a column at a time.

A number becomes a number where a double holds it to all its digits, 15 at most, as Excel shows no
more; else its digits as text. A date becomes a date where Excel knows it: from March 1900, before
which it counts a day that never was, to the year 9999. Text is never a formula, also not after
somebody edits its cell.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.answers.rows_csv import FORMULA_LIKE, csv_column
from kalla_core.answers.xlsx.styles import MOST_DECIMALS, Style, decimals
from kalla_core.evidence.keys import value_text

MOST_CHARACTERS = 32_767
"""In a cell, as UTF-16 counts them."""

_MOST_EXACT = 10**15 - 1
_FIRST_DAY, _LAST_DAY = -25508, 2932896  # 1900-03-01 and 9999-12-31, from 1970-01-01
_DAYS_BEFORE_EPOCH = 25569
_DAY_US = 86_400_000_000
_NOT_XML = r"[\x{00}-\x{08}\x{0b}-\x{1f}\x{fffe}\x{ffff}]|_x[0-9A-Fa-f]{4}_"
_ASTRAL = r"[\x{10000}-\x{10ffff}]"


def letters(place: int) -> str:
    """Return the name of a column, from 0: A, B, ..., Z, AA."""
    name = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        name = chr(65 + rest) + name
    return name


def cell_column(column: pa.Array, place: int, rows: pa.Array) -> pa.Array:
    """Return the cells of a column, string; empty where the value is null.

    Args:
        place: of the column, from 0.
        rows: the number of each row, as text.
    """
    kind = column.type
    if pa.types.is_boolean(kind):
        return _cells(place, rows, ' t="b"><v>', pc.if_else(column, "1", "0"), "</v>")
    if pa.types.is_integer(kind):
        exact = _within(column.cast(pa.decimal128(20, 0)), 0)
        return _numbers(column, exact, Style.INTEGER, place, rows)
    if pa.types.is_decimal(kind) and kind.scale <= MOST_DECIMALS:
        scale = max(kind.scale, 0)
        return _numbers(column, _within(column, scale), decimals(scale), place, rows)
    if pa.types.is_floating(kind):
        return _numbers(column, pc.is_finite(column), Style.PLAIN, place, rows)
    if pa.types.is_date(kind):
        days = _int64(column.cast(pa.date32()).cast(pa.int32()))
        serial = pa.array(days + _DAYS_BEFORE_EPOCH).cast(pa.string())
        return _moments(column, days, serial, Style.DATE, place, rows)
    if pa.types.is_timestamp(kind):
        micros = _int64(column.cast(pa.timestamp("us", kind.tz), safe=False).cast(pa.int64()))
        serial = pa.array(micros / _DAY_US + _DAYS_BEFORE_EPOCH).cast(pa.string())
        style = Style.MOMENT if kind.tz is None else Style.MOMENT_UTC
        return _moments(column, micros // _DAY_US, serial, style, place, rows)
    return _text_cells(_as_text(column), place, rows, Style.PLAIN)


def row_cells(values: list[tuple[Any, int]], row: int) -> str:
    """Return a row of a few cells, each a value and its style."""
    cells = [
        _cell(f"{letters(place)}{row}", value, style)
        for place, (value, style) in enumerate(values)
        if value is not None
    ]
    return f'<row r="{row}">{"".join(cells)}</row>'


def text_lengths(column: pa.Array) -> int:
    """Return the characters of the longest value as it is shown, about."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        return 20
    shown = pc.max(pc.utf8_length(_as_text(column))).as_py() or 0
    if pa.types.is_decimal(kind):
        shown += max(shown - kind.scale, 0) // 3
    return int(shown)


def _cell(name: str, value: Any, style: int) -> str:
    """Return one cell; numbers and dates follow the rules of columns."""
    if isinstance(value, str):
        return str(_text_cells(pa.array([value]), 0, pa.array([""]), style)[0]).replace(
            'r="A"', f'r="{name}"', 1
        )
    scale = -int(value.as_tuple().exponent) if isinstance(value, Decimal) else 0
    array = _scalar(value, scale)
    cell = str(cell_column(array, 0, pa.array([""]))[0]).replace('r="A"', f'r="{name}"', 1)
    return cell if style == Style.PLAIN else _restyled(cell, style)


def _scalar(value: Any, scale: int) -> pa.Array:
    if isinstance(value, Decimal):
        return pa.array([value], pa.decimal256(76, max(scale, 0)))
    if isinstance(value, datetime):
        return pa.array([value.astimezone(UTC)], pa.timestamp("us", "UTC"))
    if isinstance(value, date):
        return pa.array([value], pa.date32())
    return pa.array([value])


def _restyled(cell: str, style: int) -> str:
    head, _, rest = cell.partition(' s="')
    return f'{head} s="{style}{rest[rest.index(chr(34)) :]}'


def _numbers(column: pa.Array, exact: pa.Array, style: int, place: int, rows: pa.Array) -> pa.Array:
    text = value_text(column)
    numbers = _cells(place, rows, f' s="{style}"><v>', text, "</v>")
    if pc.all(exact.fill_null(True)).as_py():
        return numbers
    return pc.if_else(exact.fill_null(True), numbers, _text_cells(text, place, rows, Style.DIGITS))


def _moments(
    column: pa.Array,
    days: npt.NDArray[np.int64],
    serial: pa.Array,
    style: int,
    place: int,
    rows: pa.Array,
) -> pa.Array:
    known = pa.array((days >= _FIRST_DAY) & (days <= _LAST_DAY))
    serial = pc.if_else(column.is_valid(), serial, pa.scalar(None, pa.string()))
    dates = _cells(place, rows, f' s="{style}"><v>', serial, "</v>")
    if pc.all(pc.or_(known, column.is_null())).as_py():
        return dates
    return pc.if_else(known, dates, _text_cells(value_text(column), place, rows, Style.PLAIN))


def _text_cells(text: pa.Array, place: int, rows: pa.Array, style: int) -> pa.Array:
    before: pa.Array | str = f' s="{int(style)}" t="inlineStr"><is><t xml:space="preserve">'
    if style == Style.PLAIN:
        risky = pc.match_substring_regex(text, FORMULA_LIKE).fill_null(False)
        if pc.any(risky).as_py():
            marked = str(before).replace('s="0"', f's="{int(Style.FORMULA_LIKE)}"')
            before = pc.if_else(risky, marked, before)
    return _cells(place, rows, before, xml_text(_short(text)), "</t></is>")


def _cells(
    place: int, rows: pa.Array, before: pa.Array | str, inside: pa.Array, after: str
) -> pa.Array:
    cells = pc.binary_join_element_wise(
        f'<c r="{letters(place)}', rows, '"', before, inside, f"{after}</c>", ""
    )
    return cells.fill_null("")


def xml_text(text: pa.Array) -> pa.Array:
    """Return text as XML has it; what XML cannot have is written as Excel does, `_x0007_`."""
    if pc.any(pc.match_substring_regex(text, _NOT_XML)).as_py():
        text = pc.replace_substring_regex(text, r"_(x[0-9A-Fa-f]{4}_)", r"_x005F_\1")
        for code in (*range(9), *range(0x0B, 0x20), 0xFFFE, 0xFFFF):
            text = pc.replace_substring(text, chr(code), f"_x{code:04X}_")
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = pc.replace_substring(text, sign, entity)
    return text


def _short(text: pa.Array) -> pa.Array:
    """Cut what is longer than a cell may be, and let it end in `…`."""
    long = pc.greater(pc.utf8_length(text), MOST_CHARACTERS // 2)
    if not pc.any(long).as_py():
        return text
    astral = pc.match_substring_regex(text, _ASTRAL)
    for hit, most in ((astral, MOST_CHARACTERS // 2), (pc.invert(astral), MOST_CHARACTERS)):
        cut = pc.binary_join_element_wise(pc.utf8_slice_codeunits(text, 0, most - 1), "…", "")
        longer = pc.and_(hit, pc.greater(pc.utf8_length(text), most)).fill_null(False)
        text = pc.if_else(longer, cut, text)
    return text


def _as_text(column: pa.Array) -> pa.Array:
    plain = csv_column(column)
    if pa.types.is_string(plain.type):
        return plain
    return plain.cast(pa.string()) if pa.types.is_null(plain.type) else value_text(plain)


def _within(column: pa.Array, scale: int) -> pa.Array:
    bound = pa.scalar(Decimal(_MOST_EXACT).scaleb(-scale), pa.decimal256(76, max(scale, 0)))
    wide = column.cast(pa.decimal256(76, max(scale, 0)))
    return pc.less_equal(pc.abs(wide), bound)


def _int64(column: pa.Array) -> npt.NDArray[np.int64]:
    filled: npt.NDArray[np.int64] = (
        column.fill_null(0).cast(pa.int64()).to_numpy(zero_copy_only=False)
    )
    return filled
