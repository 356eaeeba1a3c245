"""Pages of runs: the list, and one run while it goes on and afterwards."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from kalla_app.access.gate import who
from kalla_app.api.evidence_routes import read_page, read_reasons
from kalla_app.api.requests import Cursor
from kalla_app.context import App
from kalla_app.evidence.rows import Asked, texts
from kalla_app.pages.forms import form_of, seen
from kalla_app.pages.render import SETS, page
from kalla_app.pages.today import rate_of
from kalla_app.runs.life import RunStatus
from kalla_app.store.runs import Run
from kalla_core.errors import KallaError

_PAGE = 50
_ROWS = 50

Text = Annotated[str, Query(max_length=300)]


def run_pages(app: App) -> APIRouter:
    """Return the pages of runs."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/runs")
    async def runs(
        request: Request, cursor: Cursor = None, status: RunStatus | None = None
    ) -> Response:
        found, following = await app.runs.page(_PAGE, cursor, status=status)
        return await page(
            app,
            request,
            "runs.html",
            runs=found,
            cursor=following,
            chosen=status,
            statuses=list(RunStatus),
            first=cursor is None,
        )

    @routes.get("/runs/{run_id}")
    async def run(
        run_id: str,
        request: Request,
        set: Text = "unmatched_left",
        q: Text = "",
        reason: Text = "",
        sort: Text = "",
        offset: Annotated[int, Query(ge=0)] = 0,
    ) -> Response:
        found = await app.runs.get(run_id)
        asked = Asked(set, q.strip(), (reason,) if reason else (), sort or None)
        rows: dict[str, Any] | None = None
        problem: KallaError | None = None
        if found.state.status is RunStatus.SUCCEEDED:
            try:
                rows = await _rows(app, found, asked, offset)
            except KallaError as error:
                problem = error
        return await page(
            app,
            request,
            "run.html",
            run=found,
            rate=rate_of(found),
            document=await app.runs.recipe(run_id),
            rows=rows,
            problem=problem,
            asked=asked,
            reason=reason,
            offset=offset,
            size=_ROWS,
            sets=SETS,
        )

    @routes.get("/runs/{run_id}/panel")
    async def panel(run_id: str, request: Request) -> Response:
        found = await app.runs.get(run_id)
        answer = await page(app, request, "run_panel.html", run=found, rate=rate_of(found))
        if found.state.status.final:
            answer.headers["HX-Refresh"] = "true"  # the rest of the page has changed as well
        return answer

    @routes.post("/runs/{run_id}/cancel")
    async def cancel(run_id: str, request: Request) -> Response:
        await form_of(request)
        await app.runs.cancel(run_id, who().name)
        return seen(f"/runs/{run_id}")

    return routes


async def _rows(app: App, run: Run, asked: Asked, offset: int) -> dict[str, Any]:
    folder = await app.evidence.folder(run)
    found, columns = await asyncio.to_thread(read_page, folder, asked, offset, _ROWS)
    reasons = await asyncio.to_thread(read_reasons, folder, asked.set)
    return {
        "columns": columns,
        "rows": texts(found.rows),
        "total": found.total,
        "reasons": reasons,
        "most": max(reasons.values(), default=0),
    }
