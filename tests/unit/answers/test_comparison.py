"""Two runs of a recipe compared by key: what changed, and what brought it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kalla_core.answers.comparison.changes import (
    Change,
    Comparison,
    compare_runs,
    comparison_json,
)
from kalla_core.errors import InvalidSetting
from kalla_core.evidence.reader import open_evidence
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.parse import load_recipe
from tests.support.books import Books, make_books
from tests.support.runs import run_in_process


def ran(books: Books, name: str) -> Path:
    run_in_process(load_recipe(books.write()), books.folder / name)
    return books.folder / name


def compared(first: Path, second: Path, at_once: int = 1000) -> Comparison:
    with open_evidence(first) as one, open_evidence(second) as other:
        return compare_runs(one, other, at_once)


def kinds(done: Comparison, side: Side) -> dict[str, tuple[str, ...]]:
    found = done.sides[side]
    assert all(found.counts[change] == len(keys) for change, keys in found.examples.items())
    return {change.value: keys for change, keys in found.examples.items()}


def changed(path: Path, *pairs: tuple[str, str]) -> None:
    text = path.read_text(encoding="utf-8")
    for before, after in pairs:
        assert before in text
        text = text.replace(before, after)
    path.write_text(text, encoding="utf-8")


def test_runs_of_the_same_data_differ_in_nothing(tmp_path: Path) -> None:
    books = make_books(tmp_path)

    done = compared(ran(books, "a"), ran(books, "b"))

    assert (done.changed, done.causes) == (0, ())
    assert all(side.counts[Change.SAME] == 5 for side in done.sides.values())


@pytest.mark.parametrize("at_once", [1, 2, 3, 1000])
def test_what_happens_to_rows_is_told_by_its_kind(tmp_path: Path, at_once: int) -> None:
    books = make_books(tmp_path)
    first = ran(books, "a")
    changed(
        tmp_path / "payments.csv",
        ("P3,R-3,67.00", "P3,R-3,70.00"),
        ("P2,R-2,50.00", "P7,R-2,50.00"),
        ("P5,R-9,20.00", "P5,R-5,99.00"),
        ("P1,R-1,100.02", "P1,R-1,100.03"),
    )

    done = compared(first, ran(books, "b"), at_once)

    assert done.causes == ("right data",)
    assert kinds(done, Side.LEFT) == {
        "newly_matched": ("3",),
        "newly_open": ("1",),
        "other_partner": ("2",),
        "other_reason": ("5",),
    }
    assert kinds(done, Side.RIGHT) == {
        "newly_matched": ("P3",),
        "newly_open": ("P1",),
        "other_reason": ("P5",),
        "new": ("P7",),
        "gone": ("P2",),
    }
    assert done.sides[Side.LEFT].reasons == {("key_not_found", "predicate_failed"): 1}


def test_a_recipe_that_was_loosened_is_named_as_the_cause(tmp_path: Path) -> None:
    books = make_books(tmp_path)
    first = ran(books, "a")
    books.recipe["match_sql"] = books.recipe["match_sql"].replace("0.02", "5")

    done = compared(first, ran(books, "b"))

    assert done.causes == ("recipe",)
    assert kinds(done, Side.LEFT) == {"newly_matched": ("3",)}
    document = comparison_json(done)
    assert document["left"]["counts"]["newly_matched"] == 1
    assert document["causes"] == ["recipe"]


def test_runs_of_two_recipes_are_not_compared(tmp_path: Path) -> None:
    books = make_books(tmp_path)
    first = ran(books, "a")
    books.recipe["recipe_id"] = "other"

    with pytest.raises(InvalidSetting, match="'books' and 'other'"):
        compared(first, ran(books, "b"))
