"""Rows of passes by sums of which no set adds up are told the set that came nearest."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from kalla_core.answers.report.gather import gather
from kalla_core.answers.why.fate import why
from kalla_core.answers.why.words import answer_json, sentences
from kalla_core.matching.sql.query import Side
from tests.integration.test_passes_by_sums import SPOOLED, SUMS, tables
from tests.support.books import Books
from tests.support.command import write_csv
from tests.unit.answers.test_why import ran

START = "In the pass `batches`: no set of rows of its block adds up"


def test_the_nearest_set_is_told_to_the_one_row_and_to_those_that_are_in_it(
    tmp_path: Path,
) -> None:
    left = [(1, "A", "33.00", 0), (2, "A", "44.00", 0), (3, "A", "5.50", 0), (4, "B", "9.00", 0)]
    two = tables(tmp_path, left, [(7, "A", "78.00", 5), (8, "B", "8.00", 5), (9, "B", "11", 5)])

    wrote = two.run({"passes": [SUMS]})
    tight = two.run({"passes": [SUMS]}, SPOOLED)

    ours, theirs = wrote.details(Side.LEFT), wrote.details(Side.RIGHT)
    assert theirs == {
        "7": f"{START}; the nearest makes 77.00, which is 1.00 less than its 78.00: 1, 2.",
        "8": f"{START}; the nearest makes 9.00, which is 1.00 more than its 8.00: 4.",
        "9": f"{START}; the nearest makes 9.00, which is 2.00 less than its 11.00: 4.",
    }
    near = f"{START}; the nearest with it makes"
    assert ours == {
        "1": f"{near} 77.00, which is 1.00 less than the 78.00 of 7: 1, 2.",
        "2": f"{near} 77.00, which is 1.00 less than the 78.00 of 7: 1, 2.",
        "3": f"{START}.",
        "4": f"{near} 9.00, which is 1.00 more than the 8.00 of 8: 4.",
    }
    assert (tight.details(Side.LEFT), tight.details(Side.RIGHT)) == (ours, theirs)
    assert set(wrote.reasons(Side.LEFT).values()) == {"predicate_failed"}


def test_rows_that_other_sets_took_are_in_no_nearest_set(tmp_path: Path) -> None:
    left = [(1, "A", "30.00", 0), (2, "A", "4.00", 0)]
    two = tables(tmp_path, left, [(7, "A", "30.00", 5), (8, "A", "33.00", 5)])

    wrote = two.run({"passes": [SUMS]})

    assert wrote.pairs() == [("1", "7")]
    assert wrote.details(Side.RIGHT) == {
        "8": f"{START}; the nearest makes 4.00, which is 29.00 less than its 33.00: 2."
    }


def test_what_is_nearest_does_not_depend_on_the_order_of_rows_or_on_memory(tmp_path: Path) -> None:
    chance = random.Random(5)
    left = [(n, chance.choice("AB"), chance.randint(100, 900), 0) for n in range(24)]
    right = [(100 + n, chance.choice("AB"), chance.randint(900, 3000), 1) for n in range(9)]
    recipe = {"passes": [{**SUMS, "max_candidates": 14, "max_items": 5}]}
    told = []

    for number, sizes in enumerate(({}, {"budget": SPOOLED}, {})):
        if number == 2:
            chance.shuffle(left)
            chance.shuffle(right)
        (tmp_path / str(number)).mkdir()
        wrote = tables(tmp_path / str(number), left, right).run(recipe, *sizes.values())
        told.append((wrote.details(Side.LEFT), wrote.details(Side.RIGHT)))

    assert told[0] == told[1] == told[2]
    assert sum("the nearest makes" in one for one in told[0][1].values()) >= 3


def test_why_and_reports_tell_the_nearest_sum_and_the_tolerance_it_would_take(
    tmp_path: Path,
) -> None:
    header = "id,who,amount"
    write_csv(tmp_path / "l.csv", header, ["1,A,33.00", "2,A,44.00", "3,B,1.00"])
    write_csv(tmp_path / "r.csv", header, ["R7,A,78.00", "R8,B,1.00"])
    sources = {
        side: {"alias": side[0], "type": "file", "uri": f"{side[0]}.csv", "primary_key": ["id"]}
        for side in ("left", "right")
    }
    recipe: dict[str, Any] = {"recipe_id": "r", "name": "r", "passes": [SUMS], "sources": sources}

    with ran(Books(tmp_path, recipe)) as opened:
        one, part = why(opened, ["R7"]), why(opened, ["1"])
        report = gather(opened, "out")

    assert "the nearest makes 77.00, which is 1.00 less than its 78.00: 1, 2." in " ".join(
        sentences(one.fates[0])
    )
    (attempt,) = answer_json(part)["found"][0]["passes"]
    assert attempt["closest_candidate"]["key"] == "R7"
    assert attempt["smallest_change"].startswith("a tolerance of 1.00, amounts 1.00 nearer")
    (shown,) = report.right.shown
    assert "1.00 less than its 78.00" in shown.said
    assert (shown.apart, shown.differ_by) == ("1.00", "1.00")
    assert shown.change is not None
    assert "a tolerance of 1.00" in shown.change
