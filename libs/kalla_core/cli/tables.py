"""Rows of a source as a table of the terminal."""

from __future__ import annotations

from typing import Literal

import pyarrow as pa
from rich import box
from rich.table import Table
from rich.text import Text

from kalla_core.cli.harmless import harmless
from kalla_core.recipe.column_types import type_word

_WIDEST_CELL = 32
_GAP = 3


def rows_table(rows: pa.Table, width: int) -> tuple[Table, list[pa.Field]]:
    """Return a table of a few rows, and the columns that did not fit beside the others.

    Each column's type stands below its name; numbers are aligned to the right, nulls are dim.
    At least one column is shown, however narrow the terminal.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    cells: list[list[Text]] = []
    used = 0
    for field, column in zip(rows.schema, rows.columns, strict=True):
        shown = [_cell(value) for value in column.to_pylist()]
        wanted = max(map(len, [field.name, type_word(field.type), *shown])) + _GAP
        if cells and used + wanted > width:
            break
        used += wanted
        cells.append(shown)
        table.add_column(_heading(field), justify=_side(field.type), no_wrap=True)
    for row in zip(*cells, strict=True):
        table.add_row(*row)
    return table, list(rows.schema)[len(cells) :]


def _heading(field: pa.Field) -> Text:
    return Text.assemble(field.name, "\n", (type_word(field.type), "dim not bold"))


def _side(data_type: pa.DataType) -> Literal["left", "right"]:
    number = (
        pa.types.is_integer(data_type)
        or pa.types.is_decimal(data_type)
        or pa.types.is_floating(data_type)
    )
    return "right" if number else "left"


def _cell(value: object) -> Text:
    if value is None:
        return Text("null", style="dim italic")
    text = harmless(str(value).replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t"))
    return Text(text if len(text) <= _WIDEST_CELL else text[: _WIDEST_CELL - 1] + "…")
