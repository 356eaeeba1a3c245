"""Recipes over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, Response

from kalla_app.access.gate import who
from kalla_app.api.requests import Check, Cursor, Limit, behind, document_of, page
from kalla_app.context import App
from kalla_app.errors import Conflict
from kalla_app.recipes.shelf import recipe_json, version_json
from kalla_app.store.cursors import place_of
from kalla_core.error_json import fault_json

_ROWS_SHOWN = 10

IfMatch = Annotated[str | None, Header(max_length=64)]


def recipe_routes(app: App) -> APIRouter:
    """Return the routes of recipes."""
    routes = APIRouter(prefix="/api/recipes", tags=["recipes"])

    @routes.get("")
    async def list_recipes(limit: Limit = 50, cursor: Cursor = None) -> Response:
        """List recipes by id, a page at a time, each with its newest version."""
        found = await app.shelf.page(limit + 1, behind(cursor))
        shown = page("recipes", found, limit, recipe_json, lambda one: one.recipe.recipe_id)
        return JSONResponse(shown)

    @routes.post("", status_code=201)
    async def add_recipe(request: Request, check: Check = True) -> Response:
        """Save a new recipe, if it is right; else all its faults are told, with their places."""
        saved = await app.shelf.save(await document_of(request), who().name, check=check)
        return JSONResponse(recipe_json(saved), 201, {"ETag": _etag(saved.version.version)})

    @routes.post("/validate")
    async def validate_recipe(request: Request) -> Response:
        """List what is wrong with a recipe; nothing is saved."""
        faults = await app.shelf.faults(await document_of(request))
        return JSONResponse(
            {"valid": not faults, "faults": [fault_json(fault) for fault in faults]}
        )

    @routes.post("/explain")
    async def explain_recipe(request: Request) -> Response:
        """Say how a recipe would be run, and why so."""
        return JSONResponse(await app.shelf.explained(await document_of(request)))

    @routes.post("/{recipe_id}/check")
    async def check_recipe(recipe_id: str, version: int | None = None) -> Response:
        """Look into a saved recipe: its faults as it now stands, or how it would be run.

        Without faults it is run on samples of its sources, on rows whose keys have partners on
        the other side; nothing of that is kept.
        """
        saved = await app.shelf.get(recipe_id, version)
        document = await app.shelf.whole(saved.version)
        faults = await app.shelf.faults(document)
        plan = None if faults else await app.shelf.explained(document)
        tried = {} if faults else await app.shelf.tried(document, _ROWS_SHOWN)
        told = [fault_json(fault) for fault in faults]
        return JSONResponse(
            {
                "valid": not faults,
                "faults": told,
                "plan": plan,
                "sample": tried.get("sample"),
                "trial": tried.get("trial"),
            }
        )

    @routes.get("/{recipe_id}")
    async def get_recipe(recipe_id: str, version: int | None = None) -> Response:
        """Show a recipe, by its newest version or another."""
        saved = await app.shelf.get(recipe_id, version)
        return JSONResponse(recipe_json(saved), headers={"ETag": _etag(saved.version.version)})

    @routes.put("/{recipe_id}")
    async def change_recipe(
        recipe_id: str, request: Request, check: Check = True, if_match: IfMatch = None
    ) -> Response:
        """Save the next version of a recipe.

        With `If-Match`, only if nobody has saved another since. URIs that come back masked keep
        their passwords.
        """
        saved = await app.shelf.save(
            await document_of(request),
            who().name,
            recipe_id=recipe_id,
            expected=_version_of(if_match),
            check=check,
        )
        return JSONResponse(recipe_json(saved), headers={"ETag": _etag(saved.version.version)})

    @routes.delete("/{recipe_id}", status_code=204)
    async def remove_recipe(recipe_id: str) -> Response:
        """Take a recipe out of the list; runs keep the version they used."""
        await app.shelf.remove(recipe_id, who().name)
        return Response(status_code=204)

    @routes.get("/{recipe_id}/versions")
    async def list_versions(
        recipe_id: str, limit: Annotated[int, Query(ge=1, le=500)] = 50, cursor: Cursor = None
    ) -> Response:
        """List the versions of a recipe, newest first."""
        before = None if cursor is None else place_of(cursor, (int,))[0]
        number = before if isinstance(before, int) else None
        found = await app.shelf.versions(recipe_id, limit + 1, number)
        return JSONResponse(page("versions", found, limit, version_json, lambda one: one.version))

    return routes


def _etag(version: int) -> str:
    return f'"{version}"'


def _version_of(if_match: str | None) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    number = if_match.strip().removeprefix("W/").strip('"')
    if not number.isdecimal() or not number.isascii():
        raise Conflict(f"No version has the ETag {if_match}.")
    return int(number)
