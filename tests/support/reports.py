"""Runs whose reports are looked at, and the pages as a reader has them."""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

from kalla_core.answers.report.figures import Report
from kalla_core.answers.report.page import page
from kalla_core.evidence.reader import Evidence, open_evidence
from kalla_core.recipe.parse import load_recipe
from tests.support.books import Books, make_books
from tests.support.command import write_csv
from tests.support.runs import run_in_process

SQL = """\
SELECT i.invoice_id, p.payment_id, i.amount, p.paid_amount, i.currency AS currency_left,
  p.currency AS currency_right, i.invoice_date, p.payment_date
FROM invoices i JOIN payments p
  ON i.reference = p.reference AND tolerance_match(i.amount, p.paid_amount, 0.02)"""


class Page(HTMLParser):
    """The text of a page, its tags, and what lies in `style` and `script`."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.inside: dict[str, str] = {"style": "", "script": ""}
        self._raw = ""
        self.feed(html)
        self.text = re.sub(r"\s+", " ", self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs
        self._raw = tag if tag in self.inside else ""

    def handle_endtag(self, tag: str) -> None:
        self._raw = ""

    def handle_data(self, data: str) -> None:
        if self._raw:
            self.inside[self._raw] += data
        else:
            self.text += data


def made(report: Report) -> Page:
    return Page(b"".join(page(report)).decode())


def ledger_of(folder: Path, rows: int) -> Books:
    """Invoices of three branches and two currencies; payments that miss some, by a little."""
    left, right = [], []
    for n in range(rows):
        currency = "EUR" if n % 3 else "USD"
        reference = "" if n % 11 == 0 else f"R-{n}"
        left.append(f"I{n},{reference},{n}.25,{currency},2026-01-{1 + n % 28:02},B{n % 3}")
        if n % 5:
            short = Decimal(n) + (Decimal("0.25") if n % 4 else Decimal("-3.00"))
            right.append(f"P{n},{reference},{short},{currency},2026-02-{1 + n % 28:02},x")
    right += ["P1b,R-1,1.25,EUR,2026-03-01,x", "P2b,R-2,2.26,EUR,2026-03-01,x"]
    write_csv(
        folder / "invoices.csv",
        "invoice_id,reference,amount,currency,invoice_date,branch",
        left,
    )
    write_csv(
        folder / "payments.csv",
        "payment_id,reference,paid_amount,currency,payment_date,note",
        right,
    )
    books = make_books_of(folder)
    books.recipe["match_sql"] = SQL
    return books


def make_books_of(folder: Path) -> Books:
    """Take the recipe of the small books for files that are there."""
    there = {name: (folder / f"{name}.csv").read_bytes() for name in ("invoices", "payments")}
    books = make_books(folder)
    for name, data in there.items():
        (folder / f"{name}.csv").write_bytes(data)
    return books


def ran(books: Books) -> Evidence:
    run_in_process(load_recipe(books.write()), books.folder / "out")
    return open_evidence(books.folder / "out")
