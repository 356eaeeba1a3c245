"""Rows of cells as lines of CSV: where the header is, how wide rows are, merged cells.

Lines are as many as rows, so that the number of a line is that of the row. Rows before the header
are as wide as they are; all others have as many columns as the header. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kalla_core.recipe.source_format import SourceFormat
from kalla_core.sources.transcripts.cells import DELIMITER, line
from kalla_core.sources.transcripts.format import UntranscribedError

Cells = Sequence[tuple[int, str]]
"""Columns from 0, ascending, and what they hold as fields of CSV; nothing for empty cells."""

MAX_COLUMNS = 1 << 14
MAX_ROWS = 1 << 20
_LETTERS = 26


@dataclass(frozen=True, slots=True)
class Merged:
    """Cells that are shown as one; rows from 1, columns from 0, the last ones included."""

    top: int
    left: int
    bottom: int
    right: int


class Grid:
    """Writes the rows of one sheet as lines, in order.

    Args:
        found: says where the header is.
        columns: how many the sheet says it has; 0 where it does not say.
        merged: looks up which cells are merged; only asked where the header has gaps.
    """

    def __init__(
        self, found: SourceFormat, columns: int, merged: Callable[[], Sequence[Merged]]
    ) -> None:
        self._header = True if found.header is None else found.header
        numbered = isinstance(self._header, int) and not isinstance(self._header, bool)
        self._passed = max(found.skip_first, int(self._header) - 1 if numbered else 0)
        self._columns = columns
        self._merged = merged
        self._above: dict[tuple[int, int], str] = {}
        self._width = 0

    def line(self, number: int, cells: Cells) -> str:
        """Return a row as a line, without its end.

        Raises:
            UntranscribedError: it has a value right of the header's last column.
        """
        if not self._width:
            return self._before(number, cells)
        if not cells:
            return ""
        row = [""] * self._width
        try:
            for column, text in cells:
                row[column] = text
        except IndexError:
            raise UntranscribedError(
                f"has the value `{text}` in the cell {cell_name(number, column)}, right of the"
                f" last column that the header names, which is {column_name(self._width - 1)}."
            ) from None
        return DELIMITER.join(row)

    def _before(self, number: int, cells: Cells) -> str:
        plain = line(_spread(cells))
        if number <= self._passed or not cells or not self._may_be_header(plain):
            self._above.update({(number, column): text for column, text in cells})
            return plain
        row = _spread(cells)
        if self._header is False:
            row += [""] * (self._columns - len(row))
        elif "" in row or len(row) < self._columns or not self._columns:
            row = self._filled(number, row)
        self._width = len(row)
        self._above.clear()
        return DELIMITER.join(row)

    def _may_be_header(self, plain: str) -> bool:
        wanted = self._header
        return not isinstance(wanted, str) or plain.lstrip(' \t"').startswith(wanted)

    def _filled(self, number: int, row: list[str]) -> list[str]:
        """Return the header with each merged cell's value in all columns that it covers."""
        for one in self._merged():
            if not one.top <= number <= one.bottom or one.right >= MAX_COLUMNS:
                continue
            own = row[one.left] if one.left < len(row) else ""
            value = own if one.top == number else self._above.get((one.top, one.left), "")
            if value:
                row += [""] * (one.right + 1 - len(row))
                row[one.left : one.right + 1] = [value] * (one.right + 1 - one.left)
        return row


def _spread(cells: Cells) -> list[str]:
    row = [""] * (cells[-1][0] + 1) if cells else []
    for column, text in cells:
        row[column] = text
    return row


def column_name(column: int) -> str:
    """Return the letters of a column that is counted from 0."""
    letters, rest = "", column + 1
    while rest:
        rest, digit = divmod(rest - 1, _LETTERS)
        letters = chr(ord("A") + digit) + letters
    return letters


def column_number(letters: str) -> int:
    """Return the number, from 0, of a column with such letters; -1 where they are none."""
    number = 0
    for letter in letters.upper():
        if not "A" <= letter <= "Z":
            return -1
        number = number * _LETTERS + ord(letter) - ord("A") + 1
    return number - 1


def cell_name(row: int, column: int) -> str:
    """Return what a cell is called, as `C7`."""
    return f"{column_name(column)}{row}"


def merged_of(reference: str) -> Merged | None:
    """Return the cells that a reference as `A1:C2` names; None where it names none."""
    ends = []
    for one in reference.partition(":")[::2]:
        letters = one.rstrip("0123456789")
        row, column = one[len(letters) :], column_number(letters)
        if not row or not 0 <= column < MAX_COLUMNS:
            return None
        ends.append((int(row), column))
    (top, left), (bottom, right) = ends
    return Merged(top, left, bottom, right)
