"""A workbook: the ZIP file around the sheets, written as a stream."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from types import TracebackType
from typing import IO, Any
from xml.sax.saxutils import quoteattr

import pyarrow as pa

from kalla_core.answers.xlsx.sheet import MOST_ROWS, Cells, TableSheet, part_of, write_page
from kalla_core.answers.xlsx.styles import styles_xml

_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_CONTENT = "application/vnd.openxmlformats-officedocument.spreadsheetml"


class Book:
    """A workbook that is written while its rows come; a context manager that completes it.

    Sheets are written one after the other, in the order in which they are shown. When the block
    fails the file is not whole.

    Args:
        sink: takes bytes by `write`, `flush`; need not be seekable.
    """

    def __init__(self, sink: Any) -> None:
        # Fast rather than small: of XML the fastest level leaves a tenth already.
        self._archive = zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self._names: list[str] = []

    @property
    def sheets(self) -> tuple[str, ...]:
        """The names of the sheets so far."""
        return tuple(self._names)

    def table(self, name: str, schema: pa.Schema, most_rows: int = MOST_ROWS) -> TableSheet:
        """Begin a table; see `TableSheet`. It is closed before anything else is begun."""
        return TableSheet(self._sheet, name, schema, most_rows)

    def page(self, name: str, rows: Cells, widths: Sequence[int], frozen: int = 0) -> None:
        """Add a sheet of few cells; see `write_page`."""
        write_page(self._sheet(name), rows, widths, frozen)

    def __enter__(self) -> Book:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self._complete()

    def _sheet(self, name: str) -> IO[bytes]:
        self._names.append(name)
        return part_of(self._archive, len(self._names))

    def _complete(self) -> None:
        for name, text in (
            ("xl/workbook.xml", self._workbook()),
            ("xl/styles.xml", styles_xml()),
            ("xl/_rels/workbook.xml.rels", self._relations()),
            ("_rels/.rels", _root()),
            ("[Content_Types].xml", self._types()),
        ):
            self._archive.writestr(name, text)
        self._archive.close()

    def _workbook(self) -> str:
        sheets = "".join(
            f'<sheet name={quoteattr(name)} sheetId="{number}" r:id="rId{number}"/>'
            for number, name in enumerate(self._names, start=1)
        )
        names = f'xmlns="{_MAIN}" xmlns:r="{_OFFICE}"'
        return f"{_XML}<workbook {names}><sheets>{sheets}</sheets></workbook>"

    def _relations(self) -> str:
        count = len(self._names)
        sheets = [
            _relation(number, "worksheet", f"worksheets/sheet{number}.xml")
            for number in range(1, count + 1)
        ]
        styles = _relation(count + 1, "styles", "styles.xml")
        return _relationships([*sheets, styles])

    def _types(self) -> str:
        parts = [("/xl/workbook.xml", "sheet.main"), ("/xl/styles.xml", "styles")]
        parts += [
            (f"/xl/worksheets/sheet{number}.xml", "worksheet")
            for number in range(1, len(self._names) + 1)
        ]
        listed = "".join(
            f'<Override PartName="{part}" ContentType="{_CONTENT}.{kind}+xml"/>'
            for part, kind in parts
        )
        rels = "application/vnd.openxmlformats-package.relationships+xml"
        return (
            f'{_XML}<Types xmlns="{_PACKAGE}/content-types">'
            f'<Default Extension="rels" ContentType="{rels}"/>'
            f'<Default Extension="xml" ContentType="application/xml"/>{listed}</Types>'
        )


def _root() -> str:
    return _relationships([_relation(1, "officeDocument", "xl/workbook.xml")])


def _relation(number: int, kind: str, target: str) -> str:
    return f'<Relationship Id="rId{number}" Type="{_OFFICE}/{kind}" Target="{target}"/>'


def _relationships(listed: Sequence[str]) -> str:
    return (
        f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">{"".join(listed)}</Relationships>'
    )
