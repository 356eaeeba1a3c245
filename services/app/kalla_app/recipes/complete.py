"""A recipe as it can be run: its sources found by alias, its parameters set. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from kalla_core.errors import Fault, RecipeInvalid
from kalla_core.recipe.override import override
from kalla_core.recipe.paths import DOCUMENT

Json = dict[str, Any]


def aliases_of(document: object) -> tuple[str, ...]:
    """Return the aliases of a recipe's sources that say nothing of where they lie."""
    return tuple(
        str(source["alias"])
        for _, source in _sources(document)
        if isinstance(source.get("alias"), str) and not source.get("uri")
    )


def completed(document: object, saved: Mapping[str, Json], resolved: object = None) -> Json:
    """Return a recipe whose sources say where they lie, as far as anybody knows.

    Args:
        document: of the recipe; it stays as it is.
        saved: by alias, what the source of that alias says; the recipe's own word goes first.
        resolved: of whoever starts a run, `{alias or side: uri or {"uri", …}}` or a list of
            objects with `alias`; its word goes before all.

    Raises:
        RecipeInvalid: the recipe is no object, or what is resolved is none of its sources.
    """
    if not isinstance(document, Mapping):
        raise RecipeInvalid([Fault("wrong_type", DOCUMENT, "A recipe is an object.")])
    made: Json = json.loads(json.dumps(document))
    given = _resolved(resolved)
    for side, source in _sources(made):
        alias = source.get("alias")
        if not source.get("uri") and alias in saved:
            known = {name: value for name, value in source.items() if value}
            source.update({**saved[str(alias)], **known})
        for name in (side, alias):
            source.update(given.pop(str(name), {}))
    if given:
        unknown = ", ".join(sorted(given))
        raise RecipeInvalid(
            [Fault("unknown_source", "resolved_sources", f"The recipe has no source {unknown}.")],
            "request",
        )
    return made


def with_parameters(document: Json, parameters: object) -> Json:
    """Return a recipe with some of its fields set, by their paths.

    Raises:
        RecipeInvalid: the parameters are no object.
        InvalidSetting: no recipe has such a field.
    """
    if parameters is None:
        return document
    if not isinstance(parameters, Mapping):
        fault = Fault(
            "wrong_type", "parameters", 'Parameters are an object, as {"options.buckets": 7}.'
        )
        raise RecipeInvalid([fault], "request")
    for path, value in parameters.items():
        document = override(document, f"{path}={json.dumps(value)}")
    return document


def _sources(document: object) -> Iterator[tuple[str, Json]]:
    if not isinstance(document, Mapping):
        return
    sides = document.get("sources")
    for side in ("left", "right"):
        if isinstance(sides, Mapping) and isinstance(sides.get(side), dict):
            yield side, sides[side]
    extras = document.get("extras")
    for place, extra in enumerate(extras if isinstance(extras, list) else ()):
        if isinstance(extra, dict):
            yield f"extras[{place}]", extra


def _resolved(given: object) -> dict[str, Json]:
    if given is None:
        return {}
    if isinstance(given, Mapping):
        items = list(given.items())
    elif isinstance(given, list) and all(isinstance(one, Mapping) for one in given):
        items = [(one.get("alias"), one) for one in given]
    else:
        raise _unresolved()
    found = {}
    for name, value in items:
        fields = {"uri": value} if isinstance(value, str) else value
        if not isinstance(name, str) or not isinstance(fields, Mapping) or "uri" not in fields:
            raise _unresolved()
        found[name] = {
            field: fields[field]
            for field in ("uri", "type", "types", "format", "filters")
            if fields.get(field) is not None
        }
    return found


def _unresolved() -> RecipeInvalid:
    sentence = 'Sources are resolved as {"alias": "uri"}, or as a list of {"alias", "uri"}.'
    return RecipeInvalid([Fault("wrong_type", "resolved_sources", sentence)], "request")
