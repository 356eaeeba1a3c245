"""Recipes that were inferred and that were written by hand, run and compared with the truth."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.inferred.cases import Case
from kalla_core.engine.programs.local import RunRequest, run_local
from kalla_core.inference import Judged, Judgement, Proposal, infer
from kalla_core.recipe.model import Recipe
from kalla_core.recipe.parse import parse_recipe
from kalla_core.validate import validate_recipe

MAX_QUESTIONS = 8


@dataclass(frozen=True)
class Score:
    """How well a recipe does: of its pairs, and of the true ones, the share that is both."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """The harmonic mean."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def taught(case: Case) -> tuple[Proposal, int]:
    """Infer with the answers of somebody who knows the truth; also return how many."""
    judged: list[Judged] = []
    proposal = infer(case.left, case.right)
    while proposal.next_question is not None and len(judged) < MAX_QUESTIONS:
        asked = proposal.next_question
        pair = (
            asked.left_row[case.left.column_names[0]],
            asked.right_row[case.right.column_names[0]],
        )
        answer = Judgement.YES if pair in case.truth else Judgement.NO
        judged.append(Judged(asked.left, asked.right, answer))
        proposal = infer(case.left, case.right, judged)
    return proposal, len(judged)


def document(case: Case, passes: Sequence[Mapping[str, Any]], folder: Path) -> dict[str, Any]:
    """Write both tables, and return a recipe for them."""
    sources = {}
    for side, table in (("left", case.left), ("right", case.right)):
        path = folder / f"{side}.parquet"
        pq.write_table(table, path)
        sources[side] = {
            "alias": f"{side}_rows", "type": "file", "uri": str(path),
            "primary_key": [table.column_names[0]],
        }  # fmt: skip
    return {
        "recipe_id": "inferred", "name": case.name, "sources": sources,
        "passes": list(passes),
    }  # fmt: skip


Run = Callable[[Recipe, Path], object]


def in_child(recipe: Recipe, out: Path) -> None:
    """Run a recipe as the command line does."""
    run_local(RunRequest(recipe, "0" * 32, out, 2 << 30, 1), lambda _: None)


def scored(case: Case, passes: Sequence[Mapping[str, Any]], run: Run = in_child) -> Score:
    """Run some passes by the engine, and compare their pairs with the truth.

    Raises:
        RecipeInvalid: they do not validate.
    """
    if not passes:
        return Score(0.0, 0.0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe = parse_recipe(document(case, passes, folder))
        validate_recipe(recipe).demand()
        out = folder / "out"
        run(recipe, out)
        keys = pq.read_table(out / "matched.parquet", columns=["left_key", "right_key"]).to_pylist()
    truth = {(str(left), str(right)) for left, right in case.truth}
    found = {(str(row["left_key"]), str(row["right_key"])) for row in keys}
    right = len(found & truth)
    return Score(right / max(1, len(found)), right / max(1, len(truth)))
