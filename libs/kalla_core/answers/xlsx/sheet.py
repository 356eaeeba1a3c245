"""Sheets: a table over as many as its rows take, and pages of few cells."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.answers.xlsx.cells import cell_column, letters, row_cells, text_lengths
from kalla_core.answers.xlsx.styles import Style
from kalla_core.errors import InvalidSetting

MOST_ROWS = 1_048_576
MOST_COLUMNS = 16_384
"""What a sheet of Excel holds."""

_MOST_BYTES = 1_900_000_000
"""Of XML: beyond twice this ZIP needs an extension that not every reader knows."""

_ROWS_AT_ONCE = 4096
_MEASURED_ROWS = 500
_NARROWEST, _WIDEST = 8, 60

_HEAD = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    '<sheetPr><pageSetUpPr fitToPage="1"/></sheetPr>'
)
_TAIL = '<pageSetup orientation="landscape" fitToWidth="1" fitToHeight="0"/></worksheet>'
"""On paper all columns stand on a page."""

Opener = Callable[[str], IO[bytes]]
"""Opens the next part of the workbook for a sheet of this name; one at a time."""

Cells = Sequence[Sequence[tuple[Any, int]]]
"""Rows of values, each with its style; None is an empty cell."""


class TableSheet:
    """A table: header, filters, the header kept in sight, further sheets where one is full.

    Args:
        name: of the first sheet; the others have a number behind it.
        schema: of the rows.
        most_rows: of a sheet, its header among them.

    Raises:
        InvalidSetting: a sheet cannot have as many columns.
    """

    def __init__(
        self, open_: Opener, name: str, schema: pa.Schema, most_rows: int = MOST_ROWS
    ) -> None:
        if len(schema) > MOST_COLUMNS:
            raise InvalidSetting(
                f"A sheet of Excel has at most {MOST_COLUMNS:,} columns, and {name} has "
                f"{len(schema):,}; choose some with --columns, or another format.",
                settings=["--xlsx"],
            )
        self._open, self._name, self._schema, self._most_rows = open_, name, schema, most_rows
        self._part: IO[bytes] | None = None
        self._parts = 0
        self._row = 0
        self._bytes = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows."""
        start = 0
        while start < batch.num_rows:
            if self._part is None or self._row >= self._most_rows or self._bytes > _MOST_BYTES:
                self._begin(batch)
            count = min(_ROWS_AT_ONCE, batch.num_rows - start, self._most_rows - self._row)
            self._add(batch.slice(start, count))
            start += count

    def close(self) -> None:
        """End the table; it has a sheet also where it has no rows."""
        if self._part is None:
            self._begin(self._schema.empty_table().combine_chunks())
        self._end()

    def _begin(self, sample: pa.RecordBatch | pa.Table) -> None:
        if self._part is not None:
            self._end()
        self._parts += 1
        name = self._name if self._parts == 1 else f"{self._name} {self._parts}"
        self._part = self._open(name)
        head = [(column, _heading(column.type)) for column in self._schema]
        titles = row_cells([(column.name, style) for column, style in head], 1)
        self._part.write(
            (_HEAD + _view(frozen=1) + _columns(_widths(sample)) + f"<sheetData>{titles}").encode()
        )
        self._row, self._bytes = 1, 0

    def _add(self, rows: pa.RecordBatch) -> None:
        assert self._part is not None  # noqa: S101 - `write` has begun one
        first = self._row + 1
        numbers = pa.array(range(first, first + rows.num_rows)).cast(pa.string())
        cells = [cell_column(column, place, numbers) for place, column in enumerate(rows.columns)]
        lines = pc.binary_join_element_wise('<row r="', numbers, '">', *cells, "</row>", "")
        data = _bytes_of(lines)
        self._part.write(data)
        self._bytes += len(data)
        self._row += rows.num_rows

    def _end(self) -> None:
        assert self._part is not None  # noqa: S101 - likewise
        tail = "</sheetData>"
        if len(self._schema):
            tail += f'<autoFilter ref="A1:{letters(len(self._schema) - 1)}{self._row}"/>'
        self._part.write(f"{tail}{_TAIL}".encode())
        self._part.close()
        self._part = None


def write_page(part: IO[bytes], rows: Cells, widths: Sequence[int], frozen: int = 0) -> None:
    """Write a sheet of few cells, and close it.

    Args:
        widths: of its columns, in characters.
        frozen: rows at the top that stay in sight.
    """
    lines = "".join(row_cells(list(cells), number) for number, cells in enumerate(rows, start=1))
    view = _view(frozen, grid=bool(frozen))
    text = f"{_HEAD}{view}{_columns(widths)}<sheetData>{lines}</sheetData>{_TAIL}"
    part.write(text.encode())
    part.close()


def _heading(kind: pa.DataType) -> Style:
    number = pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_floating(kind)
    return Style.HEADER_RIGHT if number else Style.HEADER


def _widths(sample: pa.RecordBatch | pa.Table) -> list[int]:
    few = sample.slice(0, _MEASURED_ROWS)
    shown = [
        max(text_lengths(_one(column)), len(name) + 3)
        for name, column in zip(few.schema.names, few.columns, strict=True)
    ]
    return [min(max(width, _NARROWEST), _WIDEST) for width in shown]


def _one(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _view(frozen: int, *, grid: bool = True) -> str:
    pane = (
        f'<pane ySplit="{frozen}" topLeftCell="A{frozen + 1}" activePane="bottomLeft" '
        'state="frozen"/>'
        if frozen
        else ""
    )
    lines = "" if grid else ' showGridLines="0"'
    return f'<sheetViews><sheetView workbookViewId="0"{lines}>{pane}</sheetView></sheetViews>'


def _columns(widths: Sequence[int]) -> str:
    if not widths:
        return ""
    listed = "".join(
        f'<col min="{place}" max="{place}" width="{width + 1.5}" customWidth="1"/>'
        for place, width in enumerate(widths, start=1)
    )
    return f"<cols>{listed}</cols>"


def _bytes_of(texts: pa.Array) -> memoryview:
    """Return the bytes of all texts, one behind the other, without copying them."""
    _, offsets, data = texts.buffers()
    ends = memoryview(offsets).cast("i")
    return memoryview(data)[ends[texts.offset] : ends[texts.offset + len(texts)]]


def part_of(archive: zipfile.ZipFile, number: int) -> IO[bytes]:
    """Open the part of the sheet of a number, from 1."""
    return archive.open(f"xl/worksheets/sheet{number}.xml", "w")
