"""What was asked for lately is found once, and takes no more room than it may."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kalla_app.evidence.asked import Asked
from kalla_app.evidence.order import Mask
from kalla_app.evidence.rows import RowSet
from kalla_app.evidence.selections import Selections

COUNT = 1001
ASKED = Asked("matched", q="x")


def every(step: int) -> Mask:
    return np.arange(COUNT) % step == 0


class Made:
    """Counts how often a selection is made."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, step: int) -> Callable[[], Mask]:
        def make() -> Mask:
            self.times += 1
            return every(step)

        return make


def test_a_selection_is_made_once_and_in_whatever_order_it_is_shown() -> None:
    kept, made = Selections(), Made()

    first = kept.mask("files", ASKED, COUNT, made(3))
    again = kept.mask("files", replace(ASKED, sort="-amount"), COUNT, made(3))

    assert (first == every(3)).all()
    assert (again == every(3)).all()
    assert made.times == 1


@pytest.mark.parametrize(
    ("of", "asked"),
    [
        ("others", ASKED),
        ("files", replace(ASKED, set="ambiguous")),
        ("files", replace(ASKED, q="y")),
        ("files", replace(ASKED, without=("1",))),
        ("files", replace(ASKED, keys=())),
    ],
)
def test_another_selection_or_other_files_are_not_mistaken_for_it(of: str, asked: Asked) -> None:
    kept, made = Selections(), Made()

    kept.mask("files", ASKED, COUNT, made(3))
    other = kept.mask(of, asked, COUNT, made(7))

    assert (other == every(7)).all()
    assert made.times == 2


def test_the_one_that_was_not_asked_for_the_longest_makes_room() -> None:
    kept, made = Selections(most_bytes=2 * 700), Made()
    first, second, third = (replace(ASKED, q=word) for word in "abc")

    for asked in (first, second, first, third):
        kept.mask("files", asked, COUNT, made(3))
    made.times = 0
    for asked in (first, third):
        kept.mask("files", asked, COUNT, made(3))
    there = made.times
    kept.mask("files", second, COUNT, made(3))

    assert (there, made.times) == (0, 1)


def test_what_is_larger_than_all_the_room_is_not_kept() -> None:
    kept, made = Selections(most_bytes=100), Made()

    for _ in range(2):
        assert (kept.mask("files", ASKED, COUNT, made(3)) == every(3)).all()

    assert made.times == 2


def test_rows_that_took_the_place_of_others_are_looked_through_anew(tmp_path: Path) -> None:
    kept = Selections()
    (tmp_path / "metadata.json").write_text(
        json.dumps({"run_id": "r", "files": [{"name": "matched.parquet"}]})
    )

    def totals(names: list[str]) -> list[int]:
        pq.write_table(pa.table({"name": names}), tmp_path / "matched.parquet")
        with RowSet(tmp_path, "matched", selections=kept) as rows:
            return [rows.page(ASKED, offset, 1).total for offset in (0, 1)]

    assert totals(["x1", "y", "x2"]) == [2, 2]
    assert totals(["x1", "x", "x2", "x3"]) == [4, 4]
