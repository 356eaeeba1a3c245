"""Sheets of ODS are read exactly: values by their attributes, cells and rows that repeat, notes."""

from __future__ import annotations

import zipfile
from datetime import date, time
from decimal import Decimal
from pathlib import Path

import pytest

from kalla_core.errors import SourceUnreadable
from tests.support.ledgers import write_ods
from tests.support.sources import file_spec, format_spec, read_table

TWICE = (
    '<table:table-cell office:value-type="{}" office:value="{}" table:number-columns-repeated="2"/>'
)


def test_values_are_those_of_their_cells(tmp_path: Path) -> None:
    rows: list[list[object]] = [
        ["what", "day", "amount", "share", "at", "text"],
        [
            "a",
            date(2026, 3, 31),
            "<table:table-cell office:value-type='currency' office:currency='EUR'"
            " office:value='1845.8599999999999'/>",
            "<table:table-cell office:value-type='percentage' office:value='0.05'/>",
            "<table:table-cell office:value-type='time' office:time-value='PT10H05M07S'/>",
            "<table:table-cell office:value-type='string'><office:annotation><text:p>a note"
            "</text:p></office:annotation><text:p>two<text:s text:c='2'/><text:span>blanks"
            "</text:span></text:p></table:table-cell>",
        ],
    ]

    (row,) = read_table(file_spec(write_ods(tmp_path / "a.ods", {"S": rows}))).to_pylist()

    assert row["amount"] == Decimal("1845.86")
    assert row["share"] == Decimal("0.05")
    assert row["day"] == date(2026, 3, 31)
    assert row["at"] in ("10:05:07", time(10, 5, 7))
    assert row["text"] == "two  blanks"


def test_cells_and_rows_that_repeat_are_as_many(tmp_path: Path) -> None:
    sevens = TWICE.format("float", 7)
    path = write_ods(tmp_path / "a.ods", {"S": [["a", "b"], [sevens], [1, 2]]})
    twice = write_ods(tmp_path / "b.ods", {"S": [["a", "b"], [1, 2]]})
    repeat_rows(twice, 3)

    found = read_table(file_spec(path)).to_pylist()

    assert found == [{"a": 7, "b": 7}, {"a": 1, "b": 2}]
    assert read_table(file_spec(twice)).to_pylist() == [{"a": 1, "b": 2}] * 3


def repeat_rows(path: Path, times: int) -> None:
    """Say of the second row of a workbook that it is there several times."""
    with zipfile.ZipFile(path) as package:
        content = package.read("content.xml").decode()
    pieces = content.split("<table:table-row>")
    again = f'<table:table-row table:number-rows-repeated="{times}">'
    content = f"{pieces[0]}<table:table-row>{pieces[1]}{again}{pieces[2]}"
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("content.xml", content)


def test_a_header_below_other_rows_names_the_rows_by_their_numbers(tmp_path: Path) -> None:
    rows: list[list[object]] = [
        ["Statement"],
        ["IBAN", "DE12"],
        [],
        ["Date", "Amount"],
        [date(2026, 3, 31), -12.5],
    ]
    path = write_ods(tmp_path / "a.ods", {"S": rows})

    found = read_table(format_spec(path, {"header": 4})).to_pylist()

    assert found == [{"Date": date(2026, 3, 31), "Amount": Decimal("-12.5")}]


def test_a_merged_cell_of_the_header_names_all_columns_that_it_covers(tmp_path: Path) -> None:
    wide = (
        '<table:table-cell office:value-type="string" table:number-columns-spanned="2">'
        "<text:p>amount</text:p></table:table-cell><table:covered-table-cell/>"
    )
    path = write_ods(tmp_path / "a.ods", {"S": [["id", wide], [1, 2, 3]]})

    found = read_table(file_spec(path))

    assert found.column_names == ["id", "amount", "amount_2"]
    assert found.to_pylist() == [{"id": 1, "amount": 2, "amount_2": 3}]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("<table:table-cell table:formula='of:=1+1'/>", "formula without its value in the cell A2"),
        (
            "<table:table-cell office:value-type='float' office:value='x'/>",
            "cell A2 holds no float",
        ),
        ("<table:table-cell office:value-type='date'/>", "cell A2 holds no date"),
        ("<table:table-cell table:number-columns-repeated='-1'/>", "repeats something"),
        (TWICE.format("float", 1).replace('"2"', '"99999999"'), "more than 16,384 columns"),
    ],
)
def test_what_is_damaged_is_an_error_that_names_the_cell(
    tmp_path: Path, cell: str, said: str
) -> None:
    path = write_ods(tmp_path / "a.ods", {"S": [["a"], [cell]]})

    with pytest.raises(SourceUnreadable, match=said):
        read_table(file_spec(path))
