"""Rows as HTML: what data says is text there, whatever it says."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_app.evidence.rows import SoFar
from kalla_app.exceptions.age import Severity
from kalla_app.exceptions.bench import Item
from kalla_app.exceptions.book import eid_of
from kalla_app.exceptions.life import Standing, State
from kalla_app.pages import render
from kalla_app.pages.grid import lines
from kalla_app.pages.lines import bench_lines, plain_lines, run_lines, side_lines
from kalla_app.runs.life import RunState
from kalla_app.store.runs import Run

NOW = datetime(2026, 5, 1, 9, 30, tzinfo=UTC)
RUN = Run("r/1", "books", 1, "<b>Books", RunState(), "anna", NOW, NOW, NOW)
DASH = "\N{EN DASH}"
NASTY = """<script>alert("1")</script>'&amp;"""


class Cells(HTMLParser):
    """Reads the texts of cells, and all tags and values of attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self.values: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.values += [value or "" for _, value in attrs]
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def cells(html: object) -> list[list[str]]:
    return [[text.strip() for text in row] for row in Cells(str(html)).rows]


ROWS = pa.table(
    {
        "record_key": [NASTY, "b"],
        "rejection_reason": ["no_match", NASTY],
        "reason_detail": [None, NASTY],
        "attempted_rules": ["hidden", "hidden"],
        "amount": pa.array([Decimal("-1.50"), None], pa.decimal128(9, 2)),
        "paid": [True, None],
        NASTY: [NASTY, None],
    }
)


def test_each_value_stands_in_its_cell_as_it_is() -> None:
    found = plain_lines(lines(ROWS, hidden={"attempted_rules"}), 0)

    assert cells(found) == [
        [NASTY, "No partner", DASH, "-1.50", "true", NASTY],
        ["b", NASTY, NASTY, DASH, DASH, DASH],
    ]
    assert Cells(str(found)).tags == {"tr", "td", "i", "span"}
    assert re.findall(r'class="(\w+)">-1\.50', str(found)) == ["n"]


def test_an_open_row_says_what_was_decided_about_it() -> None:
    asked = Standing(
        owner="<i>", reason_code="bank_fee", note=NASTY * 3, wanted=State.WRITTEN_OFF,
        asked_by=NASTY, until="2026-06-01",
    )  # fmt: skip
    eids = [eid_of("left", NASTY), eid_of("left", "b")]

    found = Cells(
        str(run_lines(RUN.run_id, lines(ROWS), [(eids[0], Standing()), (eids[1], asked)], 0))
    )

    assert found.rows[0][2] == "Open"
    for word in ("Open", "asks: written off", "until 2026-06-01", "bank fee · <i>", "..."):
        assert word in found.rows[1][2]
    assert found.tags == {"tr", "td", "i", "span", "a", "input", "small"}
    assert f"Row {NASTY}" in found.values
    assert f"/runs/r/1/exceptions/{eids[0]}" in found.values
    assert any(NASTY * 3 in value for value in found.values)


def test_a_side_has_names_and_amounts_for_who_ticks_its_rows() -> None:
    cells = lines(ROWS, numbers=["amount"])

    found = Cells(str(side_lines("left", cells, [("e1", "9"), ("e2", None)], 40)))

    ticked = found.values[: found.values.index("e2")]
    assert [value for value in ticked if value in ("42", "e1", "left", "9", NASTY)] == [
        "42", "e1", "left", "9", NASTY,
    ]  # fmt: skip


def item(**fields: object) -> Item:
    told = {"days": 3, "severity": Severity.HIGH, "reason": "no_match", "amount": NASTY}
    return Item(RUN, "left", NASTY, values=("a", NASTY), **(told | fields))  # type: ignore[arg-type]


def test_an_exception_tells_its_row_or_when_it_was_closed() -> None:
    is_open = bench_lines([item(standing=Standing(owner=NASTY))], 0, closed=False)
    gone = item(standing=Standing(State.WRITTEN_OFF, gone=True), by=NASTY, at=NOW)
    closed = bench_lines([gone], 0, closed=True)

    assert cells(is_open) == [
        ["", NASTY, "<b>Books left", NASTY, "3 d", "high", "No partner", "Open", NASTY,
         f"a · {NASTY}"],
    ]  # fmt: skip
    assert cells(closed) == [
        [NASTY, "<b>Books left", "Gone with a later run Written off", DASH,
         f"2026-05-01 09:30 {NASTY}"],
    ]  # fmt: skip
    assert "a" not in Cells(str(closed)).tags


@given(st.lists(st.text(max_size=9) | st.none(), min_size=1, max_size=5))
def test_no_text_is_ever_a_tag(values: list[str | None]) -> None:
    table = pa.table({"key": ["k"] * len(values), "text": pa.array(values, pa.string())})

    found = Cells(str(plain_lines(lines(table), 0)))

    assert found.tags <= {"tr", "td", "i"}
    assert len(found.rows) == len(values)


@pytest.mark.parametrize(
    ("so_far", "said"),
    [
        (SoFar(131_072, 10_000_000), "131\N{NARROW NO-BREAK SPACE}072 of 10"),
        (SoFar(10_000_000, 10_000_000), "being put in order"),
    ],
)
def test_a_page_of_a_part_says_so_and_asks_for_itself_again_while_it_is_empty(
    so_far: SoFar, said: str
) -> None:
    parts: Any = render._ENVIRONMENT.get_template("parts.html").module
    address = f"/runs/r?q={quote(NASTY)}&offset=50"

    empty = str(parts.going_on(so_far, address, "found", 0))
    begun = str(parts.going_on(so_far, address, "found", 50))

    assert said in empty
    assert said in begun
    assert Cells(empty).tags == {"p", "a"}
    assert [Cells(one).values.count(address) for one in (empty, begun)] == [2, 1]
    assert [Cells(one).values.count("#found") for one in (empty, begun)] == [2, 0]
