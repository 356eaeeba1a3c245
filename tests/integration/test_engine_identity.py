"""Whatever the parts, buckets and memory: the same evidence in every column of every row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.generate import generate
from benchmarks.generate.dataset import Dataset
from kalla_core.engine.budget import Budget
from kalla_core.engine.joins.totals import Way
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.model import Recipe
from kalla_core.recipe.parse import load_recipe
from tests.support.runs import AMPLE, TIGHT
from tests.support.tables import Ran, run_recipe

SIZE = 3000
PATTERNS = ("one_to_one", "split", "batch", "cross", "hard")
TIGHTEST = replace(AMPLE, whole_bytes=40_000, join_bytes=20_000, run_bytes=10_000)
LATE = replace(AMPLE, whole_bytes=350_000, join_bytes=100_000)
CUTS: dict[str, tuple[Budget, int | None, int | None]] = {
    "many parts and buckets": (AMPLE, 7, 16),
    "more buckets than keys in them": (AMPLE, 3, 500),
    "little memory": (TIGHT, 2, None),
    "next to no memory": (TIGHTEST, 5, 3),
    "narrow rows first": (LATE, 4, None),
}


@pytest.fixture(scope="module", params=PATTERNS)
def recipe(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    folder = tmp_path_factory.mktemp(request.param)
    dataset: Dataset = generate(request.param, SIZE, 11, folder, "parquet")
    return load_recipe(dataset.recipe_path)


@pytest.fixture(scope="module")
def whole(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    in_one = replace(recipe, options=replace(recipe.options, partitions=1))
    return run_recipe(in_one, tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("cut", CUTS)
def test_every_row_is_the_same(recipe: Recipe, whole: Ran, tmp_path: Path, cut: str) -> None:
    share, parts, buckets = CUTS[cut]
    options = replace(recipe.options, partitions=parts, buckets=buckets)

    got = run_recipe(replace(recipe, options=options), tmp_path, share)

    assert whole.joins == {Way.WHOLE: 1}
    assert Way.WHOLE not in got.joins
    assert got.matched.equals(whole.matched)
    for side in Side:
        assert got.unmatched[side].equals(whole.unmatched[side])
    assert got.outcome.sides == whole.outcome.sides
