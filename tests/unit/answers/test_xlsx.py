"""Rows as a workbook: exact, harmless, and whole however many there are."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_core.answers.encode import Format, Sink, encoded
from kalla_core.answers.xlsx.book import Book
from kalla_core.answers.xlsx.cells import MOST_CHARACTERS
from kalla_core.answers.xlsx.sheet import MOST_COLUMNS, MOST_ROWS
from kalla_core.errors import InvalidSetting
from tests.support.workbook import Cell, SheetRead, read_workbook


def read(table: pa.Table, name: str = "rows") -> SheetRead:
    data = b"".join(encoded(Format.XLSX, table.schema, iter(table.to_batches()), name))
    return read_workbook(data)[name]


def cells(column: pa.Array) -> list[Cell | None]:
    return [row.get("A") for row in read(pa.table({"c": column})).rows[1:]]


def test_a_table_has_a_header_in_sight_filters_and_widths() -> None:
    table = pa.table({"key": ["A-1", "A-2"], "note": ["x" * 300, None], "n": [1, 2]})

    sheet = read(table)

    assert sheet.values()[0] == ["key", "note", "n"]
    assert sheet.filter == "A1:C3"
    assert sheet.frozen == 1
    assert sheet.widths[1] > sheet.widths[0] > 0
    assert sheet.widths[1] < 70


def test_amounts_are_numbers_to_fifteen_digits_and_text_beyond() -> None:
    digits = [
        "12345678901234.56",
        "9999999999999.99",
        "-9999999999999.99",
        "0.10",
        "10000000000000.00",
    ]
    column = pa.array([Decimal(one) for one in digits], pa.decimal128(38, 2))

    shown = cells(column)

    assert [cell and cell.value for cell in shown] == digits
    assert [cell and cell.kind for cell in shown] == ["text", "n", "n", "n", "text"]
    assert shown[3] is not None
    assert shown[3].format == "#,##0.00"


def test_whole_numbers_that_no_double_holds_are_text() -> None:
    shown = cells(pa.array([10**15 - 1, 10**15, 2**64 - 1, None], pa.uint64()))

    assert [cell and (cell.kind, cell.value) for cell in shown] == [
        ("n", "999999999999999"),
        ("text", "1000000000000000"),
        ("text", "18446744073709551615"),
        None,
    ]


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False, places=4), max_size=8))
def test_a_number_in_a_sheet_reads_back_as_the_amount_it_is(amounts: list[Decimal]) -> None:
    fitting = [amount for amount in amounts if abs(amount) < Decimal(10) ** 60]
    column = pa.array(fitting, pa.decimal256(70, 4))

    shown = cells(column)

    for amount, cell in zip(fitting, shown, strict=True):
        assert cell is not None
        assert Decimal(cell.value) == amount
        if cell.kind == "n":
            assert f"{Decimal(repr(float(cell.value))):.4f}" == f"{amount:.4f}"


def test_numbers_that_are_none_are_text() -> None:
    shown = cells(pa.array([0.1, float("nan"), float("-inf"), 1e20]))

    assert [cell and (cell.kind, cell.value) for cell in shown] == [
        ("n", "0.1"),
        ("text", "nan"),
        ("text", "-inf"),
        ("n", "1e+20"),
    ]


def test_dates_are_days_that_excel_counts_and_text_before_it_counts_right() -> None:
    days = [date(2026, 3, 31), date(1900, 3, 1), date(1900, 2, 28), date(1600, 1, 1), None]

    shown = cells(pa.array(days, pa.date32()))

    assert [cell and (cell.kind, cell.value) for cell in shown] == [
        ("n", "46112"),
        ("n", "61"),
        ("text", "1900-02-28"),
        ("text", "1600-01-01"),
        None,
    ]
    assert shown[0] is not None
    assert shown[0].format == r"yyyy\-mm\-dd"


def test_moments_are_in_utc_where_they_have_a_zone_and_say_so() -> None:
    noon = datetime(2026, 3, 31, 12, tzinfo=UTC)
    zoned = cells(pa.array([noon], pa.timestamp("us", "Europe/Berlin")))
    plain = cells(pa.array([noon.replace(tzinfo=None)], pa.timestamp("ns")))

    for shown in (zoned, plain):
        assert shown[0] is not None
        assert (shown[0].kind, shown[0].value) == ("n", "46112.5")
    assert zoned[0] is not None
    assert zoned[0].format.endswith('"Z"')


@pytest.mark.parametrize(
    "text",
    ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "=HYPERLINK(...)", "\uff1d1+1"],
)
def test_text_that_looks_like_a_formula_stays_text_also_when_it_is_edited(text: str) -> None:
    shown = cells(pa.array([text, "plain"]))

    assert shown[0] == Cell(text, "text", "General", quoted=True)
    assert shown[1] == Cell("plain", "text", "General", quoted=False)


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script> & ]]>",
        "\u202eevil \u2066rtl",
        "שלום 😀",
        "\x00\x07\r\n\t end",
        "_x000D_ as written",
        "\ufffe\uffff",
        "  kept  ",
        "",
    ],
)
def test_any_text_reads_back_as_it_is(text: str) -> None:
    table = pa.table({text: ["head"], "c": [text]})

    sheet = read(table)

    assert sheet.rows[0]["A"].value == text
    assert sheet.rows[1]["B"].value == text


@given(st.text())
def test_any_text_at_all_reads_back(text: str) -> None:
    shown = cells(pa.array([text]))

    assert shown[0] is not None
    assert shown[0].value == text


@pytest.mark.parametrize(("sign", "units"), [("x", 1), ("😀", 2)])
def test_a_text_too_long_for_a_cell_is_cut_and_says_so(sign: str, units: int) -> None:
    shown = cells(pa.array([sign * 40_000, "short"]))

    assert shown[0] is not None
    assert shown[0].value.endswith("…")
    assert len(shown[0].value.encode("utf-16-le")) // 2 <= MOST_CHARACTERS
    assert len(shown[0].value) > MOST_CHARACTERS // (units + 1)


def test_rows_beyond_what_a_sheet_holds_go_on_in_the_next_with_the_header_again() -> None:
    sink = io.BytesIO()
    with Book(sink) as book:
        table = book.table("open", pa.schema([("n", pa.int64())]), most_rows=4)
        for start in (0, 5):
            table.write(pa.record_batch({"n": list(range(start, start + 5))}))
        table.close()

    sheets = read_workbook(sink.getvalue())

    assert list(sheets) == ["open", "open 2", "open 3", "open 4"]
    seen = [cell for sheet in sheets.values() for (cell,) in sheet.values()[1:]]
    assert seen == [str(n) for n in range(10)]
    assert all(sheet.values()[0] == ["n"] for sheet in sheets.values())
    assert [sheet.filter for sheet in sheets.values()] == ["A1:A4", "A1:A4", "A1:A4", "A1:A2"]


def test_a_sheet_is_full_with_the_rows_that_excel_has() -> None:
    assert MOST_ROWS == 2**20
    rows = pa.record_batch({"n": pa.nulls(100_000, pa.int8())})
    sink = Sink()

    with Book(sink) as book:
        table = book.table("t", rows.schema)
        for _ in range(11):
            table.write(rows)
        table.close()
        assert book.sheets == ("t", "t 2")


def test_too_many_columns_are_refused_by_name() -> None:
    schema = pa.schema([(f"c{number}", pa.int8()) for number in range(MOST_COLUMNS + 1)])

    with pytest.raises(InvalidSetting, match=r"16,384 columns.*--columns"):
        list(encoded(Format.XLSX, schema, iter(())))


def test_a_table_without_rows_is_a_sheet_with_a_header() -> None:
    sheet = read(pa.table({"a": pa.array([], pa.int64())}), "matched")

    assert sheet.values() == [["a"]]
    assert sheet.filter == "A1:A1"
