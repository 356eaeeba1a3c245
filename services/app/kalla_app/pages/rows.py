"""Rows of a run as its page shows them: fifty where no script runs, and windows of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup

from kalla_app.context import App
from kalla_app.evidence.asked import Asked
from kalla_app.evidence.open_rows import side_of
from kalla_app.evidence.rows import RowPage
from kalla_app.exceptions.book import Overlaid, eid_of
from kalla_app.exceptions.life import Standing, State
from kalla_app.pages.grid import lines
from kalla_app.pages.lines import plain_lines, run_lines
from kalla_app.store.cursors import MOST
from kalla_app.store.runs import Run
from kalla_core.recipe.column_types import type_word

ROWS = 50
"""Rows of a page."""

PATIENCE_S = 0.6
"""Then a page of a large set comes with what was found so far: a second is not over with it."""

_TOTAL = "Kalla-Total"
_HIDDEN = frozenset({"attempted_rules"})

Text = Annotated[str, Query(max_length=300)]
Offset = Annotated[int, Query(ge=0, le=MOST)]
Limit = Annotated[int, Query(ge=1, le=200)]
Row = Annotated[int | None, Query(ge=1, le=MOST)]
"""Of those of a selection, from 1."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Rows of a run that the address of a page names.

    Attributes:
        state: a word of `State`: only rows about which that was decided; all where it is another.
    """

    asked: Asked
    state: str

    @property
    def reason(self) -> str:
        """The code that the rows have; empty where they have any."""
        return "".join(self.asked.reasons)


def _shown(
    set: Text = "unmatched_left",
    q: Text = "",
    reason: Text = "",
    sort: Text = "",
    state: Text = "",
) -> Shown:
    return Shown(Asked(set, q.strip(), (reason,) if reason else (), sort or None), state)


Named = Annotated[Shown, Depends(_shown)]
"""What is taken from the address of a page."""


def row_pages(app: App) -> APIRouter:
    """Return the windows of rows that a page which is scrolled asks for."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/runs/{run_id}/window")
    async def window(
        run_id: str, shown: Named, offset: Offset = 0, limit: Limit = ROWS
    ) -> Response:
        run = await app.runs.get(run_id)
        rows = await _rows(app, run, shown, offset, limit)
        return window_of(rows["lines"], rows["total"])

    return routes


def window_of(found: Markup, total: int) -> Response:
    """Return lines as what a page puts into its table, of so many rows in all."""
    return HTMLResponse(found, headers={_TOTAL: str(total), "Cache-Control": "no-store"})


async def first_page(app: App, run: Run, shown: Shown, offset: int) -> tuple[dict[str, Any], int]:
    """Return the rows of a page with the counts of all reasons, and where the page begins.

    A page beyond the last row is the last one.

    Raises:
        KallaError: the run has no evidence, or no such rows.
    """
    rows = await _rows(app, run, shown, offset, ROWS, PATIENCE_S)
    if offset and not rows["count"] and rows["so_far"] is None:
        offset = max(0, rows["total"] - ROWS)
        rows = await _rows(app, run, shown, offset, ROWS, PATIENCE_S)
    reasons = await app.rows.reasons(run, shown.asked.set)
    return {**rows, "reasons": reasons, "most": max(reasons.values(), default=0)}, offset


async def _rows(
    app: App, run: Run, shown: Shown, offset: int, limit: int, within_s: float | None = None
) -> dict[str, Any]:
    asked, side = shown.asked, side_of(shown.asked.set)
    found: RowPage | Overlaid
    standings: list[tuple[str, Standing]] = []
    if side is None:
        found = await app.rows.page(run, asked, offset, limit, within_s)
    else:
        decided = State(shown.state) if shown.state in {one.value for one in State} else None
        found = await app.exceptions.page(
            run, side, asked, offset, limit, state=decided, within_s=within_s
        )
        eids = (eid_of(side, key) for key in found.keys)
        standings = list(zip(eids, found.standings, strict=True))
    cells = lines(found.rows, hidden=_HIDDEN)
    return {
        "columns": [
            {"name": one.name, "data_type": type_word(one.type)}
            for one in found.rows.schema
            if one.name not in _HIDDEN
        ],
        "count": found.rows.num_rows,
        "lines": plain_lines(cells, offset)
        if side is None
        else run_lines(run.run_id, cells, standings, offset),
        "total": found.total,
        "so_far": found.so_far,
        "open": side is not None and bool(standings),
    }
