"""Sources over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from kalla_app.access.gate import who
from kalla_app.api.requests import Check, Cursor, Limit, behind, document_of, fields_of, page
from kalla_app.context import App
from kalla_app.sources.catalogue import MOST_ROWS, scoped_json, source_json
from kalla_core.errors import Fault, RecipeInvalid

Rows = Annotated[int, Query(ge=1, le=MOST_ROWS)]


def source_routes(app: App) -> APIRouter:
    """Return the routes of sources."""
    routes = APIRouter(prefix="/api/sources", tags=["sources"])

    @routes.get("")
    async def list_sources(limit: Limit = 50, cursor: Cursor = None) -> Response:
        """List sources by alias, a page at a time."""
        found = await app.catalogue.page(limit + 1, behind(cursor))
        return JSONResponse(page("sources", found, limit, source_json, lambda one: one.alias))

    @routes.post("", status_code=201)
    async def add_source(request: Request, check: Check = True) -> Response:
        """Save a source, once it was looked into; `check=false` saves it unseen."""
        made = await app.catalogue.add(await document_of(request), who().name, check=check)
        return JSONResponse(source_json(made), 201)

    @routes.get("/{alias}")
    async def get_source(alias: str) -> Response:
        """Show a source."""
        return JSONResponse(source_json(await app.catalogue.get(alias)))

    @routes.patch("/{alias}")
    async def change_source(alias: str, request: Request, check: Check = True) -> Response:
        """Change some fields of a source; a URI that comes back masked keeps its password."""
        document = await document_of(request)
        made = await app.catalogue.change(alias, document, who().name, check=check)
        return JSONResponse(source_json(made))

    @routes.delete("/{alias}", status_code=204)
    async def remove_source(alias: str) -> Response:
        """Remove a source; what it points to stays as it is."""
        await app.catalogue.remove(alias, who().name)
        return Response(status_code=204)

    @routes.post("/{alias}/test")
    async def test_source(alias: str) -> Response:
        """Look into a source, and keep what was found."""
        return JSONResponse(source_json(await app.catalogue.try_again(alias, who().name)))

    @routes.get("/{alias}/preview")
    async def preview_source(alias: str, limit: Rows = 20) -> Response:
        """Show the columns and first rows of a source."""
        seen = await app.catalogue.preview(alias, limit)
        return JSONResponse({"alias": alias, **seen})

    @routes.post("/{alias}/load-scoped")
    async def load_scoped(alias: str, request: Request) -> Response:
        """Show the first rows of a source that fulfil some conditions, as texts."""
        given = await fields_of(request)
        limit, conditions = given.get("limit", 100), given.get("conditions") or []
        if type(limit) is not int or not 1 <= limit <= MOST_ROWS:
            raise RecipeInvalid(
                [Fault("out_of_range", "limit", f"A limit is 1 to {MOST_ROWS}.")], "request"
            )
        if not isinstance(conditions, list) or not all(
            isinstance(one, Mapping) for one in conditions
        ):
            raise RecipeInvalid(
                [Fault("wrong_type", "conditions", "Conditions are a list of filters.")], "request"
            )
        seen = await app.catalogue.preview(alias, limit, conditions)
        return JSONResponse(scoped_json(alias, seen, limit, filtered=bool(conditions)))

    return routes
