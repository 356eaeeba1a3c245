"""What a source's `format` says is how its rows are read: exactly, and however they are cut."""

from __future__ import annotations

import gzip
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalla_core.errors import InvalidFormat, SourceUnreadable
from kalla_core.sources.csv import cut, sample
from kalla_core.sources.registry import connector_for
from tests.support.sources import Rows, format_rows, format_spec

D = Decimal


CASES: dict[str, tuple[str, dict[str, Any], Rows]] = {
    "european numbers": (
        "id;n\n1;1.234,56\n2;9,00\n3;-950,00\n4;1.000,00\n",
        {"delimiter": ";", "decimal": ",", "thousands": "."},
        [(1, D("1234.56")), (2, D("9.00")), (3, D("-950.00")), (4, D("1000.00"))],
    ),
    "american thousands": (
        'id,n\n1,"1,234.56"\n2,9\n3,"-12,345,678.9"\n',
        {"thousands": ","},
        [(1, D("1234.56")), (2, D("9.00")), (3, D("-12345678.90"))],
    ),
    "indian thousands": (
        'id,n\n1,"12,34,567.50"\n',
        {"thousands": ","},
        [(1, D("1234567.50"))],
    ),
    "swiss thousands": ("id,n\n1,1'234.05\n", {"thousands": "'"}, [(1, D("1234.05"))]),
    "blanks of all kinds between thousands": (
        "id;n\n1;1 234,5\n2;1\u00a0234,5\n3;1\u202f234,5\n",
        {"delimiter": ";", "decimal": ",", "thousands": " "},
        [(n, D("1234.5")) for n in (1, 2, 3)],
    ),
    "whole numbers with thousands": (
        "id,n\n1,1.000\n2,20\n",
        {"decimal": ",", "thousands": "."},
        [(1, 1000), (2, 20)],
    ),
    "parentheses": (
        "id,n\n1,1234.56\n2,(950.00)\n",
        {"amounts": "parentheses"},
        [(1, D("1234.56")), (2, D("-950.00"))],
    ),
    "trailing minus and plus": (
        "id,n\n1,5.10-\n2,+7.25\n3,8.00\n",
        {"amounts": ["trailing_minus", "plus"]},
        [(1, D("-5.10")), (2, D("7.25")), (3, D("8.00"))],
    ),
    "currency signs": (
        "id,n\n1,$1234.56\n2,-$950.00\n3,$-1.00\n4,2.00\n5,($3.00)\n",
        {"amounts": "all"},
        [(1, D("1234.56")), (2, D("-950.00")), (3, D("-1.00")), (4, D("2.00")), (5, D("-3.00"))],
    ),
    "currency codes behind": (
        "id;n\n1;1.234,56 EUR\n2;-9,00 EUR\n",
        {"delimiter": ";", "decimal": ",", "thousands": ".", "amounts": "currency"},
        [(1, D("1234.56")), (2, D("-9.00"))],
    ),
    "blanks around": (
        "id,n\n1,  12.50 \n2,\u00a07.00\n",
        {"amounts": ["blanks"]},
        [(1, D("12.50")), (2, D("7.00"))],
    ),
    "two currencies are no number": (
        "id,n\n1,$5\n2,€5\n",
        {"amounts": "currency"},
        [(1, "$5"), (2, "€5")],
    ),
    "leading zeros stay text": (
        "id,n\n1,00123\n2,1.000\n",
        {"decimal": ",", "thousands": "."},
        [(1, "00123"), (2, "1.000")],
    ),
    "day first": (
        "id,d\n1,12/05/2026\n2,1/6/2026\n",
        {"date": "%d/%m/%Y"},
        [(1, date(2026, 5, 12)), (2, date(2026, 6, 1))],
    ),
    "the first date format that fits counts": (
        "id,d\n1,12.05.26\n2,03-Mar-1969\n3,4 december 2026\n",
        {"date": ["%d.%m.%y", "%d-%b-%Y", "%d %B %Y"]},
        [(1, date(2026, 5, 12)), (2, date(1969, 3, 3)), (3, date(2026, 12, 4))],
    ),
    "an iso date beside another format": (
        "id,d,e\n1,12/05/2026,2026-05-12\n",
        {"date": "%d/%m/%Y"},
        [(1, date(2026, 5, 12), date(2026, 5, 12))],
    ),
    "a day that does not exist is text": (
        "id,d\n1,31/02/2026\n",
        {"date": "%d/%m/%Y"},
        [(1, "31/02/2026")],
    ),
    "timestamps": (
        "id,t\n1,12/05/2026 1:05 PM\n2,12/05/2026 12:00 am\n",
        {"timestamp": "%d/%m/%Y %I:%M %p"},
        [(1, datetime(2026, 5, 12, 13, 5)), (2, datetime(2026, 5, 12))],
    ),
    "zoned timestamps": (
        "id,t\n1,12.05.2026 10:00:00.25+0200\n",
        {"timestamp": "%d.%m.%Y %H:%M:%S.%f%z"},
        [(1, datetime(2026, 5, 12, 8, 0, 0, 250_000, UTC))],
    ),
    "words for true, false and null": (
        "id,b,n\n1,Y,5\n2,N,N/A\n3,-,-\n",
        {"true": "Y", "false": ["N"], "null": ["N/A", "-"]},
        [(1, True, 5), (2, False, None), (3, None, None)],
    ),
    "a preamble, by number": (
        "Account statement\nIBAN:,DE00\n\nid,ref\n1,A\n2,B\n",
        {"header": 4},
        [(1, "A"), (2, "B")],
    ),
    "a preamble, by what the header starts with": (
        'Account "statement"\nIBAN:,DE00\n\n"id",ref\n1,A\n',
        {"header": "id"},
        [(1, "A")],
    ),
    "lines to skip at both ends": (
        "one\ntwo, and more\nid,n\n1,5\n2,6\nTotal,11\nprinted today\n\n",
        {"skip_first": 2, "skip_last": 2},
        [(1, 5), (2, 6)],
    ),
    "rows stop at a line": (
        'id,t\n1,"a\nTotal"\n2,b\n"Total",7\nprinted "today\n',
        {"stop": "Total"},
        [(1, "a\nTotal"), (2, "b")],
    ),
    "rows stop at an expression, in the last line": (
        "id,n\n1,5\n2,6\n  Saldo am 31.03.",
        {"stop": "(Saldo|Kontostand) am"},
        [(1, 5), (2, 6)],
    ),
    "rows that stop nowhere": ("id,n\n1,5\n2,6", {"stop": "n"}, [(1, 5), (2, 6)]),
    "rows that stop at once": ("id,n\nTotal,0\n", {"stop": "Total", "skip_last": 1}, []),
    "rows that are numbered": (
        'n,t\n5,"a\nb"\n\n# no row\n5,c\n5,d\n\n5,e\n',
        {"row_number": "row", "comment": "#"},
        [(1, 5, "a\nb"), (2, 5, "c"), (3, 5, "d"), (4, 5, "e")],
    ),
    "one amount of two columns": (
        "id,in,out\n1,5,\n2,,7.25\n3,0.00,1.5\n4,,\n5,2,3\n",
        {"amount": {"name": "amount", "credit": "in", "debit": "out"}},
        [
            (1, D(5), None, D(5)),
            (2, None, D("7.25"), D("-7.25")),
            (3, D(0), D("1.5"), D("-1.5")),
            (4, None, None, None),
            (5, D(2), D(3), D(-1)),
        ],
    ),
    "one amount, all debits": (
        "id;out;in\n1;1.000,50;\n2;7,00;\n",
        {"delimiter": ";", "decimal": ",", "thousands": ".",
         "amount": {"name": "amount", "credit": "in", "debit": "out"}},
        [(1, D("1000.5"), None, D("-1000.5")), (2, D(7), None, D(-7))],
    ),
    "one amount of whole numbers, debits with a minus": (
        "in,out\n5,\n,-7\n",
        {"amount": {"name": "n", "credit": "in", "debit": "out", "debit_sign": "minus"},
         "row_number": "r"},
        [(1, 5, None, 5), (2, None, -7, -7)],
    ),
    "debits that were taken back": (
        "in,out\n5,\n,-7\n",
        {"amount": {"name": "n", "credit": "in", "debit": "out", "debit_sign": "plus"}},
        [(5, None, 5), (None, -7, 7)],
    ),
    "no header": ("1,A\n2,B\n", {"header": False}, [(1, "A"), (2, "B")]),
    "trailing delimiters": (
        "id,ref\n1,A,\n2,,\n",
        {"trailing_delimiter": True},
        [(1, "A"), (2, None)],
    ),
    "trailing delimiters, header too": (
        "id;ref;\n1;A;\n",
        {"delimiter": ";", "trailing_delimiter": True},
        [(1, "A")],
    ),
    "comments, with quotes in them": (
        '# it is, "so\nid,t\n# one,"two\n1,"a\n#b"\n#\n2,c\n',
        {"comment": "#"},
        [(1, "a\n#b"), (2, "c")],
    ),
    "another quote": ("id|t\n1|'a|b'\n2|'it''s'\n", {"delimiter": "|", "quote": "'"},
                      [(1, "a|b"), (2, "it's")]),
    "no quote at all": (
        'id,t\n1,"12 inch\n2,x\n3,"14 inch\n',
        {"quote": "none"},
        [(1, '"12 inch'), (2, "x"), (3, '"14 inch')],
    ),
    "an escape": (
        'id,t\n1,"say \\"hi\\", twice"\n2,a\\,b\n3,"\\\\"\n',
        {"escape": "\\"},
        [(1, 'say "hi", twice'), (2, "a,b"), (3, "\\")],
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files of a few bytes be read in several blocks."""
    monkeypatch.setattr(cut, "BLOCK_BYTES", 16)


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_rows_are_what_the_format_says_whole_in_parts_and_packed(
    tmp_path: Path, name: str, packed: bool, parts: int
) -> None:
    text, found, expected = CASES[name]
    path = tmp_path / ("in.csv.gz" if packed else "in.csv")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())

    assert format_rows(path, found, parts) == expected


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_the_order_of_bytes_is_told_without_a_mark(
    tmp_path: Path, order: str, packed: bool
) -> None:
    data = "id;name\n1;Łódź\n2;Ωμέγα\n".encode(order)
    path = tmp_path / ("in.csv.gz" if packed else "in.csv")
    path.write_bytes(gzip.compress(data) if packed else data)

    rows = format_rows(path, {"encoding": order[:6], "delimiter": ";"})

    assert rows == [(1, "Łódź"), (2, "Ωμέγα")]


@pytest.mark.parametrize("encoding", ["cp1252", "iso8859-15", "utf-16", "utf-16-be", "cp437",
                                      "utf-8-sig", "utf-32"])  # fmt: skip
@pytest.mark.parametrize("parts", [1, 3])
def test_any_encoding_that_python_knows(tmp_path: Path, encoding: str, parts: int) -> None:
    text = 'id;name\r\n1;Müller\r\n2;"Groß;\r\nJäger"\r\n3;Äß\r\n'
    path = tmp_path / "in.csv"
    path.write_bytes(text.encode(encoding))

    rows = format_rows(path, {"encoding": encoding, "delimiter": ";"}, parts)

    assert rows == [(1, "Müller"), (2, "Groß;\r\nJäger"), (3, "Äß")]


@pytest.mark.parametrize(("encoding", "delimiter"), [("shift_jis", ","), ("shift_jis", "|"),
                                                     ("gb18030", ";"), ("big5", "|")])  # fmt: skip
def test_bytes_of_a_long_character_are_no_delimiters(
    tmp_path: Path, encoding: str, delimiter: str
) -> None:
    names = ["表示ソ予", "功能許蓋"] if encoding != "gb18030" else ["表示", "㐀𠀀"]
    if encoding == "shift_jis":
        names[1] = "噂能構申"
    lines = [f"{n}{delimiter}{name}" for n, name in enumerate(names)]
    path = tmp_path / "in.csv"
    names_line = f"id{delimiter}name"
    path.write_bytes("\n".join([names_line, *lines, ""]).encode(encoding, "replace"))

    rows = format_rows(path, {"encoding": encoding, "delimiter": delimiter}, 3)

    assert [n for n, _ in rows] == [0, 1]
    assert [text.encode(encoding) for _, text in rows] == [
        name.encode(encoding, "replace") for name in names
    ]


def test_blank_and_double_names_are_told(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("ref,,ref,ref_2,ref\n1,2,3,4,5\n")
    spec = format_spec(path, {})

    with connector_for(spec).pin(spec) as pinned:
        assert pinned.schema.names == ["ref", "column_2", "ref_3", "ref_2", "ref_4"]
        (note,) = pinned.notes

    assert "column 2, which has no name, is called `column_2`" in note
    assert "column 3, another `ref`, is called `ref_3`" in note


@pytest.mark.parametrize(
    ("text", "found", "says"),
    [
        ("id,n\n1,5,6\n", {"trailing_delimiter": True}, r"line 2 .*`6` stands behind"),
        ("id,n\n1,5\n", {"trailing_delimiter": True}, r"line 2 .*columns?, but the header has 2"),
        ("a\nb\n", {"header": 5}, "no line 5"),
        ("a\nb\n", {"header": "id"}, "No line .* starts with `id`"),
        ("id,n\n1,\xe9\n", {"encoding": "ascii"}, r"line 2 .*0xc3 is not ascii"),
        ("id,n\n1,5\n", {"encoding": "utf-16"}, "is not utf-16"),
        ('id,t\n1,"a"b\n', {}, '"quote": "none"'),
        ("id,t\n1,a,\n", {}, '"trailing_delimiter": true'),
        ("My bank\nid,t\n1,a\n2,b\n", {}, '"header": 2'),
    ],
)
def test_what_the_format_does_not_read_is_told_with_its_line(
    tmp_path: Path, text: str, found: dict[str, Any], says: str
) -> None:
    path = tmp_path / "in.csv"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(SourceUnreadable, match=says):
        format_rows(path, found)


@pytest.mark.parametrize(
    ("last", "says"),
    [("1.2.3", "`1.2.3` is no decimal"), ("5 $", "`5 \\$` is no decimal"), ("x", "`x` is no")],
)
def test_a_later_value_that_is_written_otherwise_is_an_error_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str, says: str
) -> None:
    monkeypatch.setattr(sample, "HEAD_BYTES", 100)
    monkeypatch.setattr(sample, "WINDOWS", 0)
    path = tmp_path / "in.csv"
    path.write_text("n\n" + "1.234,50 EUR\n" * 20 + f"{last}\n1,00 EUR\n")
    found = {"delimiter": ";", "decimal": ",", "thousands": ".", "amounts": "currency"}

    with pytest.raises(SourceUnreadable, match=f"line 22 .*{says}"):
        format_rows(path, found, 2)


def test_typed_columns_are_read_in_the_format_too(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("a;b;c;d\n007;1,5;1.000,25;03/04/2026\n")
    found = {"delimiter": ";", "decimal": ",", "thousands": ".", "date": "%d/%m/%Y"}
    types = {"a": "integer", "b": "double", "c": "decimal(50,3)", "d": "date"}

    assert format_rows(path, found, types=types) == [(7, 1.5, D("1000.250"), date(2026, 4, 3))]


def test_a_format_and_a_uri_that_contradict_each_other(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("a;b\n1;2\n")

    with pytest.raises(InvalidFormat, match="one `delimiter` and `format` another"):
        format_rows(f"{path}?delimiter=|", {"delimiter": ";"})

    assert format_rows(f"{path}?delimiter=;", {"delimiter": ";"}) == [(1, 2)]


amounts = st.decimals(-(10**9), 10**9, places=2).map(lambda number: number.quantize(D("0.01")))


@given(st.lists(amounts, min_size=1, max_size=30), st.sampled_from([".,", ",.", ", ", ".'"]))
@settings(deadline=None, max_examples=60)
def test_amounts_written_in_any_manner_are_read_as_they_were_meant(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[Decimal], signs: str
) -> None:
    decimal, thousands = signs
    table = str.maketrans({",": thousands, ".": decimal})
    written = [
        (f"({abs(number):,.2f})" if number < 0 else f"{number:,.2f}").translate(table)
        for number in numbers
    ]
    path = tmp_path_factory.mktemp("amounts") / "in.csv"
    path.write_text("\n".join(["n|", *(f"{one}|" for one in written), ""]))
    found = {"decimal": decimal, "thousands": thousands, "amounts": "parentheses",
             "delimiter": "|", "trailing_delimiter": True}  # fmt: skip

    assert format_rows(path, found, 3) == [(number,) for number in numbers]


@pytest.mark.parametrize("form", [None, "%d.%m.%Y"])
def test_days_that_are_few_among_many_rows_are_read_like_others(
    tmp_path: Path, form: str | None
) -> None:
    days = [date(2026, 1 + n % 12, 1 + n % 28) if n % 7 else None for n in range(3000)]
    texts = ["" if day is None else day.strftime(form or "%Y-%m-%d") for day in days]
    path = tmp_path / "in.csv"
    path.write_text("\n".join(["id,day", *(f"{n},{text}" for n, text in enumerate(texts)), ""]))

    rows = format_rows(path, {"date": form} if form else {}, types={"day": "date"})

    assert [row[1] for row in rows] == days
    path.write_text(path.read_text() + "3000,soon\n")
    with pytest.raises(SourceUnreadable, match=r"line 3002 of in\.csv: column `day`: `soon`"):
        format_rows(path, {"date": form} if form else {}, types={"day": "date"})
