"""Pages of sources."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from kalla_app.access.gate import who
from kalla_app.api.requests import Cursor, behind
from kalla_app.api.requests import page as listed
from kalla_app.context import App
from kalla_app.pages.forms import form_of, seen
from kalla_app.pages.render import page
from kalla_app.sources.catalogue import text_of
from kalla_core.errors import KallaError

_ROWS = 50
_PAGE = 100


def source_pages(app: App) -> APIRouter:
    """Return the pages of sources."""
    routes = APIRouter(include_in_schema=False)

    async def shown(
        request: Request,
        cursor: str | None = None,
        status: int = 200,
        given: dict[str, str] | None = None,
        error: KallaError | None = None,
    ) -> Response:
        found = await app.catalogue.page(_PAGE + 1, behind(cursor))
        rows = listed("sources", found, _PAGE, lambda one: one, lambda one: one.alias)
        return await page(
            app, request, "sources.html", status, **rows, given=given or {}, error=error
        )

    @routes.get("/sources")
    async def sources(request: Request, cursor: Cursor = None) -> Response:
        return await shown(request, cursor)

    @routes.post("/sources")
    async def add(request: Request) -> Response:
        given = await form_of(request)
        document = {name: given.get(name, "").strip() for name in ("alias", "uri")}
        try:
            made = await app.catalogue.add(document, who().name, check="unseen" not in given)
        except KallaError as error:
            return await shown(request, None, 422, given, error)
        return seen(f"/sources/{made.alias}")

    @routes.get("/sources/{alias}")
    async def source(alias: str, request: Request) -> Response:
        found = await app.catalogue.get(alias)
        preview: dict[str, Any] | None = None
        problem: KallaError | None = None
        try:
            preview = await app.catalogue.preview(alias, _ROWS)
        except KallaError as error:
            problem = error
        return await page(
            app,
            request,
            "source.html",
            source=found,
            preview=preview,
            rows=_rows(preview),
            problem=problem,
            drift=_drift(found.columns, preview["columns"] if preview else None),
        )

    @routes.post("/sources/{alias}/test")
    async def test(alias: str, request: Request) -> Response:
        await form_of(request)
        await app.catalogue.try_again(alias, who().name)
        return seen(f"/sources/{alias}")

    @routes.post("/sources/{alias}/remove")
    async def remove(alias: str, request: Request) -> Response:
        await form_of(request)
        await app.catalogue.remove(alias, who().name)
        return seen("/sources")

    return routes


def _rows(preview: dict[str, Any] | None) -> list[list[str | None]]:
    if preview is None:
        return []
    names = [column["name"] for column in preview["columns"]]
    return [[text_of(row.get(name)) for name in names] for row in preview["rows"]]


def _drift(kept: tuple[dict[str, Any], ...], now: list[dict[str, Any]] | None) -> list[str]:
    """Return in words what has become of the columns since they were last kept."""
    if now is None or not kept:
        return []
    before = {one["name"]: one["type"] for one in kept}
    after = {one["name"]: one["type"] for one in now}
    gone = [f"{name} is gone" for name in before if name not in after]
    new = [f"{name} is new" for name in after if name not in before]
    changed = [
        f"{name} was {before[name]} and is {after[name]}"
        for name in before
        if name in after and before[name] != after[name]
    ]
    return gone + new + changed
