"""Workbooks read back as a spreadsheet would, by what the format says and not by our writer."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass
from xml.etree import ElementTree

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_REL = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")


@dataclass(frozen=True)
class Cell:
    """A cell: kind `n`, `b` or `text`, its number format, and whether it may be a formula."""

    value: str
    kind: str
    format: str
    quoted: bool


@dataclass(frozen=True)
class SheetRead:
    rows: list[dict[str, Cell]]
    filter: str | None
    frozen: int
    widths: list[float]

    def values(self) -> list[list[str]]:
        return [[cell.value for cell in row.values()] for row in self.rows]


def read_workbook(data: bytes) -> dict[str, SheetRead]:
    """Return the sheets by name, in order; a formula anywhere is an error."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        styles = _styles(_xml(archive, "xl/styles.xml"))
        targets = {
            one.attrib["Id"]: one.attrib["Target"]
            for one in _xml(archive, "xl/_rels/workbook.xml.rels")
        }
        sheets = _xml(archive, "xl/workbook.xml").iter(f"{_MAIN}sheet")
        return {
            one.attrib["name"]: _sheet(_xml(archive, f"xl/{targets[one.attrib[_REL]]}"), styles)
            for one in sheets
        }


def _xml(archive: zipfile.ZipFile, name: str) -> ElementTree.Element:
    return ElementTree.fromstring(archive.read(name))  # noqa: S314 - our own


def _styles(root: ElementTree.Element) -> list[tuple[str, bool]]:
    formats = {
        one.attrib["numFmtId"]: one.attrib["formatCode"] for one in root.iter(f"{_MAIN}numFmt")
    }
    looks = root.find(f"{_MAIN}cellXfs")
    assert looks is not None
    return [
        (formats.get(xf.attrib["numFmtId"], "General"), xf.get("quotePrefix") == "1")
        for xf in looks
    ]


def _sheet(root: ElementTree.Element, styles: list[tuple[str, bool]]) -> SheetRead:
    assert root.find(f".//{_MAIN}f") is None
    rows = [
        dict(_cell(cell, styles, int(row.attrib["r"])) for cell in row)
        for row in root.iter(f"{_MAIN}row")
    ]
    found = root.find(f"{_MAIN}autoFilter")
    pane = root.find(f".//{_MAIN}pane")
    return SheetRead(
        rows,
        None if found is None else found.attrib["ref"],
        0 if pane is None else int(pane.attrib["ySplit"]),
        [float(one.attrib["width"]) for one in root.iter(f"{_MAIN}col")],
    )


def _cell(cell: ElementTree.Element, styles: list[tuple[str, bool]], row: int) -> tuple[str, Cell]:
    match = re.fullmatch(r"([A-Z]+)([0-9]+)", cell.attrib["r"])
    assert match is not None
    assert int(match[2]) == row
    format_, quoted = styles[int(cell.get("s", "0"))]
    kind = cell.get("t", "n")
    if kind == "inlineStr":
        text = cell.findtext(f"{_MAIN}is/{_MAIN}t") or ""
        plain = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
        return match[1], Cell(plain, "text", format_, quoted)
    return match[1], Cell(cell.findtext(f"{_MAIN}v") or "", kind, format_, quoted)
