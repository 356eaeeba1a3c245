"""Values of rows as texts."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_DAY = r"^(-?[0-9]+-[0-9]{2}-[0-9]{2}) "


def texts(table: pa.Table) -> list[list[str | None]]:
    """Return rows as texts: amounts with all their digits, times as ISO 8601."""
    return [list(row) for row in zip(*text_columns(table), strict=True)]


def text_columns(table: pa.Table) -> list[list[str | None]]:
    """Return the same by column."""
    return [
        column.to_pylist()
        if pa.types.is_string(column.type)
        else [None if value is None else _text(value) for value in _values(column)]
        for column in table.columns
    ]


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Return the values of a column: moments that Python has none for as Arrow writes them."""
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError):  # parts of a microsecond, or years of five digits
        if not pa.types.is_temporal(column.type):
            raise
        written = pc.replace_substring_regex(column.cast(pa.string()), _DAY, r"\1T")
        return list(written.to_pylist())


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | list | dict):
        return json.dumps(value, default=str)
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)
