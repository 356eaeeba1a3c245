"""What passes by sums tell of the rows that they do not match, against a model in plain Python."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kalla_core.matching.sql.query import Side
from tests.integration.test_passes_by_sums import SPOOLED, SUMS, tables
from tests.support.best_by_hand import Row
from tests.support.reconciled import Wrote
from tests.support.sum_reasons_by_hand import Told, sum_reasons

MOST_ITEMS, MOST_CANDIDATES = 3, 5
SMALL = settings(
    max_examples=10,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
)


def rows(start: int, sizes: tuple[int, int], largest: int) -> st.SearchStrategy[list[Row]]:
    """Rows of an id from `start` on, a block and a whole amount, which may take from a sum."""
    row = st.tuples(st.sampled_from("AAABBBC"), st.integers(-2, largest))
    return st.lists(row, min_size=sizes[0], max_size=sizes[1]).map(
        lambda some: [(start + n, *one) for n, one in enumerate(some)]
    )


def told(wrote: Wrote, side: Side) -> dict[int, Told]:
    unmatched = wrote.tables[f"unmatched_{side.word}"].to_pylist()
    return {
        int(row["record_key"]): (
            row["rejection_reason"],
            "" if row["rejection_reason"] == "key_not_found" else row["reason_detail"],
            row["closest_candidate"],
        )
        for row in unmatched
    }


def are_what_the_model_says(
    items: list[Row], targets: list[Row], tolerance: int, one: Side
) -> None:
    sides = (items, targets) if one is Side.RIGHT else (targets, items)
    rule = {
        **SUMS,
        "one": one.word,
        "tolerance": f"{tolerance}.00",
        "max_items": MOST_ITEMS,
        "max_candidates": MOST_CANDIDATES,
    }
    with TemporaryDirectory() as folder:
        two = tables(Path(folder), *([(*row, 0) for row in side] for side in sides))
        wrote = two.run({"passes": [rule]})
        spooled = two.run({"passes": [rule]}, SPOOLED, buckets=3, partitions=2)

    expected = sum_reasons(SUMS["name"], items, targets, tolerance, MOST_ITEMS, MOST_CANDIDATES)
    assert told(wrote, one) == expected.targets
    assert told(wrote, one.other) == expected.items
    assert spooled.same_as(wrote)


@SMALL
@given(rows(1, (7, 12), 9), rows(50, (3, 6), 16), st.integers(0, 1), st.sampled_from(Side))
def test_rows_without_a_sum_are_told_what_the_model_tells_them(
    items: list[Row], targets: list[Row], tolerance: int, one: Side
) -> None:
    are_what_the_model_says(items, targets, tolerance, one)


@pytest.mark.full
@settings(SMALL, max_examples=300, derandomize=False)
@given(rows(1, (0, 14), 12), rows(50, (0, 8), 24), st.integers(0, 2), st.sampled_from(Side))
def test_any_rows_without_a_sum_are_told_what_the_model_tells_them(
    items: list[Row], targets: list[Row], tolerance: int, one: Side
) -> None:
    are_what_the_model_says(items, targets, tolerance, one)
