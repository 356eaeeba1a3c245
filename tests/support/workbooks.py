"""Workbooks written cell by cell, as programs write them that no library is like."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from xml.sax.saxutils import escape

from kalla_core.sources.sheets.grid import cell_name

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATED = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGED = "http://schemas.openxmlformats.org/package/2006/relationships"
DAY, MOMENT = 1, 2
STYLES = (
    '<numFmts count="1"><numFmt numFmtId="164" formatCode="dd/mm/yyyy\\ hh:mm:ss.000"/></numFmts>'
    '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/></cellXfs>'
)


class Raw(str):
    """The XML of a cell's element, its `r` left out: `t="e"><v>#N/A</v>`."""


def cell(row: int, column: int, value: object) -> str:
    """Return the XML of a cell; none for None."""
    start = f'<c r="{cell_name(row, column)}" '
    match value:
        case None:
            return ""
        case Raw():
            return f"{start}{value}</c>"
        case bool():
            return f'{start}t="b"><v>{int(value)}</v></c>'
        case int() | float() | Decimal():
            return f"{start}><v>{value}</v></c>"
        case datetime():
            return f'{start}s="{MOMENT}"><v>{serial(value)!r}</v></c>'
        case date():
            at = datetime.combine(value, datetime.min.time())
            return f'{start}s="{DAY}"><v>{serial(at):g}</v></c>'
        case _:
            text = escape(str(value), {"\r": "_x000D_"})
            return f'{start}t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'


def serial(moment: datetime) -> float:
    """Return the number of days since the end of 1899, as Excel counts them."""
    return (moment - datetime(1899, 12, 30)) / timedelta(days=1)


def sheet_xml(rows: Sequence[Sequence[object]], behind: str = "", before: str = "") -> str:
    """Return the XML of a sheet."""
    lines = [
        f'<row r="{number}">'
        + "".join(cell(number, column, value) for column, value in enumerate(row))
        + "</row>"
        for number, row in enumerate(rows, 1)
    ]
    data = f"<sheetData>{''.join(lines)}</sheetData>"
    return f'<worksheet xmlns="{MAIN}">{before}{data}{behind}</worksheet>'


def write_xlsx(
    path: Path,
    sheets: Mapping[str, str],
    shared: Sequence[str] = (),
    styles: str = STYLES,
    properties: str = "",
    without: Sequence[str] = (),
) -> Path:
    """Write a workbook.

    Args:
        sheets: XML by name.
        shared: the XML of the texts that cells have in common.
        styles: XML between `styleSheet`.
        properties: XML before the sheets.
        without: files that are left out.
    """
    names = "".join(
        f'<sheet name="{escape(name)}" sheetId="{n}" r:id="rId{n}"/>'
        for n, name in enumerate(sheets, 1)
    )
    texts = "".join(f"<si>{one}</si>" for one in shared)
    links = [
        (f"rId{n}", "worksheet", f"worksheets/sheet{n}.xml") for n in range(1, len(sheets) + 1)
    ]
    links += [("rId901", "styles", "styles.xml"), ("rId902", "sharedStrings", "/xl/shared.xml")]
    files = {
        "_rels/.rels": _links([("rId1", "officeDocument", "xl/workbook.xml")]),
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{RELATED}">{properties}'
        f"<sheets>{names}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": _links(links),
        "xl/styles.xml": f'<styleSheet xmlns="{MAIN}">{styles}</styleSheet>',
        "xl/shared.xml": f'<sst xmlns="{MAIN}">{texts}</sst>',
        **{f"xl/worksheets/sheet{n}.xml": xml for n, xml in enumerate(sheets.values(), 1)},
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in files.items():
            if name not in without:
                package.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{content}')
    return path


def _links(links: Sequence[tuple[str, str, str]]) -> str:
    inner = "".join(
        f'<Relationship Id="{key}" Type="{RELATED}/{kind}" Target="{target}"/>'
        for key, kind, target in links
    )
    return f'<Relationships xmlns="{PACKAGED}">{inner}</Relationships>'
