"""Files that pages load: a fixed list, read once; addresses change with their content."""

from __future__ import annotations

import gzip
from mimetypes import guess_type

from fastapi import APIRouter, Request
from fastapi.responses import Response

from kalla_app.errors import NotFound
from kalla_app.pages.render import STATIC

_FOR_EVER = "public, max-age=31536000, immutable"
_WORTH_PACKING = 0.9
_FOR_AN_HOUR = "public, max-age=3600"


def static_files() -> APIRouter:
    """Return the route of static files."""
    routes = APIRouter(include_in_schema=False)
    files = {
        path.relative_to(STATIC).as_posix(): path.read_bytes()
        for path in STATIC.rglob("*")
        if path.is_file()
    }
    packed = {name: gzip.compress(content, mtime=0) for name, content in files.items()}

    @routes.get("/static/{name:path}")
    async def static(name: str, request: Request) -> Response:
        if name not in files:
            raise NotFound(f"There is no file {name}.", name=name)
        # What pages name with a fingerprint never changes; what those files load may.
        kept = _FOR_EVER if request.url.query else _FOR_AN_HOUR
        kind = guess_type(name)[0] or "application/octet-stream"
        headers = {"Cache-Control": kept, "Vary": "Accept-Encoding"}
        takes = request.headers.get("accept-encoding", "")
        if "gzip" in takes and len(packed[name]) < _WORTH_PACKING * len(files[name]):
            headers["Content-Encoding"] = "gzip"
            return Response(packed[name], media_type=kind, headers=headers)
        return Response(files[name], media_type=kind, headers=headers)

    @routes.get("/favicon.ico")
    async def icon() -> Response:
        return Response(files["icon.svg"], media_type="image/svg+xml")

    return routes
