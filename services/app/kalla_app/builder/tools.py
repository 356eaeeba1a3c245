"""What the phases may call: each takes an input and returns an output, both JSON that is kept.

They go through the parts that the routes and pages use, so what those refuse is refused here, and
what those write into the audit trail is there. No output has a place of a source, which may hold a
password.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kalla_app.builder.led import SUGGEST
from kalla_app.builder.recipe import NUMBERS, built, id_of, without_places
from kalla_app.builder.state import SIDES
from kalla_app.errors import Conflict
from kalla_app.recipes.shelf import Shelf
from kalla_app.runs.service import RunService
from kalla_app.sources.catalogue import Catalogue, scoped_json, text_of
from kalla_core.client.client import Client
from kalla_core.error_json import fault_json

Json = dict[str, Any]
Tool = Callable[["Tools", Mapping[str, Any], str], Awaitable[Json]]

_MOST_SOURCES = 500
_PREVIEW_ROWS = 5
_TRIAL_ROWS = 8
_UNSHOWN = ("profiles", "mappings")
"""What a conversation has no use for of what is inferred."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What tools stand on."""

    catalogue: Catalogue
    shelf: Shelf
    runs: RunService
    client: Client

    async def call(self, tool: str, asked: Mapping[str, Any], who: str) -> Json:
        """Return what a tool answers.

        Args:
            who: on whose behalf, for the audit trail.

        Raises:
            KallaError: it cannot.
        """
        return await TOOLS[tool](self, asked, who)


async def _list_sources(tools: Tools, _asked: Mapping[str, Any], _who: str) -> Json:
    found = await tools.catalogue.page(_MOST_SOURCES, None)
    return {
        "sources": [
            {
                "alias": one.alias,
                "source_type": one.source_type,
                "columns": [column["name"] for column in one.columns],
                "row_count": one.row_count,
            }
            for one in found
        ]
    }


async def _get_source_preview(tools: Tools, asked: Mapping[str, Any], _who: str) -> Json:
    seen = await tools.catalogue.preview(asked["alias"], _PREVIEW_ROWS)
    names = [column["name"] for column in seen["columns"]]
    return {
        "alias": asked["alias"],
        "columns": seen["columns"],
        "rows": [[text_of(row.get(name)) for name in names] for row in seen["rows"]],
        "row_count": seen["row_count"] if seen["row_count_exact"] else None,
        "notes": seen["notes"],
    }


async def _request_file_upload(_tools: Tools, _asked: Mapping[str, Any], _who: str) -> Json:
    return {"presign": "/api/uploads/presign", "then": "confirm the upload, and save a source"}


async def _load_scoped(tools: Tools, asked: Mapping[str, Any], _who: str) -> Json:
    conditions: Sequence[Mapping[str, Any]] = asked["conditions"]
    seen = await tools.catalogue.preview(asked["alias"], asked["limit"], conditions)
    return scoped_json(asked["alias"], seen, asked["limit"], filtered=bool(conditions))


async def _infer(tools: Tools, asked: Mapping[str, Any], _who: str) -> Json:
    aliases = [asked[side] for side in SIDES]
    specs = await tools.catalogue.specs(aliases)
    for alias in aliases:
        if alias not in specs:
            await tools.catalogue.get(alias)  # says that it is gone
    left, right = (
        {
            "alias": alias,
            "uri": specs[alias]["uri"],
            "types": specs[alias].get("types") or {},
            "format": specs[alias].get("format"),
            "filters": list(asked["filters"][side]),
        }
        for side, alias in zip(SIDES, aliases, strict=True)
    )
    found = await tools.client.infer(left, right, asked["judged"], _TRIAL_ROWS)
    recipe = found["recipe"]
    kept = {name: value for name, value in found.items() if name not in _UNSHOWN}
    return {**kept, "recipe": None if recipe is None else without_places(recipe)}


async def _build_recipe(tools: Tools, asked: Mapping[str, Any], _who: str) -> Json:
    if "judged" in asked:
        return await _offered_recipe(tools, asked["recipe"], asked["judged"])
    return {"recipe": built(asked["recipe"], asked["passes"])}


async def _offered_recipe(tools: Tools, recipe: Json, judged: Sequence[Json]) -> Json:
    """Validate a recipe that a model wrote, run it on samples, and hold it against judgements."""
    nothing: Json = {"tried": None, "sample": None, "trial": None, "against": [], "holds": False}
    faults = [fault_json(one) for one in await tools.shelf.faults(recipe)]
    if faults:
        return {"recipe": recipe, "faults": faults, **nothing}
    ready = await tools.shelf.ready(recipe)
    found = await tools.client.try_recipe(ready, judged, _TRIAL_ROWS)
    if found["faults"]:
        return {"recipe": recipe, "faults": found["faults"], **nothing}
    against = [one for one in found["trial"]["judged"] if not one["holds"]]
    return {**found, "recipe": recipe, "against": against, "holds": not against}


async def _suggest_answer(_tools: Tools, _asked: Mapping[str, Any], _who: str) -> Json:
    return {"shown": True}


async def _validate_recipe(tools: Tools, asked: Mapping[str, Any], _who: str) -> Json:
    faults = await tools.shelf.faults(asked["recipe"])
    return {"valid": not faults, "faults": [fault_json(fault) for fault in faults]}


async def _run_sample(tools: Tools, asked: Mapping[str, Any], _who: str) -> Json:
    ready = await tools.shelf.ready(asked["recipe"])
    return await tools.client.try_recipe(ready, asked["judged"], _TRIAL_ROWS)


async def _save_recipe(tools: Tools, asked: Mapping[str, Any], who: str) -> Json:
    recipe, known = asked["recipe"], asked["recipe_id"]
    if known is not None:
        saved = await tools.shelf.save({**recipe, "recipe_id": known}, who, recipe_id=known)
        return {"recipe_id": known, "version": saved.version.version}
    taken: Conflict | None = None
    for number in NUMBERS:
        named = id_of(recipe["name"], number)
        try:
            saved = await tools.shelf.save({**recipe, "recipe_id": named}, who)
        except Conflict as error:
            taken = error
        else:
            return {"recipe_id": named, "version": saved.version.version}
    raise taken or Conflict("There is no free id for this recipe.")


async def _run_full(tools: Tools, asked: Mapping[str, Any], who: str) -> Json:
    run = await tools.runs.start(asked, who)
    return {"run_id": run.run_id}


TOOLS: dict[str, Tool] = {
    "list_sources": _list_sources,
    "get_source_preview": _get_source_preview,
    "request_file_upload": _request_file_upload,
    "load_scoped": _load_scoped,
    "propose_match": _infer,
    "infer_rules": _infer,
    "build_recipe": _build_recipe,
    SUGGEST: _suggest_answer,
    "validate_recipe": _validate_recipe,
    "run_sample": _run_sample,
    "save_recipe": _save_recipe,
    "run_full": _run_full,
}
