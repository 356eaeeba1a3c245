"""Matches of several rows in reports, and rates of open rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq

from kalla_core.answers.report.gather import gather
from kalla_core.answers.report.page import share
from kalla_core.answers.report.sheets import workbook
from kalla_core.evidence.names import UNMATCHED
from kalla_core.evidence.reader import open_evidence
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.model import GroupForm
from kalla_core.recipe.parse import load_recipe
from tests.support.command import write_csv
from tests.support.reports import SQL, ledger_of, made, make_books_of, ran
from tests.support.runs import run_in_process
from tests.support.workbook import read_workbook


def test_rows_told_by_groups_stand_block_by_block(tmp_path: Path) -> None:
    write_csv(tmp_path / "invoices.csv", "invoice_id,reference,amount",
              ["1,A,1.00", "2,A,2.00", "3,B,5.00"])  # fmt: skip
    write_csv(
        tmp_path / "payments.csv", "payment_id,reference,paid_amount", ["7,A,3.00", "8,B,5.00"]
    )
    books = make_books_of(tmp_path)
    books.recipe["match_sql"] = (
        "SELECT g.ref FROM (SELECT reference AS ref, sum(amount) AS total FROM invoices GROUP BY "
        "reference) g JOIN (SELECT reference AS ref, sum(paid_amount) AS total FROM payments "
        "GROUP BY reference) h ON g.ref = h.ref AND g.total = h.total"
    )
    run_in_process(replace(load_recipe(books.write()), groups=GroupForm.MEMBERS), tmp_path / "out")

    with open_evidence(tmp_path / "out") as evidence:
        report = gather(evidence, "out")

    matched = pq.read_table(tmp_path / "out" / "matched.parquet")
    assert len(set(matched.column("match_group").to_pylist())) == 2
    (group,) = report.groups
    assert [one.key for one in group.left] == ["1", "2"]
    assert [one.key for one in group.right] == ["7"]
    assert "2 matches" in made(report).text


def test_a_match_of_several_rows_is_a_block_with_its_sums_and_what_is_between(
    tmp_path: Path,
) -> None:
    write_csv(
        tmp_path / "invoices.csv",
        "invoice_id,reference,amount",
        ["1,A,60.00", "2,A,40.00", "3,B,5.00", "4,C,7.00", "5,C,3.00"],
    )
    write_csv(
        tmp_path / "payments.csv",
        "payment_id,reference,paid_amount",
        ["7,A,99.50", "8,B,5.00", "9,C,10.00"],
    )
    books = make_books_of(tmp_path)
    books.recipe["match_sql"] = (
        "SELECT i.reference AS ref, i.amount, p.paid_amount FROM invoices i JOIN payments p "
        "ON i.reference = p.reference"
    )
    books.recipe |= {"cardinality": "N:1", "rank": ["ref"]}

    with ran(books) as evidence:
        report = gather(evidence, "out")
        sheets = read_workbook(b"".join(workbook(evidence, report)))

    first, second = report.groups  # the one-to-one match of B is none
    assert (first.left_total, first.right_total) == (Decimal("100.00"), Decimal("99.50"))
    assert (first.difference, second.difference) == (Decimal("0.50"), Decimal("0.00"))
    assert [one.key for one in first.left] == ["1", "2"]
    text = made(report).text
    assert "All 2 matches of several rows." in text
    assert "Left less right: 0.50" in text
    assert "Both sides come to the same." in text
    amounts = [row.get("E") for row in sheets["Groups"].rows]
    assert [one.value for one in amounts if one][1:5] == ["60.00", "40.00", "99.50", "0.50"]


def test_where_open_rows_concentrate_is_told_as_rates_of_all_rows(tmp_path: Path) -> None:
    books = ledger_of(tmp_path, 60)
    books.recipe["match_sql"] = SQL.replace("i.invoice_date", "i.branch, i.invoice_date")

    with ran(books) as evidence:
        report = gather(evidence, "out")
        matched = evidence.table("matched.parquet").select(["left_key", "branch"]).to_pylist()
        opened = evidence.table(UNMATCHED[Side.LEFT]).column("branch").to_pylist()
        sheets = read_workbook(b"".join(workbook(evidence, report)))

    branches = Counter(dict(row.values() for row in matched).values())
    every = branches + Counter(opened)
    bars = next(one for one in report.left.concentrations if one.title.startswith("branch"))
    assert bars.rated
    assert {bar.label: (bar.rows, bar.whole) for bar in bars.bars} == {
        name: (Counter(opened)[name], every[name]) for name in every
    }
    assert sum(every.values()) == report.left.records
    rates = [bar.rows / (bar.whole or 1) for bar in bars.bars]
    assert rates == sorted(rates, reverse=True)
    worst = bars.bars[0]
    assert f"{worst.rows} {worst.whole} {share(worst.rows, worst.whole or 1)}" in made(report).text
    told = [row for row in sheets["Reasons"].values() if row and row[2] == worst.label]
    assert told[0][6] == str(worst.whole)
