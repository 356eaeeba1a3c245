"""Places to go to by their name: pages, recipes, sources and runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from kalla_app.context import App
from kalla_app.pages.render import page
from kalla_app.pages.signs import PAGES
from kalla_app.store.names import Names, named
from kalla_core.moments import moment_of

_EACH = 5


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere to go.

    Attributes:
        sign: name of an icon.
        at: of a run, when it was begun.
    """

    name: str
    kind: str
    sign: str
    address: str
    at: datetime | None = None


def jump_pages(app: App) -> APIRouter:
    """Return the part of every page that comes when a name is typed."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/jump")
    async def jump(request: Request, q: Annotated[str, Query(max_length=200)] = "") -> Response:
        text = q.strip()
        async with app.database.reading() as connection:
            found = await named(connection, text, _EACH)
        return await page(app, request, "jump.html", places=list(_places(text, found)))

    return routes


def _places(text: str, found: Names) -> Iterator[Place]:
    for address, name, sign in PAGES:
        if text.lower() in name.lower():
            yield Place(name, "page", sign, address)
    for recipe_id, name in found.recipes:
        yield Place(name, "recipe", "scale", f"/recipes/{quote(recipe_id, safe='')}")
    for alias in found.sources:
        yield Place(alias, "source", "database", f"/sources/{quote(alias, safe='')}")
    for run_id, name, at in found.runs:
        yield Place(name, "run", "history", f"/runs/{quote(run_id, safe='')}", moment_of(at))
