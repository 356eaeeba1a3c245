"""The rows of a sheet of an ODS workbook, as CSV."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from datetime import date, datetime

import pyarrow as pa

from kalla_core.recipe.source_format import SourceFormat
from kalla_core.sources.foreign_xml import local, parser
from kalla_core.sources.sheets.book import chosen, sheet_note
from kalla_core.sources.sheets.grid import MAX_COLUMNS, MAX_ROWS, Grid, Merged, cell_name
from kalla_core.sources.sheets.package import CHUNK_BYTES, member, packed_book
from kalla_core.sources.sheets.values import CellTexts
from kalla_core.sources.sheets.xlsx import FIELDS, as_csv
from kalla_core.sources.transcripts.cells import field
from kalla_core.sources.transcripts.format import Transcript, UntranscribedError

_CONTENT = "content.xml"
_CLOCK = re.compile(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:[.,]\d+)?S)?")
_NUMBERS = ("float", "percentage", "currency")
_SLICE = 1000

Cells = list[tuple[int, str]]


class _OdsReader:
    """Collects the rows of one sheet while the XML of all is parsed.

    Attributes:
        rows: that are whole and not yet taken: number, cells, how many there are alike.
        names: of the sheets that began so far.
        merged: the cells that are shown as one, so far.
    """

    def __init__(self, texts: CellTexts, wanted: int | None) -> None:
        self.rows: list[tuple[int, Cells, int]] = []
        self.names: list[str] = []
        self.merged: list[Merged] = []
        self._texts = texts
        self._wanted = wanted
        self._parser = parser(self._start, self._end)
        self._depth = 0  # of tables within tables
        self._row = self._column = 0
        self._repeated = (1, 1)
        self._cells: Cells = []
        self._cell: dict[str, str] | None = None
        self._parts: list[str] = []
        self._silent = 0  # within notes to a cell

    def feed(self, data: bytes, *, last: bool = False) -> None:
        self._parser.Parse(data, last)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = local(name)
        if name == "table":
            self._depth += 1
            if self._depth == 1:
                found = {local(key): value for key, value in attributes.items()}
                self.names.append(found.get("name", ""))
                self._row = 0
        if self._depth != 1 or self._wanted != len(self.names) - 1:
            return
        if name == "table-row":
            found = {local(key): value for key, value in attributes.items()}
            self._repeated = (_count(found.get("number-rows-repeated")), 1)
            self._column, self._cells = 0, []
        elif name in ("table-cell", "covered-table-cell"):
            self._cell = {local(key): value for key, value in attributes.items()}
            self._parts = []
        elif self._cell is None:
            return
        elif name == "annotation":
            self._silent += 1
        elif self._silent:
            return
        elif name == "p":
            if self._parts:
                self._parts.append("\n")
            self._parser.CharacterDataHandler = self._parts.append
        elif name == "s":
            found = {local(key): value for key, value in attributes.items()}
            self._parts.append(" " * min(_count(found.get("c")), MAX_COLUMNS))
        elif name in ("tab", "line-break"):
            self._parts.append("\t" if name == "tab" else "\n")

    def _end(self, name: str) -> None:
        name = local(name)
        if name == "table":
            self._depth -= 1
        elif name == "annotation" and self._silent:
            self._silent -= 1
        elif name == "p" and not self._silent:
            self._parser.CharacterDataHandler = None
        elif name in ("table-cell", "covered-table-cell") and self._cell is not None:
            self._take(self._cell)
            self._cell = None
        elif name == "table-row" and self._depth == 1 and self._wanted == len(self.names) - 1:
            repeated = self._repeated[0]
            if self._cells:
                if self._row + repeated > MAX_ROWS:
                    raise UntranscribedError(f"has more than {MAX_ROWS:,} rows.")
                self.rows.append((self._row + 1, self._cells, repeated))
            self._row += repeated

    def _take(self, cell: dict[str, str]) -> None:
        repeated = _count(cell.get("number-columns-repeated"))
        text = self._value(cell)
        if text:
            if self._column + repeated > MAX_COLUMNS:
                raise UntranscribedError(f"has more than {MAX_COLUMNS:,} columns.")
            self._cells += [(self._column + number, text) for number in range(repeated)]
            wide, high = (_count(cell.get(f"number-{one}-spanned")) for one in ("columns", "rows"))
            if wide > 1 or high > 1:
                top, left = self._row + 1, self._column
                self.merged.append(Merged(top, left, top + high - 1, left + wide - 1))
        self._column += repeated

    def _value(self, cell: dict[str, str]) -> str:
        kind = cell.get("value-type", "")
        try:
            if kind in _NUMBERS:
                return self._texts.number(cell["value"])
            if kind == "date":
                return self._moment(cell["date-value"])
            if kind == "time":
                return _clock(cell["time-value"])
        except (KeyError, ValueError, ArithmeticError):
            raise UntranscribedError(
                f"is damaged: the cell {self._name()} holds no {kind}, as its workbook says."
            ) from None
        if kind == "boolean":
            return "true" if cell.get("boolean-value") == "true" else "false"
        text = "".join(self._parts) or cell.get("string-value", "")
        if not text and not kind and "formula" in cell:
            raise UntranscribedError(
                f"has a formula without its value in the cell {self._name()}, as programs write"
                " that do not calculate; open it in one that does, and save it."
            )
        return field(text) if text or kind == "string" else ""

    def _moment(self, text: str) -> str:
        if len(text) == len("2026-03-31"):
            return self._texts.day(date.fromisoformat(text))
        return self._texts.moment(datetime.fromisoformat(text))

    def _name(self) -> str:
        return cell_name(self._row + 1, self._column)


def ods_lines(raw: pa.NativeFile, path: str, found: SourceFormat) -> Iterator[bytes]:
    """Yield a sheet as CSV, a line for each row."""
    with packed_book(raw) as package:
        wanted = chosen(_names(package), found.sheet)
        reader = _OdsReader(CellTexts(found), wanted)
        grid = Grid(found, 0, lambda: reader.merged)
        number = 0
        for rows in _row_runs(package, reader):
            for at, cells, repeated in rows:
                line = grid.line(at, cells)
                yield b"\n" * (at - number - 1) + f"{line}\n".encode()
                left = repeated - 1
                while left:
                    some = min(left, _SLICE)
                    again = grid.line(at + repeated - left, cells)
                    yield f"{again}\n".encode() * some
                    left -= some
                number = at + repeated - 1


def _row_runs(
    package: zipfile.ZipFile, reader: _OdsReader
) -> Iterator[list[tuple[int, Cells, int]]]:
    with member(package, _CONTENT) as file:
        while data := file.read(CHUNK_BYTES):
            reader.feed(data)
            yield reader.rows
            reader.rows = []
        reader.feed(b"", last=True)
        yield reader.rows


def _names(package: zipfile.ZipFile) -> list[str]:
    reader = _OdsReader(CellTexts(SourceFormat()), None)
    for _ in _row_runs(package, reader):
        pass
    if not reader.names:
        raise UntranscribedError("is no whole workbook: it has no sheet.")
    return reader.names


def _notes(raw: pa.NativeFile, path: str, found: SourceFormat) -> tuple[str, ...]:
    if found.sheet is not None:
        return ()
    with packed_book(raw) as package:
        return sheet_note(path, _names(package), found.sheet)


def _count(text: str | None) -> int:
    if text is None:
        return 1
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) <= 2**31:
        raise UntranscribedError(f"is damaged: it repeats something `{text[:20]}` times.")
    return int(text)


def _clock(text: str) -> str:
    found = _CLOCK.fullmatch(text)
    if found is None:
        raise ValueError(text)
    hours, minutes, seconds = (int(one or 0) for one in found.groups())
    return f"{hours:02}:{minutes:02}:{seconds:02}"


ODS = Transcript("Workbooks", FIELDS, ods_lines, as_csv, notes=_notes)
