"""`kalla export`: the evidence in other formats, to the last digit."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.books import Books
from tests.support.command import kalla
from tests.support.workbook import read_workbook

SETS = ["matched", "unmatched_left", "unmatched_right"]


@pytest.fixture
def ran(books: Books) -> Books:
    assert books.run("--quiet").exit_code == 0
    return books


def test_every_format_has_the_rows_of_the_evidence(ran: Books) -> None:
    stored = pq.read_table(ran.folder / "out" / "unmatched_left.parquet")
    asked = ("export", "out", "--set", "unmatched_left")

    as_csv = kalla(*asked, "--csv", cwd=ran.folder)
    for flag in ("parquet", "arrow", "xlsx"):
        done = kalla(*asked, f"--{flag}", "-o", f"left.{flag}", cwd=ran.folder)
        assert done.exit_code == 0, done.err

    lines = list(csv.DictReader(io.StringIO(as_csv.out)))
    assert [line["record_key"] for line in lines] == stored.column("record_key").to_pylist()
    assert pq.read_table(ran.folder / "left.parquet").equals(stored)
    assert pa.ipc.open_stream(ran.folder / "left.arrow").read_all().equals(stored)
    sheet = read_workbook((ran.folder / "left.xlsx").read_bytes())["unmatched_left"]
    place = chr(ord("A") + stored.column_names.index("amount"))
    amounts = [row[place] for row in sheet.rows[1:]]
    assert [Decimal(cell.value) for cell in amounts] == stored.column("amount").to_pylist()
    assert {cell.kind for cell in amounts} == {"n"}


def test_a_workbook_has_a_sheet_for_each_set(ran: Books) -> None:
    everything = kalla("export", "out", "--xlsx", "-o", "all.xlsx", cwd=ran.folder)
    breaks = kalla(
        *("export", "out", "--xlsx", "-o", "null.xlsx", "--reason", "key_null"), cwd=ran.folder
    )

    assert everything.exit_code == breaks.exit_code == 0
    assert list(read_workbook((ran.folder / "all.xlsx").read_bytes())) == SETS
    sheets = read_workbook((ran.folder / "null.xlsx").read_bytes())
    assert {name: len(sheet.rows) for name, sheet in sheets.items()} == {
        "unmatched_left": 2,
        "unmatched_right": 2,
    }


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        ((), "invalid_setting", "one of --csv"),
        (("--csv", "--arrow", "--set", "matched"), "invalid_setting", "one of --csv"),
        (("--csv",), "invalid_setting", "one of matched, unmatched_left"),
        (("--csv", "--set", "open"), "invalid_setting", "has no set 'open'"),
        (("--csv", "--set", "matched", "--columns", "amonut"), "unknown_column", "`amount`"),
        (("--csv", "--set", "matched", "--columns", "[1]"), "invalid_setting", "JSON array"),
        (("--csv", "--set", "matched", "-o", "out/x.csv"), "invalid_setting", "write elsewhere"),
        (("--csv", "--set", "matched", "-o", "no/x.csv"), "output_not_writable", "no/x.csv"),
    ],
)
def test_what_makes_no_sense_is_refused(
    ran: Books, flags: tuple[str, ...], code: str, words: str
) -> None:
    before = ran.names()

    done = kalla("export", "out", *flags, cwd=ran.folder)

    assert done.exit_code in (2, 3)
    assert f"Error ({code})" in done.err
    assert words in done.err
    assert ran.names() == before


def test_a_file_that_was_there_stays_when_the_evidence_is_damaged(ran: Books) -> None:
    (ran.folder / "x.csv").write_text("mine", encoding="utf-8")
    (ran.folder / "out" / "matched.parquet").write_bytes(b"PAR1")

    done = kalla("export", "out", "--csv", "--set", "matched", "-o", "x.csv", cwd=ran.folder)

    assert done.exit_code == 2
    assert "Error (source_unreadable)" in done.err
    assert (ran.folder / "x.csv").read_text(encoding="utf-8") == "mine"
