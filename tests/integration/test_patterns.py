"""Whatever the parts, buckets, memory and format: the evidence equals the truth, to the row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.check import check
from benchmarks.generate import generate
from benchmarks.generate.dataset import Dataset
from kalla_core.recipe.parse import load_recipe
from tests.support.covering import every_row, pairwise_rows
from tests.support.runs import AMPLE, TIGHT, run_in_process

SIZE = 5000
PARAMETERS: Mapping[str, list[Any]] = {
    "pattern": ["one_to_one", "split", "batch", "cross", "hard"],
    "parts": [None, 1, 2, 7, 16],
    "buckets": [None, 1, 3, 16, 64],
    "memory": ["ample", "tight"],
    "format": ["csv", "parquet"],
}
COVERING = pairwise_rows(PARAMETERS)


def test_the_covering_set_is_small_enough() -> None:
    assert len(COVERING) <= 40


@pytest.fixture(scope="session")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Dataset]:
    folder = tmp_path_factory.mktemp("data")
    return {
        (pattern, kind): generate(pattern, SIZE, 7, folder / f"{pattern}-{kind}", kind)
        for pattern in PARAMETERS["pattern"]
        for kind in PARAMETERS["format"]
    }


@pytest.mark.parametrize("settings", COVERING, ids=lambda row: "-".join(map(str, row.values())))
def test_the_evidence_equals_the_truth(
    datasets: dict[tuple[str, str], Dataset], settings: dict[str, Any], tmp_path: Path
) -> None:
    _check(datasets, settings, tmp_path)


@pytest.mark.full
@pytest.mark.parametrize(
    "settings", every_row(PARAMETERS), ids=lambda row: "-".join(map(str, row.values()))
)
def test_the_evidence_equals_the_truth_for_every_combination(
    datasets: dict[tuple[str, str], Dataset], settings: dict[str, Any], tmp_path: Path
) -> None:
    _check(datasets, settings, tmp_path)


def _check(
    datasets: dict[tuple[str, str], Dataset], settings: dict[str, Any], tmp_path: Path
) -> None:
    dataset = datasets[settings["pattern"], settings["format"]]
    recipe = load_recipe(dataset.recipe_path)
    options = replace(recipe.options, partitions=settings["parts"], buckets=settings["buckets"])
    share = AMPLE if settings["memory"] == "ample" else TIGHT

    run_in_process(replace(recipe, options=options), tmp_path / "out", share)

    report = check(tmp_path / "out", dataset.truth)
    assert report.ok, str(report)
