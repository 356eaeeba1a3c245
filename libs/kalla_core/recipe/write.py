"""From the frozen recipe back to a JSON document, and to the hash that names it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from kalla_core.observe.secrets import mask_text
from kalla_core.recipe.carry_document import carry_document
from kalla_core.recipe.format_written import format_document
from kalla_core.recipe.model import EngineChoice, Filter, GroupForm, Options, Recipe, SourceSpec
from kalla_core.recipe.passes_document import reconciling_document
from kalla_core.recipe.uris import LOCAL, scheme_of


def to_document(recipe: Recipe, *, masked: bool = False) -> dict[str, Any]:
    """Return the recipe as `parse_recipe` reads it; what has its default is left out.

    Args:
        recipe: any recipe.
        masked: hide the passwords in URIs, for evidence and answers.
    """
    document: dict[str, Any] = {
        "recipe_id": recipe.recipe_id,
        "name": recipe.name,
        "description": recipe.description,
        **reconciling_document(recipe.match_sql, recipe.passes, recipe.amounts, recipe.compared),
        "match_description": recipe.match_description,
        "sources": {
            "left": source_document(recipe.left, masked=masked),
            "right": source_document(recipe.right, masked=masked),
        },
        "extras": [source_document(extra, masked=masked) for extra in recipe.extras],
        "groups": None if recipe.groups is GroupForm.PAIRS else recipe.groups.value,
        "options": options_document(recipe.options),
    }
    return filled(document)


def canonical_json(document: object) -> str:
    """Return the one text of a JSON document: names sorted, no white space."""
    return json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def recipe_sha256(recipe: Recipe) -> str:
    """Return the hash of a recipe, in hex: of the canonical JSON of its masked document.

    Masked, so that whoever holds the evidence can compute it again, and nobody can guess a
    password from it.
    """
    import hashlib  # brings OpenSSL

    text = canonical_json(to_document(recipe, masked=True))
    return hashlib.sha256(text.encode()).hexdigest()


def source_document(spec: SourceSpec, *, masked: bool = False) -> dict[str, Any]:
    """Return one source as a document."""
    return filled(
        {
            "alias": spec.alias,
            "type": spec.type.value,
            "uri": masked_uri(spec) if masked else spec.uri,
            "primary_key": list(spec.primary_key),
            "schema": list(spec.columns),
            "filters": filter_documents(spec.filters),
            "types": dict(spec.types),
            "format": dict(format_document(spec.format)),
            "carry": carry_document(spec.carry),
        }
    )


def masked_uri(spec: SourceSpec) -> str | None:
    """Return where a source lies, fit to be shown; local paths hold no secrets."""
    local = spec.uri is None or scheme_of(spec.uri) == LOCAL
    return spec.uri if local else mask_text(str(spec.uri))


def filter_documents(filters: tuple[Filter, ...]) -> list[dict[str, Any]]:
    """Return the filters of a source as documents."""
    return [
        {"column": one.column, "op": one.op.value, "value": _listed(one.value)} for one in filters
    ]


def options_document(options: Options) -> dict[str, Any]:
    """Return options as a document; empty when all have their defaults."""
    return filled(
        {
            "engine": None if options.engine is EngineChoice.AUTO else options.engine.value,
            "partitions": options.partitions,
            "buckets": options.buckets,
            "timeout_s": None if options.timeout is None else _seconds(options.timeout),
            "overwrite": options.overwrite,
            "single_file": options.single_file,
            "max_pairs_per_row": options.max_pairs_per_row,
        }
    )


def filled(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document without the fields that say nothing: null, false, empty."""
    return {
        name: value
        for name, value in document.items()
        if value is not None and value is not False and value not in ("", [], {})
    }


def _listed(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _seconds(duration: timedelta) -> int | float:
    whole, rest = divmod(duration, timedelta(seconds=1))
    return duration.total_seconds() if rest else whole
