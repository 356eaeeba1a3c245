"""How cells look: numbers of styles, and the part of a workbook that lists them."""

from __future__ import annotations

from enum import IntEnum

MOST_DECIMALS = 30
"""A number format of Excel has no more."""


class Style(IntEnum):
    """A cell's style, by its place in `styles_xml`; `decimals` gives those of exact numbers."""

    PLAIN = 0
    HEADER = 1
    HEADER_RIGHT = 2
    FORMULA_LIKE = 3  # text that begins as a formula does, and must not become one when edited
    INTEGER = 4
    DATE = 5
    MOMENT = 6
    MOMENT_UTC = 7
    DIGITS = 8  # a number that no double holds, as text, aligned as numbers are
    TITLE = 9
    NOTE = 10
    WRAPPED = 11
    SHARE = 12
    COUNT = 13
    STRONG = 14
    MARKED = 15
    GOOD = 16
    BAD = 17


_FIRST_DECIMALS = 18

_DATE, _MOMENT, _MOMENT_UTC, _SHARE, _COUNT, _FIRST_FORMAT = 164, 165, 166, 167, 168, 170


def decimals(scale: int) -> int:
    """Return the style of a number that is shown with so many digits after the point."""
    return _FIRST_DECIMALS + scale


def _xf(format_: int = 0, font: int = 0, fill: int = 0, more: str = "", inside: str = "") -> str:
    return (
        f'<xf numFmtId="{format_}" fontId="{font}" fillId="{fill}" borderId="0" xfId="0" '
        f'applyNumberFormat="1" applyFont="1" applyFill="1" applyAlignment="1"{more}>{inside}</xf>'
    )


_TEXT = ' quotePrefix="1"'
"""What cannot become a formula, or a number of fewer digits, when somebody edits the cell."""

_RIGHT = '<alignment horizontal="right"/>'
_TOP = '<alignment vertical="top" wrapText="1"/>'


def styles_xml() -> str:
    """Return `xl/styles.xml`."""
    formats = {
        _DATE: "yyyy\\-mm\\-dd",
        _MOMENT: "yyyy\\-mm\\-dd\\ hh:mm:ss",
        _MOMENT_UTC: 'yyyy\\-mm\\-dd\\ hh:mm:ss"Z"',
        _SHARE: "0.0\\ %",
        _COUNT: "#,##0",
    } | {_FIRST_FORMAT + scale: _digits(scale) for scale in range(MOST_DECIMALS + 1)}
    listed = "".join(
        f'<numFmt numFmtId="{number}" formatCode="{code.replace(chr(34), "&quot;")}"/>'
        for number, code in formats.items()
    )
    looks = [
        _xf(),
        _xf(font=1, fill=2, more=_TEXT),
        _xf(font=1, fill=2, more=_TEXT, inside=_RIGHT),
        _xf(more=_TEXT),
        _xf(1),
        _xf(_DATE),
        _xf(_MOMENT),
        _xf(_MOMENT_UTC),
        _xf(more=_TEXT, inside=_RIGHT),
        _xf(font=2, more=_TEXT),
        _xf(font=3, more=_TEXT),
        _xf(more=_TEXT, inside=_TOP),
        _xf(_SHARE),
        _xf(_COUNT),
        _xf(font=1, more=_TEXT),
        _xf(fill=3, more=_TEXT),
        _xf(font=4, more=_TEXT),
        _xf(font=5, more=_TEXT),
        *(_xf(_FIRST_FORMAT + scale) for scale in range(MOST_DECIMALS + 1)),
    ]
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
        '<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        f'<numFmts count="{len(formats)}">{listed}</numFmts>'
        f'<fonts count="6">{_font()}{_font("<b/>")}{_font("<b/>", 16)}'
        f"{_font('<i/>', 10, 'FF5A6270')}{_font('<b/>', 11, 'FF1B6E4B')}"
        f"{_font('<b/>', 11, 'FFA8321F')}</fonts>"
        '<fills count="4"><fill><patternFill patternType="none"/></fill>'
        '<fill><patternFill patternType="gray125"/></fill>'
        f"{_fill('FFE9EDF2')}{_fill('FFFFF1C9')}</fills>"
        '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
        '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/>'
        f'</cellStyleXfs><cellXfs count="{len(looks)}">{"".join(looks)}</cellXfs>'
        '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles>'
        "</styleSheet>"
    )


def _digits(scale: int) -> str:
    return "#,##0" + ("." + "0" * scale if scale else "")


def _font(kind: str = "", size: int = 11, colour: str = "FF1A1F29") -> str:
    return f'<font>{kind}<sz val="{size}"/><color rgb="{colour}"/><name val="Calibri"/></font>'


def _fill(colour: str) -> str:
    return f'<fill><patternFill patternType="solid"><fgColor rgb="{colour}"/></patternFill></fill>'
