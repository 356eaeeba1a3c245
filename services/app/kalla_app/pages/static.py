"""Files that pages load: a fixed list, read once; addresses change with their content."""

from __future__ import annotations

from mimetypes import guess_type

from fastapi import APIRouter
from fastapi.responses import Response

from kalla_app.errors import NotFound
from kalla_app.pages.render import STATIC

_FOR_EVER = "public, max-age=31536000, immutable"


def static_files() -> APIRouter:
    """Return the route of static files."""
    routes = APIRouter(include_in_schema=False)
    files = {
        path.relative_to(STATIC).as_posix(): path.read_bytes()
        for path in STATIC.rglob("*")
        if path.is_file()
    }

    @routes.get("/static/{name:path}")
    async def static(name: str) -> Response:
        if name not in files:
            raise NotFound(f"There is no file {name}.", name=name)
        kind = guess_type(name)[0] or "application/octet-stream"
        return Response(files[name], media_type=kind, headers={"Cache-Control": _FOR_EVER})

    @routes.get("/favicon.ico")
    async def icon() -> Response:
        return Response(files["icon.svg"], media_type="image/svg+xml")

    return routes
