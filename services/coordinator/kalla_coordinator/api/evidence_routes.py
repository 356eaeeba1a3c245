"""The evidence of a job over HTTP: rows in several formats, and the files as they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from kalla_coordinator.api.accept import accepted
from kalla_coordinator.api.budget import Claim
from kalla_coordinator.api.context import Api, known_id
from kalla_coordinator.api.documents import errors
from kalla_coordinator.api.results import EvidenceSet, demand, open_results, streaming_bytes
from kalla_core.answers.encode import Format, encoded
from kalla_core.answers.report.gather import gather
from kalla_core.answers.report.page import page
from kalla_core.answers.report.sheets import workbook
from kalla_core.answers.why.fate import side_of, why
from kalla_core.answers.why.words import answer_json
from kalla_core.errors import EvidenceGone
from kalla_core.evidence.metadata import to_json
from kalla_core.evidence.reader import Evidence
from kalla_core.serving.answers import plain_error
from kalla_core.serving.streams import StreamedResponse, in_threads

MAX_LIMIT = 2**53
_PIECE_BYTES = 1 << 20
_MOST_PARTS = 64
_REPORT_BYTES = 64 << 20


def evidence_routes(api: Api) -> APIRouter:
    """Return the routes of evidence."""
    routes = APIRouter(prefix="/api/jobs/{run_id}", tags=["evidence"])

    async def opened(run_id: str) -> Evidence:
        job = await api.service.get(known_id(run_id))
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(api.readers, open_results, job)

    async def streamed(
        evidence: Evidence, make: Callable[[Claim], Iterator[bytes]], wanted_bytes: int
    ) -> AsyncGenerator[bytes, None]:
        """Return the pieces of evidence once there is memory for them; it is closed at the end."""
        try:
            claim = await api.budget.wait_for_turn(wanted_bytes)
        except BaseException:
            evidence.close()
            raise

        def close() -> None:
            evidence.close()
            claim.release()

        return await in_threads(api.readers, make(claim), close)

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
        evidence = await opened(run_id)
        try:
            demand(evidence, set)
        except EvidenceGone:
            await asyncio.get_running_loop().run_in_executor(api.readers, evidence.close)
            raise

        def pieces(claim: Claim) -> Iterator[bytes]:
            batches = evidence.batches(set.output, limit, claim)
            return encoded(chosen, evidence.schema(set.output), batches, set.value)

        stream = await streamed(evidence, pieces, streaming_bytes(evidence, set))
        return StreamedResponse(stream, _CONTENT_TYPES.get(chosen, chosen.value))

    @routes.get("/why", responses={200: _WHY, **errors(404, 409, 422, 503)})
    async def get_why(
        run_id: str,
        key: Annotated[list[str], Query(min_length=1, max_length=_MOST_PARTS)],
        side: Literal["left", "right"] | None = None,
    ) -> Response:
        """Say why the rows with a key are matched or not, from the evidence alone.

        `key` is a primary key as somebody types it; of several columns a JSON array, or a
        parameter for each of its parts.
        """
        evidence = await opened(run_id)
        loop = asyncio.get_running_loop()

        def answer() -> dict[str, Any]:
            with evidence:
                return answer_json(why(evidence, key, side_of(side)))

        wanted = max(evidence.reading_bytes(output) for output in evidence.outputs)
        try:
            claim = await api.budget.wait_for_turn(wanted)
        except BaseException:
            evidence.close()
            raise
        try:
            return JSONResponse(await loop.run_in_executor(api.readers, answer))
        finally:
            claim.release()

    @routes.get(
        "/report.{form}",
        responses={200: _REPORT, **errors(404, 409, 422, 503)},
        response_class=Response,
    )
    async def get_report(run_id: str, form: Literal["html", "xlsx"]) -> Response:
        """Fetch a report of a job's evidence: a page that needs no other file, or a workbook."""
        evidence = await opened(run_id)

        def pieces(_: Claim) -> Iterator[bytes]:
            report = gather(evidence, run_id)
            yield from page(report) if form == "html" else workbook(evidence, report)

        wanted = sum(evidence.reading_bytes(output) for output in evidence.outputs)
        stream = await streamed(evidence, pieces, wanted + _REPORT_BYTES)
        kind = "text/html; charset=utf-8" if form == "html" else Format.XLSX.value
        return StreamedResponse(stream, kind, _REPORT_HEADERS)

    @routes.get("/metadata", responses={200: _METADATA, **errors(404, 409, 422, 503)})
    async def get_metadata(run_id: str) -> Response:
        """Show the metadata.json of a job's evidence."""
        evidence = await opened(run_id)
        try:
            return JSONResponse(to_json(evidence.metadata))
        finally:
            await asyncio.get_running_loop().run_in_executor(api.readers, evidence.close)

    @routes.get(
        "/files/{name:path}",
        responses={200: _FILE, **errors(404, 409, 422, 503)},
        response_class=Response,
    )
    async def get_file(run_id: str, name: str) -> Response:
        """Fetch a file of the evidence as it is; its name is that in the metadata.

        `X-Kalla-SHA256` is the SHA-256 of the whole file.
        """
        evidence = await opened(run_id)
        listed = {file.name: file for file in evidence.metadata.files}
        loop = asyncio.get_running_loop()
        if name not in listed:
            await loop.run_in_executor(api.readers, evidence.close)
            known = ", ".join(listed)
            raise EvidenceGone(f"The evidence has no file {name!r}; it has {known}.")
        headers = {
            "Content-Length": str(listed[name].bytes),
            "X-Kalla-SHA256": listed[name].sha256,
        }
        stream = await streamed(evidence, lambda _: _bytes_of(evidence, name), 2 * _PIECE_BYTES)
        return StreamedResponse(stream, Format.PARQUET.value, headers)

    return routes


def _bytes_of(evidence: Evidence, name: str) -> Iterator[bytes]:
    with evidence.raw(name) as file:
        while piece := file.read(_PIECE_BYTES):
            yield bytes(piece)


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
