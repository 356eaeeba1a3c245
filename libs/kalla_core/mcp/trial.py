"""A recipe run by the engine on samples, and some of what came of it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from kalla_core.engine.programs.local import RunRequest, Supervision, run_local
from kalla_core.errors import InvalidSetting
from kalla_core.evidence.metadata import RunMetadata
from kalla_core.evidence.names import MATCHED, UNMATCHED
from kalla_core.evidence.reader import Evidence, open_evidence
from kalla_core.ids import new_run_id
from kalla_core.inspection.asked import SIDES
from kalla_core.jobs.passes import pass_document
from kalla_core.matching.sql.query import Side
from kalla_core.mcp.samples import Reach
from kalla_core.recipe.model import Recipe, SourceSpec, SourceType
from kalla_core.recipe.parse import parse_recipe

MEMORY_BYTES = 1 << 30
_REASONED_ROWS = 50_000
_INTERNAL = "__kalla"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Trial:
    """What a run on samples found.

    Attributes:
        rows: at most so many of `matched`, `unmatched_left` and `unmatched_right`.
        reasons: how many rows of a side stayed open, by `rejection_reason`.
    """

    metadata: RunMetadata
    passes: tuple[Json, ...]
    rows: Mapping[str, tuple[Json, ...]]
    reasons: Mapping[str, Mapping[str, int]]


def on_samples(document: Mapping[str, Any], sampled: Json, reach: Reach) -> Recipe:
    """Return a recipe whose sources are samples.

    Raises:
        RecipeInvalid: with all that is wrong.
        InvalidSetting: it has sources that cannot be sampled.
    """
    recipe = parse_recipe(document)
    if recipe.extras and reach.roots is None:
        raise InvalidSetting("A recipe with extras cannot be tried on samples of a coordinator.")
    left, right = (
        _plain(spec, sampled[side]["path"])
        for side, spec in zip(SIDES, (recipe.left, recipe.right), strict=True)
    )
    return replace(recipe, left=left, right=right)


def try_recipe(
    recipe: Recipe, folder: Path, reach: Reach, rows: int, timeout: timedelta,
    stop: threading.Event,
) -> Trial:  # fmt: skip
    """Run a recipe on samples in a child, and read what it wrote; blocks.

    Args:
        folder: where the samples lie and the evidence goes.

    Raises:
        KallaError: the run failed, took too long, or was stopped.
    """
    access = replace(reach.access, allowed_roots=(folder, *(reach.roots or ())))
    request = RunRequest(
        recipe=recipe, run_id=new_run_id(), output=folder / "evidence",
        memory_limit_bytes=MEMORY_BYTES, threads=1, timeout=timeout, access=access,
    )  # fmt: skip
    metadata = run_local(request, lambda _: None, Supervision(stop=stop))
    with open_evidence(str(folder / "evidence")) as evidence:
        outputs = {"matched": MATCHED, **{f"unmatched_{s.word}": UNMATCHED[s] for s in Side}}
        shown = {name: _rows(evidence, output, rows) for name, output in outputs.items()}
        reasons = {side.word: _reasons(evidence, UNMATCHED[side]) for side in Side}
    figures = () if metadata.reconciliation is None else metadata.reconciliation.passes
    return Trial(metadata, tuple(map(pass_document, figures)), shown, reasons)


def _plain(spec: SourceSpec, path: str) -> SourceSpec:
    if spec.carry is not None:
        raise InvalidSetting("A recipe that carries open items cannot be tried on samples.")
    return replace(
        spec, type=SourceType.FILE, uri=path, types={}, filters=(), format=type(spec.format)()
    )


def _rows(evidence: Evidence, output: str, most: int) -> tuple[Json, ...]:
    found: list[Json] = []
    for batch in evidence.batches(output, most):
        found += batch.to_pylist()
    return tuple(
        {name: value for name, value in row.items() if not name.startswith(_INTERNAL)}
        for row in found[:most]
    )


def _reasons(evidence: Evidence, output: str) -> dict[str, int]:
    counted: Counter[str] = Counter()
    for batch in evidence.batches(output, _REASONED_ROWS, columns=["rejection_reason"]):
        counted.update(map(str, batch.column("rejection_reason").to_pylist()))
    return dict(counted.most_common())
