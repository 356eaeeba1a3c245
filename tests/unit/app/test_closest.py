"""Rows that came close to an open one: found, brought side by side, marked where they differ."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import pyarrow as pa
import pytest

from kalla_app.evidence import closest as module
from kalla_app.evidence.abreast import Facing, Line, lines
from kalla_app.evidence.closest import Closest, ClosestRows, closest
from kalla_app.runs.life import RunState
from kalla_app.store.runs import Run
from kalla_core.errors import SourceUnreadable
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.parse import load_recipe
from tests.support.books import Books, make_books
from tests.support.evidence import place_in
from tests.support.runs import run_in_process

NOW = datetime(2026, 5, 1, tzinfo=UTC)
RUN = Run("r", "books", 1, "Books", RunState(), "anna", NOW, NOW, NOW)
BOUND_S = 60


def ran(books: Books) -> Path:
    run_in_process(load_recipe(books.write()), books.folder / "out")
    return books.folder / "out"


def named(found: Closest, name: str) -> Line:
    return next(one for one in found.lines if name in (one.own, one.its))


def marks(line: Line) -> list[str]:
    return [
        "" if one is None else "fails" if one.fails else "differs" if one.differs else "same"
        for one in line.cells
    ]


@pytest.mark.parametrize(
    ("kinds", "own", "its", "expected"),
    [
        ((pa.string(), pa.string()), "a", "a", "same"),
        ((pa.string(), pa.string()), "7", "07", "differs"),
        ((pa.string(), pa.string()), None, "", "differs"),
        ((pa.string(), pa.string()), None, None, "same"),
        ((pa.decimal128(9, 2), pa.decimal128(9, 3)), "7.00", "7.000", "same"),
        ((pa.int64(), pa.decimal128(9, 2)), 7, "7.01", "differs"),
        ((pa.float64(), pa.int64()), "NaN", 7, "differs"),
        ((pa.date32(), pa.timestamp("us")), "2026-01-01", "2026-01-01T00:00:00.000000", "same"),
        ((pa.date32(), pa.timestamp("us")), "2026-01-01", "2026-01-01T00:00:01", "differs"),
    ],
)
def test_values_differ_as_their_types_compare(
    kinds: tuple[pa.DataType, pa.DataType], own: object, its: object, expected: str
) -> None:
    schemas = {Side.LEFT: pa.schema([("a", kinds[0])]), Side.RIGHT: pa.schema([("b", kinds[1])])}

    (line,) = lines(Side.LEFT, schemas, [("a", "b")], {"a": own}, [Facing({"b": its}, ())])
    (turned,) = lines(Side.RIGHT, schemas, [("a", "b")], {"b": its}, [Facing({"a": own}, ())])

    assert marks(line) == ["same", expected]
    assert marks(turned) == ["same", expected]
    assert (turned.own, turned.its) == ("b", "a")


def test_compared_fields_come_first_and_those_of_one_side_last() -> None:
    left = pa.schema([("note", pa.string()), ("x", pa.string()), ("ref", pa.string())])
    right = pa.schema([("y", pa.string()), ("note", pa.string()), ("reference", pa.string())])
    schemas = {Side.LEFT: left, Side.RIGHT: right}

    found = lines(Side.LEFT, schemas, [("ref", "reference")], {}, [Facing({"y": "1"}, ())])

    assert [(one.own, one.its, one.compared) for one in found] == [
        ("ref", "reference", True),
        ("note", "note", False),
        ("x", None, False),
        (None, "y", False),
    ]
    assert [cell is None for cell in found[-1].cells] == [True, False]
    assert not any(cell.differs for one in found for cell in one.cells if cell is not None)


def test_a_row_that_misses_by_little_stands_beside_its_candidate(tmp_path: Path) -> None:
    found = closest(ran(make_books(tmp_path)), Side.LEFT, "3")

    (near,) = found.near
    assert (near.key, near.is_open, near.matched_with) == ("P3", True, ())
    assert "they differ by 3.00" in " ".join(near.apart)
    assert near.change is not None
    assert near.change.startswith("a tolerance of 3.00 in place of 0.02")
    assert [one.own for one in found.lines if one.compared] == ["reference", "amount"]
    assert marks(named(found, "reference")) == ["same", "same"]
    assert marks(named(found, "amount")) == ["same", "fails"]
    assert [cell.text for cell in named(found, "amount").cells if cell] == ["70.00", "67.00"]


def test_the_other_side_sees_the_same_the_other_way_round(tmp_path: Path) -> None:
    found = closest(ran(make_books(tmp_path)), Side.RIGHT, "P3")

    assert (found.alias, [one.key for one in found.near]) == ("invoices", ["3"])
    assert marks(named(found, "amount")) == ["same", "fails"]
    assert named(found, "amount").own == "paid_amount"


def test_a_candidate_that_somebody_else_has_is_shown_with_who_that_is(tmp_path: Path) -> None:
    books = make_books(tmp_path)
    path = tmp_path / "invoices.csv"
    path.write_text(path.read_text() + "6,R-1,110.00,2026-01-06\n", encoding="utf-8")

    found = closest(ran(books), Side.LEFT, "6")

    (near,) = found.near
    assert (near.key, near.is_open, near.matched_with) == ("P1", False, ("1",))
    assert [cell.text for cell in named(found, "amount").cells if cell] == ["110.00", "100.02"]
    assert marks(named(found, "amount")) == ["same", "fails"]
    unknown = named(found, "reference").cells[1]
    assert unknown is not None
    assert (unknown.known, unknown.differs) == (False, False)  # the match SQL selects it not


def test_rivals_of_a_tie_stand_side_by_side(tmp_path: Path) -> None:
    books = make_books(tmp_path)
    path = tmp_path / "payments.csv"
    path.write_text(path.read_text() + "P6,R-2,50.00\n", encoding="utf-8")
    sql = books.recipe.pop("match_sql")
    books.recipe["passes"] = [{"name": "by ref", "match_sql": sql, "cardinality": "1:1"}]

    found = closest(ran(books), Side.LEFT, "2")

    assert sorted(one.key for one in found.near) == ["P2", "P6"]
    assert {one.by for one in found.near} == {"by ref"}
    assert all(one.is_open and one.change for one in found.near)
    assert marks(named(found, "amount")) == ["same", "same", "same"]


@pytest.mark.parametrize(("key", "why"), [("4", "its key is null"), ("5", "has its key")])
def test_where_none_came_close_one_sentence_says_why(tmp_path: Path, key: str, why: str) -> None:
    found = closest(ran(make_books(tmp_path)), Side.LEFT, key)

    assert (found.near, found.lines) == ((), ())
    assert found.said.startswith("No row of payments came close: ")
    assert why in found.said
    assert "What would have matched it" in found.said


def looking(folder: Path) -> ClosestRows:
    return ClosestRows(place_in(folder))


@pytest.mark.parametrize(
    "broken",
    [
        lambda *_: (_ for _ in ()).throw(SourceUnreadable("It is damaged.\nHere.", path="p")),
        lambda *_: (_ for _ in ()).throw(OSError("gone")),
        lambda *_: (_ for _ in ()).throw(KeyError("x")),
    ],
)
async def test_what_goes_wrong_is_said_and_tried_again(
    broken: Callable[..., Closest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = looking(tmp_path)
    monkeypatch.setattr(module, "closest", broken)
    found = await rows.find(RUN, "left", "1", BOUND_S)
    monkeypatch.setattr(module, "closest", lambda *_: Closest("payments"))

    assert found is not None
    assert found.said.startswith("What came closest cannot be told.")
    assert "\n" not in found.said
    assert await rows.find(RUN, "left", "1", BOUND_S) == Closest("payments")


async def test_nobody_waits_long_and_who_asks_again_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go, asked = Event(), list[Any]()

    def slow(*given: object) -> Closest:
        asked.append(given)
        assert let_go.wait(BOUND_S)
        return Closest("payments")

    monkeypatch.setattr(module, "closest", slow)
    rows = looking(tmp_path)
    async with asyncio.timeout(BOUND_S):
        first = [await rows.find(RUN, "left", "1", 0.01) for _ in range(2)]
        let_go.set()
        then = [await rows.find(RUN, "left", "1", BOUND_S) for _ in range(2)]

    assert first == [None, None]
    assert then == [Closest("payments")] * 2
    assert asked == [(tmp_path, Side.LEFT, "1")]
