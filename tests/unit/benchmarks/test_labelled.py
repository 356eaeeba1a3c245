"""How well a recipe of passes finds the true pairs of labelled transfers."""

from pathlib import Path

import pytest

from benchmarks.labelled import labelled, score, write
from kalla_core.evidence.reader import read_evidence
from kalla_core.recipe.parse import load_recipe
from tests.support.runs import run_in_process


def found(folder: Path, invoices: int, seed: int):
    recipe = load_recipe(write(labelled(invoices, seed), folder))
    metadata = run_in_process(recipe, folder / "evidence")
    return score(folder, folder / "evidence"), metadata


@pytest.mark.parametrize(
    "invoices",
    [1_500, pytest.param(50_000, marks=pytest.mark.full)],
)
def test_passes_find_the_true_pairs_and_leave_twins_to_people(tmp_path, invoices):
    told, metadata = found(tmp_path, invoices, seed=3)

    assert told.precision >= 0.995
    assert told.recall >= 0.97
    assert told.used_twice == 0
    assert told.twins > 0
    assert told.twins_matched == 0
    assert told.twins_held == told.twins
    assert metadata.reconciliation is not None
    assert [one.name for one in metadata.reconciliation.passes] == [
        "reference", "parts", "amount", "batches"
    ]  # fmt: skip
    with read_evidence(tmp_path / "evidence") as evidence:
        assert evidence.metadata == metadata


def test_the_same_seed_makes_the_same_set():
    once, again = labelled(200, seed=5), labelled(200, seed=5)

    assert once == again
    assert labelled(200, seed=6) != once
