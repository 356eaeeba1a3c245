"""Samples and inference for a process of its own: files in, JSON out.

A sample is asked for by two sources and a folder, and lies there as `left.parquet` and
`right.parquet`; inference reads two such files. So rows travel between processes as Parquet, and
the sources that a recipe names need not be reached by whoever infers it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from kalla_core.inference import Judged, Judgement
from kalla_core.inference.mappings import FieldMapping, mappings
from kalla_core.inspection.preview import demand_source
from kalla_core.inspection.proposal_document import proposal_document
from kalla_core.inspection.proposing import propose, with_keys
from kalla_core.inspection.sampling import Sample, alias_of, samples, source_for
from kalla_core.recipe.model import SourceSpec
from kalla_core.recipe.write import source_document
from kalla_core.sources.csv.guess.found import Guess
from kalla_core.sources.protocol import EVERYTHING, SourceAccess

Json = dict[str, Any]
SIDES = ("left", "right")


def sampled(document: Mapping[str, Any], access: SourceAccess = EVERYTHING) -> Json:
    """Write samples of two sources, and return where they lie and how the sources are read.

    Args:
        document: `left` and `right`, each with `uri` and perhaps `alias`, `types`, `filters` and
            `format` as in a recipe; `folder`; and `keys`, whether rows that no columns tell apart
            are numbered.
        access: what sources may be reached.

    Raises:
        KallaError: a source cannot be read.
    """
    aliases = named([document[side] for side in SIDES])
    left, right = (
        _source(document[side], alias, access)
        for side, alias in zip(SIDES, aliases, strict=True)
    )  # fmt: skip
    found = samples(left, right, access=access)
    if document["keys"]:
        found = with_keys(*found, access)
    folder = Path(document["folder"])
    answer: Json = {}
    for side, one in zip(SIDES, found, strict=True):
        path = folder / f"{side}.parquet"
        pq.write_table(one.table, path)
        answer[side] = {
            "source": source_document(one.spec),
            "path": str(path),
            "rows": one.rows,
            "taken": len(one.table),
            "undecidable": [] if one.guess is None else list(one.guess.undecidable),
        }
    return answer


def inferred(document: Mapping[str, Any]) -> Json:
    """Return what two samples say of how their rows belong together.

    Args:
        document: `left` and `right` as `sampled` returned them; `judged`, pairs as
            `{"left": [key], "right": [key], "judgement": "yes"}`; `mappings`, whether only the
            columns that go together are asked for.

    Raises:
        KallaError: a sample cannot be read.
    """
    left, right = (_sample(document[side]) for side in SIDES)
    if document["mappings"]:
        return {"mappings": [_mapping(one) for one in mappings(left.table, right.table)]}
    judged = [
        Judged(tuple(one["left"]), tuple(one["right"]), Judgement(one["judgement"]))
        for one in document["judged"]
    ]
    answer = proposal_document(propose(left, right, judged))
    if answer["recipe"] is not None:
        answer["recipe"] = _of_the_sources(answer["recipe"], document)
    return answer


def named(sources: list[Mapping[str, Any]]) -> tuple[str, str]:
    """Return the aliases of two sources: those they have, else made of their URIs."""
    left, right = (
        one.get("alias") or alias_of(one["uri"], side)
        for one, side in zip(sources, SIDES, strict=True)
    )
    return (f"left_{left}", f"right_{right}") if left == right else (left, right)


def _source(
    document: Mapping[str, Any], alias: str, access: SourceAccess
) -> tuple[SourceSpec, Guess | None]:
    types, written = document.get("types") or {}, document.get("format")
    given = demand_source(document["uri"], types, document.get("filters") or [], written)
    if types or written is not None:
        return replace(given, alias=alias), None
    spec, guess = source_for(document["uri"], alias, access)
    return replace(spec, filters=given.filters), guess


def _sample(document: Mapping[str, Any]) -> Sample:
    table = pq.read_table(document["path"])
    spec = replace(demand_source(document["path"], {}, []), alias=document["source"]["alias"])
    return Sample(spec, table, document["rows"], len(table) == document["rows"])


def _of_the_sources(recipe: Mapping[str, Any], document: Mapping[str, Any]) -> Json:
    """Return the recipe with the sources that the samples are of."""
    sources = {
        side: {**document[side]["source"], "primary_key": recipe["sources"][side]["primary_key"]}
        for side in SIDES
    }
    return {**recipe, "sources": sources}


def _mapping(one: FieldMapping) -> Json:
    return {
        "left": list(one.left),
        "right": list(one.right),
        "role": one.role.value,
        "sql": one.sql,
        "says": one.says,
        "share": None if one.share is None else round(one.share, 4),
    }
