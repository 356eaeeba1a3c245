"""The rows of a sheet of an XLSX workbook, as CSV."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa

from kalla_core.recipe.source_format import SourceFormat
from kalla_core.sources.foreign_xml import parser
from kalla_core.sources.sheets.book import Book, SharedTexts, Sheet, chosen, sheet_note, unescaped
from kalla_core.sources.sheets.grid import (
    MAX_COLUMNS,
    MAX_ROWS,
    Grid,
    Merged,
    cell_name,
    column_number,
    merged_of,
)
from kalla_core.sources.sheets.package import CHUNK_BYTES, member, packed_book
from kalla_core.sources.sheets.values import Shown
from kalla_core.sources.transcripts.cells import DELIMITER, field
from kalla_core.sources.transcripts.format import Transcript, UntranscribedError

_DIGITS = "0123456789"
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\s[^>]*?\bref="([A-Z]+[0-9]+:[A-Z]+[0-9]+)"')
_OVERLAP_BYTES = 256

Row = tuple[int, list[tuple[int, str]]]


class _SheetReader:
    """Collects the rows of a sheet while its XML is parsed.

    Attributes:
        rows: that are whole and not yet taken.
        columns: how many the sheet says it has; 0 where it does not say.
    """

    def __init__(self, book: Book, shared: SharedTexts) -> None:
        self.rows: list[Row] = []
        self.columns = 0
        self._texts = book.texts
        self._shown = book.shown
        self._shared = shared
        self._zeros_are_none = book.is_uncalculated
        self._parser = parser(self._start, self._end)
        self._prefix: str | None = None
        self._letters: dict[str, int] = {}
        self._number = 0
        self._cells: list[tuple[int, str]] = []
        self._column = -1
        self._kind = ""
        self._style = ""
        self._parts: list[str] = []
        self._has_value = False
        self._formula = False
        self._hidden = 0

    def feed(self, data: bytes, *, last: bool = False) -> None:
        self._parser.Parse(data, last)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._prefix is None:
            self._prefix = name.rpartition(":")[0]
        if self._prefix:
            name = name.removeprefix(f"{self._prefix}:")
        if name == "c":
            self._cell(attributes)
        elif name == "v":
            self._has_value = True
            self._parser.CharacterDataHandler = self._parts.append
        elif name == "row":
            self._row(attributes.get("r"))
        elif name == "f":
            self._formula = True
        elif name == "t" and not self._hidden:
            self._has_value = True
            self._parser.CharacterDataHandler = self._parts.append
        elif name == "rPh":
            self._hidden += 1
        elif name == "dimension":
            area = merged_of(attributes.get("ref", ""))
            self.columns = 0 if area is None else area.right + 1

    def _end(self, name: str) -> None:
        if self._prefix:
            name = name.removeprefix(f"{self._prefix}:")
        if name in ("v", "t"):
            self._parser.CharacterDataHandler = None
        elif name == "c":
            if self._has_value and not (self._formula and self._is_uncalculated()):
                self._cells.append((self._column, self._value("".join(self._parts))))
            elif self._formula:
                raise UntranscribedError(
                    f"has a formula without its value in the cell {self._name()}, as programs write"
                    " that do not calculate; open it in one that does, and save it."
                )
        elif name == "row":
            self.rows.append((self._number, self._cells))
            self._cells = []
        elif name == "rPh":
            self._hidden -= 1

    def _is_uncalculated(self) -> bool:
        """Whether a formula has no value, or the 0 that stands for none where all are to come."""
        text = "".join(self._parts)
        return (not text and self._kind != "str") or (text == "0" and self._zeros_are_none)

    def _row(self, number: str | None) -> None:
        following = self._number + 1
        self._number = following if number is None else int(number)
        if not following <= self._number <= MAX_ROWS:
            raise UntranscribedError(f"has row {number} behind row {following - 1}.")
        self._column = -1

    def _cell(self, attributes: dict[str, str]) -> None:
        reference = attributes.get("r")
        before = self._column
        if reference is None:
            self._column += 1
        else:
            letters = reference.rstrip(_DIGITS)
            column = self._letters.get(letters)
            if column is None:
                column = self._letters[letters] = column_number(letters)
            self._column = column
        if not before < self._column < MAX_COLUMNS:
            raise UntranscribedError(f"has a cell {reference} out of order in row {self._number}.")
        self._kind = attributes.get("t", "n")
        self._style = attributes.get("s", "")
        self._parts.clear()
        self._has_value = self._formula = False

    def _value(self, text: str) -> str:
        kind = self._kind
        try:
            if kind == "s":
                return self._shared[int(text)]
            if kind == "n":
                return self._number_text(text)
        except (ValueError, IndexError, OverflowError):
            what = "no text of its" if kind == "s" else "no number, as its"
            raise UntranscribedError(
                f"is damaged: the cell {self._name()} holds `{text[:40]}`, which is {what} workbook"
                " says."
            ) from None
        if kind == "b":
            return "true" if text == "1" else "false"
        if kind == "d":
            return text.replace("T", " ")
        return field(unescaped(text))

    def _number_text(self, text: str) -> str:
        if not text:
            return ""
        style = int(self._style) if self._style else 0
        shown = self._shown[style] if style < len(self._shown) else Shown.NUMBER
        if shown is Shown.NUMBER:
            return self._texts.number(text)
        return self._texts.serial(text, shown)

    def _name(self) -> str:
        return cell_name(self._number, self._column)


def xlsx_lines(raw: pa.NativeFile, path: str, found: SourceFormat) -> Iterator[bytes]:
    """Yield a sheet as CSV, a line for each row."""
    with packed_book(raw) as package:
        book = Book.of(package, found)
        sheet = book.sheets[chosen([one.name for one in book.sheets], found.sheet)]
        reader = _SheetReader(book, book.shared(package))
        grid: Grid | None = None
        number = 0
        for rows in _row_runs(package, sheet, reader):
            if grid is None:
                grid = Grid(found, reader.columns, lambda: _merged(package, sheet))
            lines = []
            for at, cells in rows:
                lines += [""] * (at - number - 1)
                lines.append(grid.line(at, [cell for cell in cells if cell[1]]))
                number = at
            yield ("\n".join(lines) + "\n").encode()


def _row_runs(package: zipfile.ZipFile, sheet: Sheet, reader: _SheetReader) -> Iterator[list[Row]]:
    with member(package, sheet.path) as file:
        while data := file.read(CHUNK_BYTES):
            reader.feed(data)
            if reader.rows:
                yield reader.rows
                reader.rows = []
        reader.feed(b"", last=True)
        if reader.rows:
            yield reader.rows


def _merged(package: zipfile.ZipFile, sheet: Sheet) -> list[Merged]:
    """Return which cells are merged; they are told at the end of a sheet's file."""
    found = []
    rest = b""
    with member(package, sheet.path) as file:
        while data := file.read(CHUNK_BYTES):
            rest += data
            end = 0
            for one in _MERGED.finditer(rest):
                area = merged_of(one[1].decode())
                end = one.end()
                if area is not None and area.top <= MAX_ROWS:
                    found.append(area)
            rest = rest[max(end, len(rest) - _OVERLAP_BYTES) :]
    return found


def _notes(raw: pa.NativeFile, path: str, found: SourceFormat) -> tuple[str, ...]:
    if found.sheet is not None:
        return ()
    with packed_book(raw) as package:
        names = [sheet.name for sheet in Book.of(package, found).sheets]
    return sheet_note(path, names, found.sheet)


def as_csv(found: SourceFormat) -> SourceFormat:
    """Return the format in which the CSV of a sheet is read."""
    return replace(found, sheet=None, delimiter=DELIMITER)


FIELDS = frozenset(
    {
        "sheet", "decimal", "thousands", "date", "timestamp", "true", "false", "null", "header",
        "skip_first", "skip_last", "amounts", "stop", "row_number", "amount",
    }
)  # fmt: skip
"""The fields of `format` that workbooks have."""

XLSX = Transcript("Workbooks", FIELDS, xlsx_lines, as_csv, notes=_notes)
