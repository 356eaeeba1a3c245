"""The evidence of a job over HTTP: rows in several formats, and the files as they are."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from kalla_coordinator.api.accept import accepted
from kalla_coordinator.api.context import Api
from kalla_coordinator.api.documents import errors
from kalla_coordinator.api.reading import Reading
from kalla_coordinator.api.results import EvidenceSet
from kalla_core.answers.encode import Format
from kalla_core.serving.answers import plain_error
from kalla_core.serving.streams import StreamedResponse

MAX_LIMIT = 2**53
MOST_PARTS = 64


def evidence_routes(api: Api) -> APIRouter:
    """Return the routes of evidence."""
    routes = APIRouter(prefix="/api/jobs/{run_id}", tags=["evidence"])
    reading = Reading(api)

    @routes.get(
        "/evidence/{set}",
        responses={200: _ROWS, **errors(404, 406, 409, 422, 503)},
        response_class=Response,
    )
    async def get_rows(
        request: Request,
        run_id: str,
        set: EvidenceSet,
        limit: Annotated[int | None, Query(ge=1, le=MAX_LIMIT)] = None,
    ) -> Response:
        """Fetch the rows of an output as JSON, CSV, Parquet, Arrow or Excel, as `Accept` says.

        Rows are streamed. In JSON, decimals, dates and times are text, so that amounts stay exact;
        in Excel numbers are text where they have more digits than it keeps.
        """
        chosen = accepted(request.headers.get("accept"))
        if chosen is None:
            ours = ", ".join(Format)
            return plain_error(406, "not_acceptable", f"Rows come as {ours}; accept one of them.")
        stream = await reading.rows(run_id, set, chosen, limit)
        return StreamedResponse(stream, _CONTENT_TYPES.get(chosen, chosen.value))

    @routes.get("/why", responses={200: _WHY, **errors(404, 409, 422, 503)})
    async def get_why(
        run_id: str,
        key: Annotated[list[str], Query(min_length=1, max_length=MOST_PARTS)],
        side: Literal["left", "right"] | None = None,
    ) -> Response:
        """Say why the rows with a key are matched or not, from the evidence alone.

        `key` is a primary key as somebody types it; of several columns a JSON array, or a
        parameter for each of its parts.
        """
        return JSONResponse(await reading.why(run_id, key, side))

    @routes.get(
        "/report.{form}",
        responses={200: _REPORT, **errors(404, 409, 422, 503)},
        response_class=Response,
    )
    async def get_report(run_id: str, form: Literal["html", "xlsx"]) -> Response:
        """Fetch a report of a job's evidence: a page that needs no other file, or a workbook."""
        stream = await reading.report(run_id, form)
        kind = "text/html; charset=utf-8" if form == "html" else Format.XLSX.value
        return StreamedResponse(stream, kind, _REPORT_HEADERS)

    @routes.get("/metadata", responses={200: _METADATA, **errors(404, 409, 422, 503)})
    async def get_metadata(run_id: str) -> Response:
        """Show the metadata.json of a job's evidence."""
        return JSONResponse(await reading.metadata(run_id))

    @routes.get(
        "/files/{name:path}",
        responses={200: _FILE, **errors(404, 409, 422, 503)},
        response_class=Response,
    )
    async def get_file(run_id: str, name: str) -> Response:
        """Fetch a file of the evidence as it is; its name is that in the metadata.

        `X-Kalla-SHA256` is the SHA-256 of the whole file.
        """
        file, stream = await reading.file(run_id, name)
        headers = {"Content-Length": str(file.bytes), "X-Kalla-SHA256": file.sha256}
        return StreamedResponse(stream, Format.PARQUET.value, headers)

    return routes


_CONTENT_TYPES = {Format.CSV: "text/csv; charset=utf-8; header=present"}
_ROWS: dict[str, Any] = {
    "description": "The rows.",
    "content": {
        Format.JSON.value: {"schema": {"type": "array", "items": {"type": "object"}}},
        Format.CSV.value: {"schema": {"type": "string"}},
        Format.PARQUET.value: {"schema": {"type": "string", "format": "binary"}},
        Format.ARROW.value: {"schema": {"type": "string", "format": "binary"}},
        Format.XLSX.value: {"schema": {"type": "string", "format": "binary"}},
    },
}
_REPORT_HEADERS = {
    "Content-Security-Policy": "sandbox allow-scripts",
    "X-Content-Type-Options": "nosniff",
}
_REPORT: dict[str, Any] = {
    "description": "The report.",
    "content": {
        "text/html": {"schema": {"type": "string"}},
        Format.XLSX.value: {"schema": {"type": "string", "format": "binary"}},
    },
}
_WHY: dict[str, Any] = {
    "description": "The fate of the rows of a key, in words and in parts.",
    "content": {"application/json": {"schema": {"type": "object"}}},
}
_METADATA: dict[str, Any] = {
    "description": "What the run did, to be checked later.",
    "content": {"application/json": {"schema": {"type": "object"}}},
}
_FILE: dict[str, Any] = {
    "description": "The file.",
    "content": {Format.PARQUET.value: {"schema": {"type": "string", "format": "binary"}}},
    "headers": {"X-Kalla-SHA256": {"schema": {"type": "string"}}},
}
