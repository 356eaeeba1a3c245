"""Pages of recipes: the list, and the editor."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from kalla_app.access.gate import who
from kalla_app.api.requests import Cursor, behind
from kalla_app.api.requests import page as listed
from kalla_app.context import App
from kalla_app.exceptions.policy import Policy
from kalla_app.pages.forms import form_of, seen
from kalla_app.pages.render import page
from kalla_app.pages.today import cards
from kalla_app.recipes.shelf import Saved
from kalla_app.store.recipes import Version
from kalla_app.store.runs import Run
from kalla_app.store.sources import Source
from kalla_core.errors import KallaError, RecipeInvalid
from kalla_core.functions import FUNCTIONS

_PAGE = 50
_VERSIONS = 30
_RUNS = 12
_LOOKS = ("check", "sample")
_FIELDS = ("name", "match_sql", "match_description", "description")
_EMPTY = {
    "recipe_id": "",
    "name": "",
    "match_sql": "",
    "sources": {"left": {"primary_key": []}, "right": {"primary_key": []}},
}


def recipe_pages(app: App) -> APIRouter:
    """Return the pages of recipes."""
    routes = APIRouter(include_in_schema=False)

    async def editor(
        request: Request,
        document: Mapping[str, Any],
        saved: Saved | None,
        *,
        error: KallaError | None = None,
        status: int = 200,
        tried: dict[str, Any] | None = None,
        trial: dict[str, Any] | None = None,
    ) -> Response:
        runs: list[Run] = []
        versions: list[Version] = []
        policy = Policy()
        if saved is not None:
            recipe_id = saved.recipe.recipe_id
            runs, _ = await app.runs.page(_RUNS, recipe_id=recipe_id)
            versions = await app.shelf.versions(recipe_id, _VERSIONS, None)
            policy = await app.exceptions.policy(recipe_id)
        sources = await app.catalogue.page(500, None)
        faults = list(error.faults) if isinstance(error, RecipeInvalid) else []
        return await page(
            app,
            request,
            "recipe.html",
            status,
            document=document,
            saved=saved,
            runs=runs,
            versions=versions,
            policy=policy,
            error=error,
            faults=faults,
            tried=tried,
            trial=trial,
            sources=sources,
            tables=_tables(document, sources),
            functions=list(FUNCTIONS),
            whole=json.dumps(document, indent=2, ensure_ascii=False),
        )

    @routes.get("/recipes")
    async def recipes(request: Request, cursor: Cursor = None) -> Response:
        found = await app.shelf.page(_PAGE + 1, behind(cursor))
        rows = listed("recipes", found, _PAGE, lambda one: one, lambda one: one.recipe.recipe_id)
        made = await cards(app, rows["recipes"])
        return await page(app, request, "recipes.html", cards=made, cursor=rows["cursor"])

    @routes.get("/recipes/new")
    async def new(request: Request) -> Response:
        return await editor(request, _EMPTY, None)

    @routes.post("/recipes/new")
    async def add(request: Request) -> Response:
        given = await form_of(request)
        document = _document(_EMPTY, given) | {"recipe_id": given.get("recipe_id", "").strip()}
        if given.get("do") in _LOOKS:
            return await checked(request, document, None, sample=given["do"] == "sample")
        try:
            saved = await app.shelf.save(document, who().name)
        except KallaError as error:
            return await editor(request, document, None, error=error, status=422)
        return seen(f"/recipes/{saved.recipe.recipe_id}")

    @routes.get("/recipes/{recipe_id}")
    async def recipe(
        recipe_id: str, request: Request, version: Annotated[int | None, Query(ge=1)] = None
    ) -> Response:
        saved = await app.shelf.get(recipe_id, version)
        return await editor(request, saved.version.document, saved)

    @routes.post("/recipes/{recipe_id}")
    async def change(recipe_id: str, request: Request) -> Response:
        given = await form_of(request)
        saved = await app.shelf.get(recipe_id)
        document = _document(saved.version.document, given)
        if given.get("do") in _LOOKS:
            return await checked(request, document, saved, sample=given["do"] == "sample")
        expected = given.get("version", "")
        try:
            await app.shelf.save(
                document,
                who().name,
                recipe_id=recipe_id,
                expected=int(expected) if expected.isdecimal() else None,
            )
        except KallaError as error:
            return await editor(request, document, saved, error=error, status=422)
        if given.get("do") == "run":
            run = await app.runs.start({"recipe_id": recipe_id}, who().name)
            return seen(f"/runs/{run.run_id}")
        return seen(f"/recipes/{recipe_id}")

    async def checked(
        request: Request, document: dict[str, Any], saved: Saved | None, *, sample: bool
    ) -> Response:
        """Show what is wrong with a recipe, or how it would be run, also on a sample."""
        try:
            faults = await app.shelf.faults(document)
            if faults:
                raise RecipeInvalid(faults)
            tried = await app.shelf.explained(document)
            trial = await app.shelf.tried(document, 0) if sample else None
        except KallaError as error:
            return await editor(request, document, saved, error=error)
        return await editor(request, document, saved, tried=tried, trial=trial)

    @routes.get("/recipes/{recipe_id}/versions")
    async def versions(
        recipe_id: str,
        request: Request,
        to: Annotated[int, Query(ge=1)],
        since: Annotated[int, Query(ge=1)],
    ) -> Response:
        old = await app.shelf.get(recipe_id, since)
        new = await app.shelf.get(recipe_id, to)
        return await page(
            app,
            request,
            "versions.html",
            old=old.version,
            new=new.version,
            recipe=new.recipe,
            lines=_difference(old.version.document, new.version.document),
        )

    @routes.post("/recipes/{recipe_id}/run")
    async def run(recipe_id: str, request: Request) -> Response:
        await form_of(request)
        started = await app.runs.start({"recipe_id": recipe_id}, who().name)
        return seen(f"/runs/{started.run_id}")

    @routes.post("/recipes/{recipe_id}/remove")
    async def remove(recipe_id: str, request: Request) -> Response:
        await form_of(request)
        await app.shelf.remove(recipe_id, who().name)
        return seen("/recipes")

    return routes


def _tables(
    document: Mapping[str, Any], sources: Sequence[Source]
) -> dict[str, list[dict[str, Any]]]:
    """Return the columns of the tables that the match SQL may name."""
    known = {source.alias: list(source.columns) for source in sources}
    tables: dict[str, list[dict[str, Any]]] = {"left_src": [], "right_src": []}
    for side in ("left", "right"):
        alias = document["sources"].get(side, {}).get("alias")
        if alias in known:
            tables[f"{side}_src"] = tables[alias] = known[alias]
    return tables


def _document(before: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """Return a recipe with what a form says of it; all else stays as it was."""
    document: dict[str, Any] = json.loads(json.dumps(before))
    for name in _FIELDS:
        if name in given:
            document[name] = given[name].strip()
            if not document[name] and name.endswith("description"):
                del document[name]
    for side in ("left", "right"):
        source = document.setdefault("sources", {}).setdefault(side, {})
        alias = given.get(f"{side}_alias", "").strip()
        if f"{side}_alias" in given and alias != source.get("alias"):
            # Another source: what was said of the old one does not hold for it.
            kept = {"primary_key": source.get("primary_key", [])}
            document["sources"][side] = source = {"alias": alias, **kept}
        if f"{side}_key" in given:
            names = given[f"{side}_key"].split(",")
            source["primary_key"] = [name.strip() for name in names if name.strip()]
    return document


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return lines with what became of each: ` `, `+` or `-`."""
    lines = difflib.ndiff(_lines(old), _lines(new))
    return [(line[0], line[2:]) for line in lines if line[0] != "?"]


def _lines(document: Mapping[str, Any]) -> list[str]:
    rest = {name: value for name, value in document.items() if name != "match_sql"}
    sql = str(document.get("match_sql", "")).splitlines()
    return [*json.dumps(rest, indent=2, ensure_ascii=False).splitlines(), "", *sql]
