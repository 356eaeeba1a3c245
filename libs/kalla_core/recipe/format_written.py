"""A source's `format` as it is written: names and values, without the models that check them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from kalla_core.recipe.source_format import AS_USUAL, FixedColumn, SignedAmount, SourceFormat

_OTHERWISE = {
    "dates": "date",
    "timestamps": "timestamp",
    "true_words": "true",
    "false_words": "false",
    "nulls": "null",
}
NAMES = {one.name: _OTHERWISE.get(one.name, one.name) for one in fields(SourceFormat)}
"""How each field of a format is called where it is written."""


def format_document(found: SourceFormat) -> Mapping[str, Any]:
    """Return a format as a document; empty if it says nothing."""
    return {
        written: _plain(value)
        for name, written in NAMES.items()
        if (value := getattr(found, name)) != getattr(AS_USUAL, name)
    }


def _plain(value: object) -> object:
    if isinstance(value, tuple) and value and isinstance(value[0], FixedColumn):
        return [{"name": one.name, "start": one.start + 1, "end": one.end} for one in value]
    if isinstance(value, SignedAmount):
        return {name: said for name, said in asdict(value).items() if said is not None}
    return list(value) if isinstance(value, tuple) else value
