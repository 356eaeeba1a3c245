"""Sources and judged pairs, as whoever asks for inference names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kalla_core.inference import Judged, Judgement
from kalla_core.inspection.preview import demand_source
from kalla_core.inspection.sampling import alias_of, source_for
from kalla_core.recipe.model import SourceSpec
from kalla_core.sources.csv.guess.found import Guess
from kalla_core.sources.protocol import SourceAccess

SIDES = ("left", "right")


def asked_source(
    asked: Mapping[str, Any], alias: str, access: SourceAccess
) -> tuple[SourceSpec, Guess | None]:
    """Return a source, with the format that it seems to be written in where none is given.

    Args:
        asked: `uri`, and perhaps `types`, `filters` and `format` as in a recipe.

    Raises:
        KallaError: it cannot be read.
    """
    types, written = asked.get("types") or {}, asked.get("format")
    given = demand_source(asked["uri"], types, asked.get("filters") or [], written)
    if types or written is not None:
        return replace(given, alias=alias), None
    spec, guess = source_for(asked["uri"], alias, access)
    return replace(spec, filters=given.filters), guess


def asked_pairs(judged: Sequence[Mapping[str, Any]]) -> list[Judged]:
    """Return pairs given as `{"left": [key], "right": [key], "judgement": "yes"}`."""
    return [
        Judged(tuple(one["left"]), tuple(one["right"]), Judgement(one["judgement"]))
        for one in judged
    ]


def named(sources: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Return the aliases of two sources: those they have, else made of their URIs."""
    left, right = (
        one.get("alias") or alias_of(one["uri"], side)
        for one, side in zip(sources, SIDES, strict=True)
    )
    return (f"left_{left}", f"right_{right}") if left == right else (left, right)
