"""A recipe tried on samples of its sources by the engine, and what came of it, with rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kalla_core.engine.programs.local import RunRequest, run_local
from kalla_core.evidence.keys import key_text
from kalla_core.evidence.metadata import RunMetadata
from kalla_core.evidence.names import AMBIGUOUS, MATCHED, SUGGESTED, UNMATCHED
from kalla_core.evidence.reader import open_evidence
from kalla_core.ids import new_run_id
from kalla_core.inference import Judged, Judgement
from kalla_core.inspection.sampling import Sample
from kalla_core.jobs.passes import pass_document
from kalla_core.recipe.model import Recipe, SourceType
from kalla_core.sources.protocol import SourceAccess

Json = dict[str, Any]

OUTPUT = "out"
_PAIRS = (("matched", MATCHED), ("ambiguous", AMBIGUOUS), ("suggested", SUGGESTED))
_ALONE = tuple((f"unmatched_{side.word}", name) for side, name in UNMATCHED.items())
_OWN = ("rule_name", "confidence")


def on_samples(recipe: Recipe, samples: tuple[Sample, Sample], folder: Path) -> Recipe:
    """Return a recipe whose sources are samples, which are written below a folder."""
    specs = []
    for side, sample, spec in zip(
        ("left", "right"), samples, (recipe.left, recipe.right), strict=True
    ):
        path = folder / f"{side}.parquet"
        pq.write_table(sample.table, path)
        plain = replace(
            spec,
            type=SourceType.FILE,
            uri=str(path),
            types={},
            filters=(),
            format=type(spec.format)(),
            carry=None,  # whose rows are in the sample
        )
        specs.append(plain)
    return replace(recipe, left=specs[0], right=specs[1])


def try_recipe(
    recipe: Recipe,
    samples: tuple[Sample, Sample],
    folder: Path,
    memory_limit_bytes: int,
    threads: int,
    access: SourceAccess,
) -> RunMetadata:
    """Run a recipe on samples; its evidence lies in `OUTPUT` of the folder.

    Args:
        access: what further sources of the recipe may be.

    Raises:
        KallaError: the run failed.
    """
    request = RunRequest(
        recipe=on_samples(recipe, samples, folder),
        run_id=new_run_id(),
        output=folder / OUTPUT,
        memory_limit_bytes=memory_limit_bytes,
        threads=threads,
        access=_with(access, folder),
        alone=False,
    )
    return run_local(request, lambda _: None)


def trial_document(
    folder: Path,
    recipe: Recipe,
    samples: tuple[Sample, Sample],
    judged: Sequence[Judged],
    rows: int,
    tried: RunMetadata,
) -> Json:
    """Return rows of what `try_recipe` found, some of each set, and how judged pairs came out.

    Args:
        rows: of each set, at most.
        tried: what `try_recipe` returned.

    Returns:
        `counts` of each set, the rows, `judged`, what each of the `passes` did, how many rows of a
        side stayed open by the `reasons` of that, and `warnings`.
    """
    keys = tuple(spec.primary_key for spec in (recipe.left, recipe.right))
    with open_evidence(folder / OUTPUT) as evidence:
        pairs = {
            name: _pairs(evidence.table(file), samples, keys, rows)
            for name, file in _PAIRS
            if evidence.has(file)
        }
        alone = {name: evidence.table(file).slice(0, rows).to_pylist() for name, file in _ALONE}
        reasons = {
            side.word: _counted(evidence.table(file), "rejection_reason")
            for side, file in UNMATCHED.items()
        }
        matched = evidence.table(MATCHED).select(["left_key", "right_key"])
        counts = {
            name: evidence.rows(file) for name, file in (*_PAIRS, *_ALONE) if evidence.has(file)
        }
    figures = () if tried.reconciliation is None else tried.reconciliation.passes
    return {
        "counts": counts,
        **pairs,
        **alone,
        "judged": _judged(matched, samples, keys, judged),
        "passes": [pass_document(one) for one in figures],
        "reasons": reasons,
        "warnings": list(tried.warnings),
    }


def _counted(table: pa.Table, name: str) -> dict[str, int]:
    """Return how often each value of a column is there, the most frequent first."""
    found = pc.value_counts(table.column(name)).to_pylist()
    found.sort(key=lambda one: -one["counts"])
    return {str(one["values"]): one["counts"] for one in found}


def _judged(
    matched: pa.Table,
    samples: tuple[Sample, Sample],
    keys: tuple[tuple[str, ...], ...],
    judged: Sequence[Judged],
) -> list[Json]:
    """Return for each judged pair whether the engine matches it; None of those not in the sample.

    A yes holds if it is matched, a no if it is not; unsure always does.
    """
    texts = [_as_texts(sample.table, key) for sample, key in zip(samples, keys, strict=True)]
    wanted = [
        (_place(texts[0], samples[0].table, keys[0], one.left),
         _place(texts[1], samples[1].table, keys[1], one.right))
        for one in judged
    ]  # fmt: skip
    lefts = pa.array([one[0] for one in wanted if one[0]], pa.string())
    near = matched.filter(pc.is_in(matched.column("left_key"), lefts))
    pairs = set(zip(*(near.column(name).to_pylist() for name in near.column_names), strict=True))
    found = []
    for one, (left, right) in zip(judged, wanted, strict=True):
        seen = None if left is None or right is None else (left, right) in pairs
        right_answer = seen is None or one.judgement is Judgement.UNSURE
        found.append(
            {
                "left": list(one.left),
                "right": list(one.right),
                "judgement": one.judgement.value,
                "matched": seen,
                "holds": right_answer or seen is (one.judgement is Judgement.YES),
            }
        )
    return found


def _place(
    texts: pa.Array, table: pa.Table, key: tuple[str, ...], values: tuple[Any, ...]
) -> str | None:
    """Return the key text of the row that has these values, as `infer` compares them."""
    wanted = tuple(map(str, values))
    if len(wanted) != len(key):
        return None
    columns = [table.column(name).to_pylist() for name in key]
    for number, row in enumerate(zip(*columns, strict=True)):
        if tuple(map(str, row)) == wanted:
            return str(texts[number].as_py())
    return None


def _pairs(
    table: pa.Table, samples: tuple[Sample, Sample], keys: tuple[tuple[str, ...], ...], rows: int
) -> list[Json]:
    some = table.slice(0, rows)
    sides = [
        _rows(sample.table, key, some.column(name))
        for sample, key, name in zip(samples, keys, ("left_key", "right_key"), strict=True)
    ]
    said = some.select(_OWN).to_pylist()
    return [
        {**one, "left_row": left, "right_row": right}
        for one, left, right in zip(said, *sides, strict=True)
    ]


def _rows(table: pa.Table, key: tuple[str, ...], wanted: pa.ChunkedArray) -> list[Json | None]:
    """Return the rows whose keys have these texts, in their order."""
    places = pc.index_in(wanted, _as_texts(table, key))
    return [
        None if place is None else table.slice(place, 1).to_pylist()[0]
        for place in places.to_pylist()
    ]


def _as_texts(table: pa.Table, key: tuple[str, ...]) -> pa.Array:
    columns = [table.column(name).combine_chunks() for name in key]
    plain = [
        pa.concat_arrays(one.chunks) if isinstance(one, pa.ChunkedArray) else one for one in columns
    ]
    return key_text(plain)


def _with(access: SourceAccess, folder: Path) -> SourceAccess:
    """Return an access that reaches the samples as well."""
    roots = access.allowed_roots
    return replace(
        access,
        allowed_roots=None if roots is None else (*roots, folder),
        opened=(*access.opened, folder),
    )
