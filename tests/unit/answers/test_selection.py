"""Rows and columns of evidence that somebody asks for, and CSV that does no harm."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from kalla_core.answers.encode import Format, csv_for_spreadsheets, encoded
from kalla_core.answers.selection import Selection, select, sets_of
from kalla_core.errors import InvalidSetting, UnknownColumn
from kalla_core.evidence.reader import Evidence, open_evidence
from kalla_core.recipe.parse import load_recipe
from tests.support.books import make_books
from tests.support.runs import run_in_process


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evidence]:
    folder = tmp_path_factory.mktemp("books")
    run_in_process(load_recipe(make_books(folder).write()), folder / "out")
    with open_evidence(folder / "out") as opened:
        yield opened


def rows(evidence: Evidence, asked: Selection) -> pa.Table:
    chosen = select(evidence, asked)
    return pa.Table.from_batches(chosen.batches(), chosen.schema)


def test_everything_there_is_has_a_name(evidence: Evidence) -> None:
    assert sets_of(evidence) == ("matched", "unmatched_left", "unmatched_right")


def test_rows_of_a_reason_are_those_that_have_it(evidence: Evidence) -> None:
    table = evidence.table("unmatched_left.parquet")
    counted = Counter(table.column("rejection_reason").to_pylist())

    for reason, count in counted.items():
        chosen = rows(evidence, Selection("unmatched_left", (reason,), ("record_key", "amount")))
        assert chosen.column_names == ["record_key", "amount"]
        assert len(chosen) == count
    assert len(rows(evidence, Selection("unmatched_left", tuple(counted)))) == len(table)
    assert len(rows(evidence, Selection("unmatched_left", ("unbalanced",)))) == 0


def test_columns_come_in_the_order_in_which_they_are_asked_for(evidence: Evidence) -> None:
    asked = ("amount", "record_key", "amount")

    assert rows(evidence, Selection("unmatched_left", (), asked)).column_names == [
        "amount",
        "record_key",
    ]


def test_what_is_not_there_is_named_with_what_is(evidence: Evidence) -> None:
    with pytest.raises(InvalidSetting, match="unmatched_left, unmatched_right"):
        select(evidence, Selection("open"))
    with pytest.raises(UnknownColumn, match="Did you mean `amount`"):
        select(evidence, Selection("unmatched_left", (), ("amuont",)))
    with pytest.raises(InvalidSetting, match="have no reason"):
        select(evidence, Selection("matched", ("key_null",)))


def test_a_reason_that_no_run_gives_is_a_slip_of_the_pen(evidence: Evidence) -> None:
    with pytest.raises(InvalidSetting, match="Did you mean `key_null`"):
        select(evidence, Selection("unmatched_left", reasons=("key_nul",)))


def test_a_column_whose_name_begins_another_comes_alone(tmp_path: Path) -> None:
    books = make_books(tmp_path)
    path = tmp_path / "invoices.csv"
    path.write_text(path.read_text().replace("booked", "amount.net"), encoding="utf-8")
    run_in_process(load_recipe(books.write()), tmp_path / "out")

    with open_evidence(tmp_path / "out") as opened:
        both = rows(opened, Selection("unmatched_left", (), ("amount.net", "amount")))
        one = rows(opened, Selection("unmatched_left", (), ("amount",)))

    assert both.column_names == ["amount.net", "amount"]
    assert one.column_names == ["amount"]
    assert one.column("amount").equals(both.column("amount"))


FORMULAS = ["=cmd|' /C calc'!A0", "+49 30 1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1"]
HARMLESS = ["-5.00", "+7", "-1,5", "a=b", "", "😀", "<script>"]


def test_csv_for_people_has_no_text_that_a_spreadsheet_would_carry_out() -> None:
    table = pa.table({"=now()": pa.array([*FORMULAS, *HARMLESS, None]), "n": [-1] * 15})

    text = b"".join(csv_for_spreadsheets(table.schema, iter(table.to_batches()))).decode()

    head, *body = list(csv.reader(io.StringIO(text, newline="")))
    assert head == ["'=now()", "n"]
    assert [row[0] for row in body] == [f"'{one}" for one in FORMULAS] + [*HARMLESS, ""]
    assert {row[1] for row in body} == {"-1"}


def test_csv_for_programs_has_every_text_as_it_is() -> None:
    table = pa.table({"=now()": FORMULAS})

    text = b"".join(encoded(Format.CSV, table.schema, iter(table.to_batches()))).decode()

    assert [row[0] for row in csv.reader(io.StringIO(text, newline=""))] == ["=now()", *FORMULAS]
