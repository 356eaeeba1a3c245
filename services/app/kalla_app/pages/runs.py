"""Pages of runs: the list, and one run while it goes on and afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import pyarrow as pa
import pyarrow.compute as pc
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from kalla_app.access.gate import who
from kalla_app.api.requests import Cursor
from kalla_app.context import App
from kalla_app.evidence.asked import Asked
from kalla_app.evidence.open_rows import OURS, side_of
from kalla_app.evidence.rows import RowPage, text_columns
from kalla_app.exceptions.book import Overlaid, eid_of
from kalla_app.exceptions.life import REASON_CODES, Standing, State
from kalla_app.pages.exceptions import decision_of
from kalla_app.pages.forms import form_of, lists_of, own_path, seen
from kalla_app.pages.grid import lines
from kalla_app.pages.lines import run_lines, side_lines
from kalla_app.pages.render import page
from kalla_app.pages.today import rate_of
from kalla_app.pages.words import SETS
from kalla_app.runs.life import RunStatus
from kalla_app.store.runs import Run
from kalla_core.errors import KallaError
from kalla_core.recipe.column_types import type_word
from kalla_core.recipe.open_amounts import OPEN_AMOUNT

_PAGE = 50
_ROWS = 50
_HIDDEN = frozenset({"attempted_rules"})

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
        state: Text = "",
        offset: Annotated[int, Query(ge=0)] = 0,
    ) -> Response:
        found = await app.runs.get(run_id)
        asked = Asked(set, q.strip(), (reason,) if reason else (), sort or None)
        rows: dict[str, Any] | None = None
        problem: KallaError | None = None
        rests: Mapping[str, int] = {}
        if found.state.status is RunStatus.SUCCEEDED:
            try:
                rests = await app.rows.rests(found)
                rows = await _rows(app, found, asked, offset, _state(state))
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
            rests=rests,
            asked=asked,
            reason=reason,
            offset=offset,
            state=state,
            states=list(State),
            decidable=[one for one in State if one is not State.MATCHED],
            reason_codes=REASON_CODES,
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

    @routes.post("/runs/{run_id}/decide")
    async def decide(run_id: str, request: Request) -> Response:
        given = await lists_of(request)
        fields = {name: values[-1] for name, values in given.items()}
        found = await app.runs.get(run_id)
        await app.exceptions.decide(found, given.get("eid", []), decision_of(fields), who().name)
        return seen(own_path(fields.get("back", f"/runs/{run_id}")))

    @routes.get("/runs/{run_id}/match")
    async def two_sides(run_id: str, request: Request, ql: Text = "", qr: Text = "") -> Response:
        found = await app.runs.get(run_id)
        sides = []
        for side, q in (("left", ql), ("right", qr)):
            asked = Asked("", q.strip())
            page_of = await app.exceptions.page(found, side, asked, 0, _ROWS, state=State.OPEN)
            sides.append({"side": side, "q": q, **_side(page_of, side)})
        return await page(
            app,
            request,
            "match.html",
            run=found,
            sides=sides,
            document=await app.runs.recipe(run_id),
            reason_codes=REASON_CODES,
        )

    @routes.post("/runs/{run_id}/match")
    async def match(run_id: str, request: Request) -> Response:
        given = await lists_of(request)
        fields = {name: values[-1] for name, values in given.items()}
        found = await app.runs.get(run_id)
        await app.exceptions.match(found, given.get("eid", []), fields, who().name)
        query = urlencode({"ql": fields.get("ql", ""), "qr": fields.get("qr", "")})
        return seen(f"/runs/{quote(run_id, safe='')}/match?{query}")

    return routes


def _state(word: str) -> State | None:
    return State(word) if word in {one.value for one in State} else None


def _side(found: Overlaid, side: str) -> dict[str, Any]:
    """Return open rows of a side for matching by hand; `amount` is where their amounts stand."""
    rows = _by_open_amount(found.rows)
    plain = [name for name in rows.column_names if name not in OURS]
    kinds = {one.name: one.type for one in rows.schema}
    money = [name for name in plain if pa.types.is_decimal(kinds[name])][:1]
    # Side by side there is little room: what names a row stands first, then its amount.
    first = [name for name in plain if name not in money][:1]
    plain = [*first, *money, *(name for name in plain if name not in (*first, *money))]
    amounts = text_columns(rows.select(money))[0] if money else [None] * rows.num_rows
    eids = [eid_of(side, key) for key in found.keys]
    return {
        "names": plain,
        "amount": plain.index(money[0]) if money else None,
        "count": rows.num_rows,
        "lines": side_lines(side, lines(rows.select(plain), numbers=money), eids, amounts),
        "total": found.total,
    }


def _by_open_amount(rows: pa.Table) -> pa.Table:
    """Return rows whose amount is what is open of it: of those matched in part, the rest."""
    if OPEN_AMOUNT not in rows.column_names:
        return rows
    kind = rows.schema.field(OPEN_AMOUNT).type
    amounts = [one.name for one in rows.schema if one.type == kind and one.name not in OURS]
    amount = next((name for name in amounts if name != OPEN_AMOUNT), None)
    if amount is None:
        return rows
    open_of = pc.coalesce(rows.column(OPEN_AMOUNT), rows.column(amount))
    names = [name for name in rows.column_names if name != OPEN_AMOUNT]
    columns = [open_of if name == amount else rows.column(name) for name in names]
    return pa.table(columns, names=names)


async def _rows(
    app: App, run: Run, asked: Asked, offset: int, state: State | None
) -> dict[str, Any]:
    side = side_of(asked.set)
    found: RowPage | Overlaid
    eids: list[str] = []
    standings: Sequence[Standing] = ()
    if side is None:
        found = await app.rows.page(run, asked, offset, _ROWS)
    else:
        found = await app.exceptions.page(run, side, asked, offset, _ROWS, state=state)
        eids, standings = [eid_of(side, key) for key in found.keys], found.standings
    reasons = await app.rows.reasons(run, asked.set)
    return {
        "columns": [
            {"name": one.name, "data_type": type_word(one.type)}
            for one in found.rows.schema
            if one.name not in _HIDDEN
        ],
        "count": found.rows.num_rows,
        "lines": run_lines(run.run_id, lines(found.rows, hidden=_HIDDEN), eids, standings),
        "total": found.total,
        "reasons": reasons,
        "most": max(reasons.values(), default=0),
        "eids": eids,
        "standings": standings,
    }
