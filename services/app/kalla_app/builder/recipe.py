"""The recipe of a conversation: what inference proposed, with names that people read. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

_MOST_TRIED = 50


def without_places(recipe: Mapping[str, Any]) -> Json:
    """Return a recipe whose sources are named and not placed: the catalogue has their URIs."""
    sides = {
        side: {name: value for name, value in source.items() if name not in ("uri", "type")}
        for side, source in recipe["sources"].items()
    }
    return {**recipe, "sources": sides}


def built(recipe: Mapping[str, Any], passes: list[Mapping[str, Any]]) -> Json:
    """Return a recipe that says what its rules are, and where they come from."""
    said = "; then ".join(one["says"] for one in passes)
    return {
        **without_places(recipe),
        "description": "Inferred from both sources and from pairs that people judged.",
        "match_description": said,
    }


def id_of(name: str, number: int = 1) -> str:
    """Return the id of a recipe by its name; `number` tells those of one name apart."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:80] or "recipe"
    return plain if number == 1 else f"{plain}-{number}"


NUMBERS = range(1, _MOST_TRIED + 1)
