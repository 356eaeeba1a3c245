"""Conditions that limit a score say what it came to, in evidence, `why` and reports."""

from __future__ import annotations

from pathlib import Path

import pytest

from kalla_core.answers.report.gather import gather
from kalla_core.answers.why.fate import why
from kalla_core.answers.why.words import answer_json, sentences
from kalla_core.matching.sql.query import Side
from tests.integration.test_engine_reasons import KEY, failed, money, reasons_of
from tests.support.books import Books
from tests.support.command import write_csv
from tests.unit.answers.test_why import ran

LIKE = "jaro_winkler(l.name, r.name) >= 0.9"
LEFT = {"id": [1, 2], "k": ["CH", "DE"], "name": ["Muster AG", "Foo Bar"]}
RIGHT = {"id": [11, 12, 13], "k": ["CH", "CH", "DE"], "name": ["Alpha", "Muester", "Foo Barr"]}


def test_a_score_that_fails_is_told_of_the_candidate_that_came_nearest_by_it(
    tmp_path: Path,
) -> None:
    reasons = reasons_of(tmp_path, f"{KEY} AND {LIKE}", LEFT, RIGHT)

    said = f"{LIKE} does not hold: l.name = 'Muster AG', r.name = 'Muester', "
    told = reasons[Side.LEFT][1]
    assert told == failed(12, "r", f"{said}which come to 0.8285 (at least 0.9 is asked)")
    assert reasons[Side.RIGHT][11][2] == "1"


@pytest.mark.parametrize(
    ("condition", "asked", "came_to"),
    [
        ("levenshtein(l.name, r.name) <= 2", "at most 2", "3"),
        ("3 > levenshtein(l.name, r.name)", "less than 3", "3"),
        ("token_sort_ratio(l.name, r.name) > 0.9", "more than 0.9", "0.75"),
        ("l.amount + r.paid < 7.5", "less than 7.5", "7.50"),
        ("l.amount / r.paid > 1", "more than 1", "0.5"),
    ],
)
def test_whatever_is_computed_from_both_rows_and_limited_is_told(
    tmp_path: Path, condition: str, asked: str, came_to: str
) -> None:
    left = {"id": [1], "k": ["A"], "name": ["Muster AG"], "amount": money("2.50")}
    right = {"id": [11], "k": ["A"], "name": ["Muster"], "paid": money("5.00")}

    detail = reasons_of(tmp_path, f"{KEY} AND {condition}", left, right)[Side.LEFT][1][1]

    told = detail.partition(", which come to ")[2]
    number, _, limit = told.partition(" ")
    assert float(number) == pytest.approx(float(came_to), abs=0.06)
    assert limit == f"({asked} is asked)"


def test_a_score_that_holds_is_told_beside_what_fails_and_a_null_has_none(tmp_path: Path) -> None:
    left = {"id": [1, 2], "k": ["A", "B"], "name": ["Muster", None], "amount": money("1", "2")}
    right = {"id": [11, 12], "k": ["A", "B"], "name": ["Muster", "Foo"], "paid": money("9", "2")}
    sql = f"{KEY} AND {LIKE} AND tolerance_match(l.amount, r.paid, 1)"

    reasons = reasons_of(tmp_path, sql, left, right)[Side.LEFT]

    assert reasons[1] == failed(
        11,
        "r",
        "tolerance_match(l.amount, r.paid, 1) does not hold: l.amount = 1.00, r.paid = 9.00, "
        "which differ by 8.00",
        f"{LIKE} holds: l.name = 'Muster', r.name = 'Muster', which come to 1 "
        "(at least 0.9 is asked)",
    )
    assert reasons[2] == failed(12, "r", f"{LIKE} does not hold: l.name = null, r.name = 'Foo'")


def test_why_and_reports_tell_scores_and_what_they_would_have_to_be(tmp_path: Path) -> None:
    write_csv(tmp_path / "l.csv", "id,k,name,amount", ["1,A,Muster AG,1.00", "2,B,Foo,2.00"])
    write_csv(tmp_path / "r.csv", "id,k,name,paid", ["R1,A,Muester,1.00", "R2,B,Foo,7.00"])
    sides = {
        side: {"alias": side[0], "type": "file", "uri": f"{side[0]}.csv", "primary_key": ["id"]}
        for side in ("left", "right")
    }
    recipe = {
        "recipe_id": "r",
        "name": "r",
        "match_sql": f"{KEY} AND {LIKE} AND tolerance_match(l.amount, r.paid, 1)",
        "sources": sides,
    }

    with ran(Books(tmp_path, recipe)) as opened:
        first, second = (why(opened, [key]) for key in "12")
        report = gather(opened, "out")

    told = " ".join(sentences(first.fates[0]))
    assert "they come to 0.8285 where at least 0.9 is asked." in told
    assert "a limit of 0.8285 in place of 0.9, or a score that is 0.0715 higher." in told
    (one,) = answer_json(first)["found"][0]["unmatched"]
    assert [(c["reached"], c["asked"]) for c in one["failed_conditions"]] == [
        ("0.8285", "at least 0.9")
    ]
    (other,) = answer_json(second)["found"][0]["unmatched"]
    assert [c["reached"] for c in other["scores_that_hold"]] == ["1"]
    assert f"{LIKE} holds" in " ".join(sentences(second.fates[0]))
    shown = {row.key: row for row in report.left.shown}
    assert "they come to 0.8285 where at least 0.9 is asked" in shown["1"].said
    assert "holds" in shown["2"].said
