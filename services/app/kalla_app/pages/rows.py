"""Rows of a run as its page shows them: fifty where no script runs, and windows of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup

from kalla_app.context import App
from kalla_app.evidence.asked import Asked
from kalla_app.evidence.open_rows import side_of
from kalla_app.evidence.rows import RowPage
from kalla_app.exceptions.book import Overlaid, eid_of
from kalla_app.exceptions.life import Standing, State
from kalla_app.pages.grid import lines
from kalla_app.pages.lines import run_lines
from kalla_app.store.runs import Run
from kalla_core.recipe.column_types import type_word

ROWS = 50
"""Rows of a page."""

PATIENCE_S = 0.6
"""Then a page of a large set comes with what was found so far: a second is not over with it."""

_TOTAL = "Kalla-Total"
_HIDDEN = frozenset({"attempted_rules"})

Text = Annotated[str, Query(max_length=300)]
Offset = Annotated[int, Query(ge=0)]
Limit = Annotated[int, Query(ge=1, le=200)]


def row_pages(app: App) -> APIRouter:
    """Return the windows of rows that a page which is scrolled asks for."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/runs/{run_id}/window")
    async def window(
        run_id: str,
        set: Text = "unmatched_left",
        q: Text = "",
        reason: Text = "",
        sort: Text = "",
        state: Text = "",
        offset: Offset = 0,
        limit: Limit = ROWS,
    ) -> Response:
        run = await app.runs.get(run_id)
        rows = await _rows(app, run, asked_for(set, q, reason, sort), offset, limit, state)
        return window_of(rows["lines"], rows["total"])

    return routes


def window_of(found: Markup, total: int) -> Response:
    """Return lines as what a page puts into its table, of so many rows in all."""
    return HTMLResponse(found, headers={_TOTAL: str(total), "Cache-Control": "no-store"})


def asked_for(name: str, q: str, reason: str, sort: str) -> Asked:
    """Return the selection that the address of a page names."""
    return Asked(name, q.strip(), (reason,) if reason else (), sort or None)


async def first_page(
    app: App, run: Run, asked: Asked, offset: int, state: str
) -> tuple[dict[str, Any], int]:
    """Return the rows of a page with the counts of all reasons, and where the page begins.

    A page beyond the last row is the last one.

    Raises:
        KallaError: the run has no evidence, or no such rows.
    """
    rows = await _rows(app, run, asked, offset, ROWS, state, PATIENCE_S)
    if offset and not rows["count"] and rows["so_far"] is None:
        offset = max(0, rows["total"] - ROWS)
        rows = await _rows(app, run, asked, offset, ROWS, state, PATIENCE_S)
    reasons = await app.rows.reasons(run, asked.set)
    return {**rows, "reasons": reasons, "most": max(reasons.values(), default=0)}, offset


async def _rows(
    app: App,
    run: Run,
    asked: Asked,
    offset: int,
    limit: int,
    state: str,
    within_s: float | None = None,
) -> dict[str, Any]:
    side = side_of(asked.set)
    found: RowPage | Overlaid
    eids: list[str] = []
    standings: Sequence[Standing] = ()
    if side is None:
        found = await app.rows.page(run, asked, offset, limit, within_s)
    else:
        decided = State(state) if state in {one.value for one in State} else None
        found = await app.exceptions.page(
            run, side, asked, offset, limit, state=decided, within_s=within_s
        )
        eids, standings = [eid_of(side, key) for key in found.keys], found.standings
    cells = lines(found.rows, hidden=_HIDDEN)
    return {
        "columns": [
            {"name": one.name, "data_type": type_word(one.type)}
            for one in found.rows.schema
            if one.name not in _HIDDEN
        ],
        "count": found.rows.num_rows,
        "lines": run_lines(run.run_id, cells, eids, standings, offset),
        "total": found.total,
        "so_far": found.so_far,
        "eids": eids,
    }
