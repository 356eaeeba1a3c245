from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from openpyxl import Workbook

from kalla_core.errors import InvalidFormat, KallaError, SourceUnreadable
from kalla_core.sources.registry import connector_for
from tests.support.sources import file_spec, format_rows, format_spec, read_rows, types_of
from tests.support.workbooks import STYLES, Raw, sheet_xml, write_xlsx


def book(tmp_path: Path, rows: list[list[Any]], behind: str = "", **parts: Any) -> Path:
    return write_xlsx(tmp_path / "book.xlsx", {"Data": sheet_xml(rows, behind)}, **parts)


def number(text: str) -> Raw:
    return Raw(f"><v>{text}</v>")


def test_a_workbook_of_another_program_is_read_with_its_types(tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    workbook = Workbook()
    sheet = workbook.active
    sheet.append(["id", "name", "amount", "day", "entered", "paid"])
    sheet.append([7, "Ö & Söhne", 1845.86, date(2026, 3, 31), datetime(2026, 3, 31, 9, 5), True])
    sheet.append([12, "00123", -0.5, date(1900, 1, 1), datetime(1999, 12, 31, 23, 59, 59), False])
    workbook.save(path)

    rows, types = read_rows(path), types_of(path)

    assert rows == [
        (7, "Ö & Söhne", Decimal("1845.86"), date(2026, 3, 31), datetime(2026, 3, 31, 9, 5), True),
        (
            12,
            "00123",
            Decimal("-0.50"),
            date(1900, 1, 1),
            datetime(1999, 12, 31, 23, 59, 59),
            False,
        ),
    ]
    assert types["amount"] == pa.decimal128(18, 2)
    assert types["day"] == pa.date32()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1845.86", "1845.86"),
        ("1845.8599999999999", "1845.86"),
        ("0.30000000000000004", "0.3"),
        ("1E-7", "0.0000001"),
        ("1.5E+3", "1500.0"),
        ("-1.1000000000000001", "-1.1"),
        ("0.33333333333333331", "0.333333333333333"),
        ("123456789012.34", "123456789012.34"),
        ("1234567890123456.78", "1234567890123456.78"),
        ("9007199254740993.5", "9007199254740993.5"),
        ("4.35", "4.35"),
        ("4.3499999999999996", "4.35"),
    ],
)
def test_a_number_is_the_one_that_is_shown(tmp_path: Path, written: str, meant: str) -> None:
    path = book(tmp_path, [["n"], [number(written)], [number("0.5")]])

    ((first,), _) = read_rows(path)

    assert first == Decimal(meant)


@pytest.mark.parametrize("written", ["12345678901234567890", "1.2345678901234567E+19"])
def test_a_whole_number_keeps_all_digits_that_are_written(tmp_path: Path, written: str) -> None:
    path = book(tmp_path, [["n"], [number(written)]])

    assert format_rows(path, {}, types={"n": "text"}) == [(f"{Decimal(written):f}",)]


def test_a_formula_has_the_value_that_was_calculated(tmp_path: Path) -> None:
    formulas = [Raw("><f>A1*2</f><v>42</v>"), Raw('t="str"><f>B1&amp;"x"</f><v>a x</v>')]
    path = book(tmp_path, [["n", "text"], formulas])

    assert read_rows(path) == [(42, "a x")]


@pytest.mark.parametrize(
    "cell", ["><f>A3*2</f>", "><f>A3*2</f><v/>", "><f>A3*2</f><v></v>", 't="n"><f>A3*2</f><v />']
)
def test_a_formula_without_a_value_is_no_null(tmp_path: Path, cell: str) -> None:
    path = book(tmp_path, [["n", "m"], [1, 2], [1, Raw(cell)]])

    with pytest.raises(SourceUnreadable, match=r"formula without its value in the cell B3.*save"):
        read_rows(path)


def test_a_formula_that_gives_an_empty_text_has_a_value(tmp_path: Path) -> None:
    path = book(tmp_path, [["n", "m"], [1, Raw('t="str"><f>IF(A2,"","x")</f><v></v>')], [2, "y"]])

    assert [row[0] for row in read_rows(path)] == [1, 2]


@pytest.mark.parametrize(("says", "refused"), [("1", True), ("0", False)])
def test_zeros_of_formulas_that_are_yet_to_be_calculated_are_no_values(
    tmp_path: Path, says: str, refused: bool
) -> None:
    rows = [["n", "m"], [1, Raw("><f>A2*2</f><v>0</v>")], [0, Raw("><v>0</v>")]]
    path = write_xlsx(
        tmp_path / "in.xlsx",
        {"One": sheet_xml(rows)},
        properties=f'<calcPr calcId="124519" fullCalcOnLoad="{says}"/>',
    )

    if not refused:
        assert read_rows(path) == [(1, 0), (0, 0)]
        return
    with pytest.raises(SourceUnreadable, match="formula without its value in the cell B2"):
        read_rows(path)


def test_formulas_of_a_program_that_does_not_calculate_are_no_nulls(tmp_path: Path) -> None:
    workbook = Workbook()
    for row in (["n", "m"], [1, "=A2*2"]):
        workbook.active.append(row)
    workbook.save(tmp_path / "in.xlsx")

    with pytest.raises(SourceUnreadable, match="formula without its value in the cell B2"):
        read_rows(tmp_path / "in.xlsx")


def test_an_error_of_a_cell_is_a_text_that_can_mean_null(tmp_path: Path) -> None:
    path = book(tmp_path, [["id", "n"], [1, 2.5], [2, Raw('t="e"><v>#N/A</v>')]])

    assert read_rows(path) == [(1, "2.5"), (2, "#N/A")]
    assert format_rows(path, {"null": "#N/A"}) == [(1, Decimal("2.5")), (2, None)]


def test_texts_that_cells_have_in_common_are_whole(tmp_path: Path) -> None:
    shared = [
        "<t>name</t>",
        '<r><t xml:space="preserve">two </t></r><r><rPr/><t>runs</t></r><rPh><t>X</t></rPh>',
        "<t>a_x000D_b</t>",
        "<t/>",
    ]
    rows = [[Raw(f't="s"><v>{index}</v>')] for index in range(4)]
    path = book(tmp_path, rows, shared=shared)

    assert read_rows(path) == [("two runs",), ("a\rb",), ("",)]


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("yyyy-mm-dd", "2026-03-31 12:00:00"),
        ("[$-409]d\\-mmm\\-yy;@", "2026-03-31 12:00:00"),
        ("hh:mm:ss", "2026-03-31 12:00:00"),
        ('0.00" days"', "46112.5"),
        ("[Red]#,##0.00", "46112.5"),
        ("[h]:mm", "46112.5"),
        ("General", "46112.5"),
        ("mmm", "2026-03-31 12:00:00"),
    ],
)
def test_a_number_is_a_date_where_its_format_shows_one(
    tmp_path: Path, code: str, shown: str
) -> None:
    styles = (
        f"<numFmts><numFmt numFmtId='170' formatCode='{code}'/></numFmts>"
        "<cellStyleXfs><xf numFmtId='14'/></cellStyleXfs><cellXfs><xf numFmtId='170'/></cellXfs>"
    )
    path = book(tmp_path, [["at"], [Raw('s="0"><v>46112.5</v>')]], styles=styles)

    assert format_rows(path, {}, types={"at": "text"}) == [(shown,)]


def test_days_are_counted_from_where_the_workbook_counts(tmp_path: Path) -> None:
    rows = [["at"], [Raw('s="1"><v>44650</v>')]]

    apple = book(tmp_path, rows, properties='<workbookPr date1904="1"/>')

    assert read_rows(apple) == [(date(2026, 3, 31),)]


def test_there_was_no_29_february_1900(tmp_path: Path) -> None:
    rows = [["at"], *([Raw(f's="1"><v>{day}</v>')] for day in (1, 59, 60, 61))]

    found = format_rows(book(tmp_path, rows), {}, types={"at": "text"})

    assert found == [("1900-01-01",), ("1900-02-28",), ("60",), ("1900-03-01",)]


def test_values_and_texts_are_read_alike_whatever_the_texts_are_written_like(
    tmp_path: Path,
) -> None:
    rows = [
        ["amount", "day"],
        [1845.86, date(2026, 3, 31)],
        ["1.845,86", "31.03.2026"],
        [-1234, date(2026, 4, 1)],
    ]

    found = format_rows(
        book(tmp_path, rows), {"decimal": ",", "thousands": ".", "date": "%d.%m.%Y"}
    )

    assert found == [
        (Decimal("1845.86"), date(2026, 3, 31)),
        (Decimal("1845.86"), date(2026, 3, 31)),
        (Decimal(-1234), date(2026, 4, 1)),
    ]


def test_a_header_below_a_title_is_found_and_what_follows_the_rows_is_left_out(
    tmp_path: Path,
) -> None:
    rows = [["Bank", None, "of X"], [], ["id", "amount"], [1, 2.5], [], [2, 3.5], ["Total", 6]]
    path = book(tmp_path, rows)

    by_text = format_rows(path, {"header": "id", "stop": "Total"})
    by_number = format_rows(path, {"header": 3, "skip_last": 1, "row_number": "row"})

    assert by_text == [(1, Decimal("2.5")), (2, Decimal("3.5"))]
    assert by_number == [(1, 1, Decimal("2.5")), (2, 2, Decimal("3.5"))]


def test_merged_cells_of_a_header_name_all_their_columns(tmp_path: Path) -> None:
    rows = [["id", "amount", None, "note", None], [1, 2, 3, "a", "b"]]
    merged = '<mergeCells><mergeCell ref="B1:C1"/><mergeCell ref="D1:E1"/></mergeCells>'
    path = book(tmp_path, rows, merged)

    assert list(types_of(path)) == ["id", "amount", "amount_2", "note", "note_2"]


def test_a_header_of_two_rows_is_named_by_cells_that_reach_into_it(tmp_path: Path) -> None:
    rows = [["id", "amounts"], [None, "in", "out"], [1, 2, 3]]
    merged = '<mergeCells><mergeCell ref="A1:A2"/><mergeCell ref="B1:C1"/></mergeCells>'
    path = book(tmp_path, rows, merged)

    spec = format_spec(path, {"header": 2})
    with connector_for(spec).pin(spec) as pinned:
        assert pinned.schema.names == ["id", "in", "out"]


def test_the_sheet_is_chosen_by_name_or_number_and_the_first_one_with_a_word(
    tmp_path: Path,
) -> None:
    sheets = {name: sheet_xml([[name], [1]]) for name in ("Jan", "Feb & Mar")}
    path = write_xlsx(tmp_path / "book.xlsx", sheets)

    for wanted in ("Feb & Mar", 2):
        spec = format_spec(path, {"sheet": wanted})
        with connector_for(spec).pin(spec) as pinned:
            assert pinned.schema.names == ["Feb & Mar"]
            assert pinned.notes == ()
    assert list(types_of(f"{path}?sheet=2")) == ["Feb & Mar"]
    with connector_for(file_spec(path)).pin(file_spec(path)) as pinned:
        assert pinned.schema.names == ["Jan"]
        assert pinned.notes == (
            "Of the 2 sheets of `book.xlsx`, `Jan`, the first, is read; `sheet` in the source's"
            " `format` says another one: `Feb & Mar`.",
        )


@pytest.mark.parametrize(
    ("found", "error", "says"),
    [
        ({"sheet": "Dta"}, InvalidFormat, r"no sheet `Dta`. Did you mean `Data`\?"),
        ({"sheet": 2}, InvalidFormat, "no sheet 2: the workbook has 1"),
        ({"delimiter": ";"}, InvalidFormat, "Workbooks have no `delimiter`"),
        ({"header": "Nr"}, SourceUnreadable, "No line of .* starts with `Nr`"),
    ],
)
def test_what_does_not_go_with_the_workbook_is_refused(
    tmp_path: Path, found: dict[str, Any], error: type[KallaError], says: str
) -> None:
    path = book(tmp_path, [["id"], [1]])

    with pytest.raises(error, match=says):
        format_rows(path, found)


def test_a_value_that_no_header_names_is_not_left_out_in_silence(tmp_path: Path) -> None:
    path = book(tmp_path, [["id", "n"], [1, 2], [1, 2, None, "note"]])

    with pytest.raises(SourceUnreadable, match=r"the value `note` in the cell D3, right of .* B"):
        read_rows(path)


def test_a_value_of_another_type_is_named_with_its_row(tmp_path: Path) -> None:
    rows: list[list[Any]] = [["id", "n"], *([n, n] for n in range(200)), [7, "seven"]]
    path = book(tmp_path, rows)

    with pytest.raises(SourceUnreadable, match=r"line 202 of book\.xlsx: column `n`: `seven`"):
        format_rows(path, {}, types={"n": "integer"})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest", "old .xls workbook, or one with a password"),
        (b"PK\x03\x04", "no whole workbook"),
        (b"", "no whole workbook"),
        (b"id,n\n1,2\n", "no whole workbook"),
    ],
)
def test_what_is_no_workbook_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "book.xlsx"
    path.write_bytes(content)

    with pytest.raises(SourceUnreadable, match=says):
        read_rows(path)


@pytest.mark.parametrize(
    "missing", ["_rels/.rels", "xl/workbook.xml", "xl/shared.xml", "xl/worksheets/sheet1.xml"]
)
def test_a_workbook_that_lacks_a_file_is_named(tmp_path: Path, missing: str) -> None:
    path = book(tmp_path, [["id"], [1]], without=[missing])

    with pytest.raises(SourceUnreadable, match=f"it has no `{missing}`"):
        read_rows(path)


def test_xml_that_unfolds_without_an_end_is_refused(tmp_path: Path) -> None:
    sheet = sheet_xml([["id"], [1]])
    bomb = f'<!DOCTYPE x [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>{sheet}'
    path = write_xlsx(tmp_path / "book.xlsx", {"Data": bomb}, styles=STYLES)

    with pytest.raises(SourceUnreadable, match="document type, which no such file has"):
        read_rows(path)
