"""Rows of runs over HTTP: pages, and downloads of exactly what is shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response

from kalla_app.api.requests import Cursor
from kalla_app.context import App
from kalla_app.errors import NotFound
from kalla_app.evidence.asked import Asked
from kalla_app.evidence.row_texts import texts
from kalla_app.evidence.rows import RowPage, RowSet
from kalla_app.store.cursors import MOST, offset_of
from kalla_app.store.cursors import cursor as cursor_of
from kalla_core.answers.encode import Format, encoded
from kalla_core.answers.report.gather import gather
from kalla_core.answers.report.page import page
from kalla_core.answers.report.sheets import workbook
from kalla_core.evidence.reader import open_evidence
from kalla_core.recipe.column_types import type_word
from kalla_core.serving.streams import StreamedResponse, in_threads

_FORMATS = {
    "csv": Format.CSV,
    "xlsx": Format.XLSX,
    "parquet": Format.PARQUET,
    "arrow": Format.ARROW,
}

Reasons = Annotated[list[Annotated[str, Query(max_length=300)]] | None, Query(max_length=50)]
Wanted = Annotated[str, Query(max_length=200)]


def evidence_routes(app: App) -> APIRouter:
    """Return the routes of rows."""
    routes = APIRouter(prefix="/api/runs/{run_id}", tags=["rows"])

    async def folder_of(run_id: str) -> Path:
        return await app.evidence.folder(await app.runs.get(run_id))

    @routes.get("/rows/{name}")
    async def get_rows(
        run_id: str,
        name: str,
        q: Wanted = "",
        reason: Reasons = None,
        sort: Annotated[str | None, Query(max_length=300)] = None,
        cursor: Cursor = None,
        offset: Annotated[int, Query(ge=0, le=MOST)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        within: Annotated[float | None, Query(ge=0, le=60)] = None,
    ) -> Response:
        """Page through rows, or with `.csv`, `.xlsx`, `.parquet`, `.arrow` fetch all of them.

        `q` is text that some column holds; `reason` may be repeated; `sort` is a column, with a
        minus before it from the greatest on. A page begins at a cursor, or at an offset. With
        `within`, it comes after so many seconds: where a large set is not looked through by then,
        `rows` and `total` are of what was found so far, and `so_far` says how far that is.
        """
        name, _, ending = name.partition(".")
        asked = Asked(name, q, tuple(reason or ()), sort)
        run = await app.runs.get(run_id)
        if ending:
            return await _download(await app.evidence.folder(run), asked, ending, run_id)
        start = offset if cursor is None else offset_of(cursor)
        found = await app.rows.page(run, asked, start, limit, within)
        following = start + found.rows.num_rows
        more = following < found.total or found.so_far is not None
        so_far = {} if within is None else {"so_far": found.so_far and asdict(found.so_far)}
        return JSONResponse(
            {
                "columns": columns_of(found),
                "rows": texts(found.rows),
                "places": list(found.places),
                "total": found.total,
                "cursor": cursor_of(following) if more else None,
                **so_far,
            }
        )

    @routes.get("/reasons/{name}")
    async def get_reasons(run_id: str, name: str) -> Response:
        """Count the rows of each reason."""
        counted = await app.rows.reasons(await app.runs.get(run_id), name)
        return JSONResponse({"reasons": dict(counted)})

    @routes.get("/report.{form}", response_class=Response)
    async def get_report(run_id: str, form: Literal["html", "xlsx"]) -> Response:
        """Fetch a report of a run: a page that needs no other file, or a workbook."""
        folder = await folder_of(run_id)
        kind = "text/html; charset=utf-8" if form == "html" else Format.XLSX.value
        return await _streamed(_report(folder, run_id, form), kind, f"{run_id}.{form}")

    return routes


def columns_of(page: RowPage) -> list[dict[str, str]]:
    """Return name and type of each column."""
    return [{"name": one.name, "data_type": type_word(one.type)} for one in page.rows.schema]


async def _download(folder: Path, asked: Asked, ending: str, run_id: str) -> Response:
    if ending not in _FORMATS:
        raise NotFound(f"Rows come as {', '.join(_FORMATS)}, not as {ending}.")
    chosen = _FORMATS[ending]
    rows = await asyncio.to_thread(RowSet, folder, asked.set)

    def pieces() -> Iterator[bytes]:
        with rows:
            yield from encoded(chosen, rows.schema, rows.batches(asked), asked.set)

    return await _streamed(pieces(), chosen.value, f"{run_id}-{asked.set}.{ending}")


def _report(folder: Path, run_id: str, form: str) -> Iterator[bytes]:
    with open_evidence(folder) as evidence:
        report = gather(evidence, run_id)
        yield from page(report) if form == "html" else workbook(evidence, report)


async def _streamed(pieces: Iterator[bytes], media_type: str, name: str) -> Response:
    made: AsyncGenerator[bytes, None] = await in_threads(None, pieces, lambda: None)
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamedResponse(made, media_type, headers)
