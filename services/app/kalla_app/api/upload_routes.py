"""Uploads over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from starlette.requests import ClientDisconnect

from kalla_app.access.gate import who
from kalla_app.api.requests import fields_of
from kalla_app.context import App
from kalla_app.uploads.ticket import Ticket
from kalla_core.errors import RequestRefused

_ROWS = 20


def upload_routes(app: App) -> APIRouter:
    """Return the routes of uploads."""
    routes = APIRouter(prefix="/api/uploads", tags=["uploads"])

    @routes.post("/presign")
    async def presign_upload(request: Request) -> Response:
        """Sign for a file: it may be PUT to `presigned_url` within the hour."""
        given = await fields_of(request)
        return JSONResponse(await app.dock.sign(str(given.get("filename") or ""), who().name))

    @routes.put("/{upload_id}/content")
    async def put_upload(
        upload_id: str,
        request: Request,
        expires: Annotated[int, Query(ge=0)],
        signature: Annotated[str, Query(max_length=128)],
    ) -> Response:
        """Put a file to where it was signed for. Needs no token: the address is one."""
        try:
            size = await app.dock.take(Ticket(upload_id, expires, signature), request.stream())
        except ClientDisconnect:
            raise RequestRefused("The file was cut off by its sender.") from None
        return JSONResponse({"upload_id": upload_id, "bytes": size})

    @routes.post("/{upload_id}/confirm")
    async def confirm_upload(upload_id: str, request: Request) -> Response:
        """Look into a file that has come: its columns, its rows, how it seems to be written."""
        return JSONResponse(await app.dock.look(upload_id, _ROWS, await fields_of(request)))

    @routes.post("/preview")
    async def preview_upload(request: Request) -> Response:
        """Show the first rows of a file, read as `types` and `format` say."""
        given = await fields_of(request)
        upload_id: Any = given.get("upload_id")
        return JSONResponse(await app.dock.look(str(upload_id or ""), _ROWS, given))

    @routes.delete("/{upload_id}", status_code=204)
    async def remove_upload(upload_id: str) -> Response:
        """Remove a file."""
        await app.dock.remove(upload_id, who().name)
        return Response(status_code=204)

    return routes
