"""Samples of two sources and their columns that go together, for a process of its own.

A sample is asked for by two sources and a folder, and lies there as `left.parquet` and
`right.parquet`; mappings are read out of two such files.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from kalla_core.inference.mappings import FieldMapping, mappings
from kalla_core.inspection.asked import SIDES, asked_source, named
from kalla_core.inspection.sampling import samples
from kalla_core.recipe.write import source_document
from kalla_core.sources.protocol import EVERYTHING, SourceAccess

Json = dict[str, Any]


def sampled(document: Mapping[str, Any], access: SourceAccess = EVERYTHING) -> Json:
    """Write samples of two sources, and return where they lie and how the sources are read.

    Args:
        document: `left` and `right`, each with `uri` and perhaps `alias`, `types`, `filters` and
            `format` as in a recipe; and `folder`.
        access: what sources may be reached.

    Raises:
        KallaError: a source cannot be read.
    """
    aliases = named([document[side] for side in SIDES])
    left, right = (
        asked_source(document[side], alias, access)
        for side, alias in zip(SIDES, aliases, strict=True)
    )  # fmt: skip
    folder = Path(document["folder"])
    answer: Json = {}
    for side, one in zip(SIDES, samples(left, right, access=access), strict=True):
        path = folder / f"{side}.parquet"
        pq.write_table(one.table, path)
        answer[side] = {
            "source": source_document(one.spec),
            "path": str(path),
            "rows": one.rows,
            "taken": len(one.table),
            "undecidable": list(one.undecidable),
        }
    return answer


def mapped(document: Mapping[str, Any]) -> Json:
    """Return the columns of two samples that go together.

    Args:
        document: `left` and `right` as `sampled` returned them.
    """
    left, right = (pq.read_table(document[side]["path"]) for side in SIDES)
    return {"mappings": [_mapping(one) for one in mappings(left, right)]}


def _mapping(one: FieldMapping) -> Json:
    return {
        "left": list(one.left),
        "right": list(one.right),
        "role": one.role.value,
        "sql": one.sql,
        "says": one.says,
        "share": None if one.share is None else round(one.share, 4),
    }
