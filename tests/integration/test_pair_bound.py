"""A key that means nothing stops a run, before its pairs fill the disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from kalla_core.engine.budget import Budget
from kalla_core.engine.keys import pair_bound
from kalla_core.errors import TooManyPairs
from kalla_core.recipe.model import Options
from tests.support.runs import AMPLE, run_in_process
from tests.support.tables import Reconciliation

ROWS = 200
BY_KEY = "SELECT l.id, r.id AS other FROM l JOIN r ON l.k = r.k"
TIGHT = replace(AMPLE, whole_bytes=0, join_bytes=3_000)
WAYS = {
    "in memory": (AMPLE, Options()),
    "by buckets": (TIGHT, Options(partitions=3, buckets=7)),
    "from disk": (replace(AMPLE, whole_bytes=0, join_bytes=0), Options(partitions=2, buckets=1)),
}


@pytest.fixture(autouse=True)
def low_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small runs have so few pairs for nothing that they can be stopped."""
    monkeypatch.setattr(pair_bound, "ALWAYS_ALLOWED", 1000)


def given(folder: Path, options: Options, placeholder: str = "N/A") -> Reconciliation:
    books = Reconciliation(folder, BY_KEY, options)
    for name in ("left", "right"):
        keys = [placeholder if n % 2 else f"{name}-{n}" for n in range(ROWS)]
        books.put(name, pa.table({"id": list(range(ROWS)), "k": keys}))
    return books


@pytest.mark.parametrize("way", WAYS)
def test_a_run_of_too_many_pairs_stops_and_names_the_worst_keys(way: str, tmp_path: Path) -> None:
    share, options = WAYS[way]
    books = given(tmp_path, replace(options, max_pairs_per_row=10))

    with pytest.raises(TooManyPairs) as stopped:
        run(books, share)

    assert "more than 4,000 pairs of 400 rows" in stopped.value.message
    assert "'N/A' (100 rows of l and 100 rows of r)" in stopped.value.message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("way", WAYS)
def test_as_many_pairs_as_the_recipe_allows_are_written(way: str, tmp_path: Path) -> None:
    share, options = WAYS[way]
    books = given(tmp_path, replace(options, max_pairs_per_row=25))

    matched = run(books, share)

    assert matched == 10_000


def test_few_pairs_are_allowed_whatever_the_rows(tmp_path: Path) -> None:
    books = given(tmp_path, Options(max_pairs_per_row=1))
    books.put("right", pa.table({"id": list(range(9)), "k": ["N/A"] * 9}))

    assert run(books, AMPLE) == 900


def test_what_cannot_be_seen_in_the_worst_key_is_shown(tmp_path: Path) -> None:
    books = given(tmp_path, Options(max_pairs_per_row=1), placeholder="")

    with pytest.raises(TooManyPairs, match=r"= '' \(100 rows"):
        run(books, AMPLE)


def run(books: Reconciliation, share: Budget) -> int:
    return run_in_process(books.recipe(), books.folder / "out", share).matched_count
