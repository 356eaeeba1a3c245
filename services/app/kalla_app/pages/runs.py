"""Pages of runs: the list, and one run while it goes on and afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from kalla_app.access.gate import who
from kalla_app.api.requests import Cursor
from kalla_app.context import App
from kalla_app.evidence.figures import Figures
from kalla_app.exceptions.life import REASON_CODES, State
from kalla_app.pages.exceptions import decision_of
from kalla_app.pages.forms import form_of, lists_of, own_path, seen
from kalla_app.pages.render import page
from kalla_app.pages.rows import ROWS, Named, Offset, Row, first_page
from kalla_app.pages.spread import SpreadShown, spread_shown
from kalla_app.pages.today import rate_of
from kalla_app.runs.life import RunStatus
from kalla_app.store.runs import Run
from kalla_core.errors import KallaError
from kalla_core.jobs.model import ExecutorShare

_PAGE = 50


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
        shown: Named,
        offset: Offset = 0,
        row: Row = None,
    ) -> Response:
        found = await app.runs.get(run_id)
        offset = offset if row is None else row - 1
        rows: dict[str, Any] | None = None
        problem: KallaError | None = None
        figures: Figures | None = None
        spread: SpreadShown | None = None
        rests: Mapping[str, int] = {}
        if found.state.status is RunStatus.SUCCEEDED:
            try:
                rests = await app.rows.rests(found)
                rows, offset = await first_page(app, found, shown, offset)
                figures = await app.rows.figures(found)
                spread = await spread_shown(app, found)
            except KallaError as error:
                problem = error
        return await page(
            app,
            request,
            "run.html",
            run=found,
            rate=rate_of(found),
            shares=await _shares(app, found),
            document=await app.runs.recipe(run_id),
            rows=rows,
            problem=problem,
            figures=figures,
            spread=spread,
            rests=rests,
            asked=shown.asked,
            reason=shown.reason,
            offset=offset,
            state=shown.state,
            states=list(State),
            decidable=[one for one in State if one is not State.MATCHED],
            reason_codes=REASON_CODES,
            size=ROWS,
        )

    @routes.get("/runs/{run_id}/panel")
    async def panel(run_id: str, request: Request) -> Response:
        found = await app.runs.get(run_id)
        shares = await _shares(app, found)
        answer = await page(
            app, request, "run_panel.html", run=found, rate=rate_of(found), shares=shares
        )
        if found.state.status.final:
            answer.headers["HX-Refresh"] = "true"  # the rest of the page has changed as well
        return answer

    @routes.post("/runs/{run_id}/cancel")
    async def cancel(run_id: str, request: Request) -> Response:
        await form_of(request)
        await app.runs.cancel(run_id, who().name)
        return seen(f"/runs/{run_id}")

    @routes.post("/runs/{run_id}/decide")
    async def decide(run_id: str, request: Request) -> Response:
        given = await lists_of(request)
        fields = {name: values[-1] for name, values in given.items()}
        found = await app.runs.get(run_id)
        await app.exceptions.decide(found, given.get("eid", []), decision_of(fields), who().name)
        return seen(own_path(fields.get("back", f"/runs/{run_id}")))

    return routes


async def _shares(app: App, run: Run) -> tuple[ExecutorShare, ...]:
    """Return what each executor has done so far; nothing of a run that does not go on."""
    going_on = run.state.status is RunStatus.RUNNING
    return await app.shares.of(run.run_id) if going_on else ()
