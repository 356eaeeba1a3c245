"""Rows of runs over HTTP: pages, and downloads of exactly what is shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response

from kalla_app.api.requests import Cursor
from kalla_app.context import App
from kalla_app.errors import NotFound
from kalla_app.evidence.rows import Asked, RowPage, RowSet, texts
from kalla_app.store.cursors import cursor as cursor_of
from kalla_app.store.cursors import place_of
from kalla_core.answers.encode import Format, encoded, sheets
from kalla_core.recipe.column_types import type_word
from kalla_core.serving.streams import StreamedResponse, in_threads

SETS = ("matched", "unmatched_left", "unmatched_right", "ambiguous", "suggested")
_FORMATS = {
    "csv": Format.CSV,
    "xlsx": Format.XLSX,
    "parquet": Format.PARQUET,
    "arrow": Format.ARROW,
}

Reasons = Annotated[list[str] | None, Query(max_length=50)]
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
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> Response:
        """Page through rows, or with `.csv`, `.xlsx`, `.parquet`, `.arrow` fetch all of them.

        `q` is text that some column holds; `reason` may be repeated; `sort` is a column, with a
        minus before it from the greatest on. A page begins at a cursor, or at an offset.
        """
        name, _, ending = name.partition(".")
        asked = Asked(name, q, tuple(reason or ()), sort)
        folder = await folder_of(run_id)
        if ending:
            return await _download(folder, asked, ending, run_id)
        start: Any = offset if cursor is None else place_of(cursor, (int,))[0]
        page, columns = await asyncio.to_thread(read_page, folder, asked, start, limit)
        following = start + page.rows.num_rows
        more = following < page.total
        return JSONResponse(
            {
                "columns": columns,
                "rows": texts(page.rows),
                "places": list(page.places),
                "total": page.total,
                "cursor": cursor_of(following) if more else None,
            }
        )

    @routes.get("/reasons/{name}")
    async def get_reasons(run_id: str, name: str) -> Response:
        """Count the rows of each reason."""
        folder = await folder_of(run_id)
        return JSONResponse({"reasons": await asyncio.to_thread(read_reasons, folder, name)})

    @routes.get("/report.xlsx", response_class=Response)
    async def get_workbook(run_id: str) -> Response:
        """Fetch all rows of a run as a workbook, a sheet for each set."""
        folder = await folder_of(run_id)
        return await _streamed(_workbook(folder), Format.XLSX.value, f"{run_id}.xlsx")

    return routes


def read_page(
    folder: Path, asked: Asked, start: int, limit: int
) -> tuple[RowPage, list[dict[str, str]]]:
    """Return rows, and name and type of each column; blocking."""
    with RowSet(folder, asked.set) as rows:
        columns = [{"name": one.name, "data_type": type_word(one.type)} for one in rows.schema]
        return rows.page(asked, start, limit), columns


def read_reasons(folder: Path, name: str) -> dict[str, int]:
    """Return how many rows have each reason; blocking."""
    with RowSet(folder, name) as rows:
        return rows.reasons()


async def _download(folder: Path, asked: Asked, ending: str, run_id: str) -> Response:
    if ending not in _FORMATS:
        raise NotFound(f"Rows come as {', '.join(_FORMATS)}, not as {ending}.")
    chosen = _FORMATS[ending]
    rows = await asyncio.to_thread(RowSet, folder, asked.set)

    def pieces() -> Iterator[bytes]:
        with rows:
            yield from encoded(chosen, rows.schema, rows.batches(asked), asked.set)

    return await _streamed(pieces(), chosen.value, f"{run_id}-{asked.set}.{ending}")


def _workbook(folder: Path) -> Iterator[bytes]:
    def sets() -> Iterator[tuple[str, Any, Iterator[Any]]]:
        for name in SETS:
            try:
                rows = RowSet(folder, name)
            except NotFound:
                continue
            with rows:
                yield name, rows.schema, rows.batches(Asked(name))

    return sheets(sets())


async def _streamed(pieces: Iterator[bytes], media_type: str, name: str) -> Response:
    made: AsyncGenerator[bytes, None] = await in_threads(None, pieces, lambda: None)
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamedResponse(made, media_type, headers)
