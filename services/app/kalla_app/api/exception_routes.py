"""Exceptions over HTTP: open rows of a run, and what people decide about them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from kalla_app.access.gate import who
from kalla_app.api.evidence_routes import Reasons, Wanted
from kalla_app.api.requests import Cursor, fields_of
from kalla_app.context import App
from kalla_app.evidence.asked import Asked
from kalla_app.evidence.row_texts import texts
from kalla_app.exceptions.book import Overlaid, eid_of, kept_json, standing_json
from kalla_app.exceptions.life import State
from kalla_app.store.cursors import cursor as cursor_of
from kalla_app.store.cursors import offset_of
from kalla_core.errors import Fault, RecipeInvalid


def exception_routes(app: App) -> APIRouter:
    """Return the routes of exceptions."""
    routes = APIRouter(prefix="/api/runs/{run_id}/exceptions", tags=["exceptions"])

    @routes.get("")
    async def list_exceptions(
        run_id: str,
        side: str = "left",
        state: State | None = None,
        owner: Annotated[str | None, Query(max_length=300)] = None,
        q: Wanted = "",
        reason: Reasons = None,
        sort: Annotated[str | None, Query(max_length=300)] = None,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> Response:
        """List open rows of a side, each with what was decided about it in this run or before."""
        asked = Asked("", q, tuple(reason or ()), sort)
        start = offset_of(cursor)
        run = await app.runs.get(run_id)
        found = await app.exceptions.page(run, side, asked, start, limit, state=state, owner=owner)
        following = start + len(found.keys)
        return JSONResponse(
            {
                "exceptions": shown(side, found),
                "total": found.total,
                "cursor": cursor_of(following) if following < found.total else None,
            }
        )

    @routes.post("/bulk")
    async def decide_bulk(run_id: str, request: Request) -> Response:
        """Take one decision about many exceptions, about all or none."""
        given = await fields_of(request)
        eids = _listed(given.pop("eids", None), "eids")
        run = await app.runs.get(run_id)
        count = await app.exceptions.decide(run, eids, given, who().name)
        return JSONResponse({"decided": count})

    @routes.post("/confirm")
    async def confirm(run_id: str, request: Request) -> Response:
        """Match exceptions with what the engine has suggested for them."""
        given = await fields_of(request)
        eids = _listed(given.get("eids"), "eids")
        run = await app.runs.get(run_id)
        groups = await app.exceptions.confirm(run, eids, given, who().name)
        return JSONResponse({"match_groups": groups})

    @routes.get("/{eid}")
    async def get_exception(run_id: str, eid: str) -> Response:
        """Show an exception, and all that was decided about it."""
        run = await app.runs.get(run_id)
        subject, now, kept = await app.exceptions.history(run, eid)
        return JSONResponse(
            {
                "eid": eid,
                "side": subject.side,
                "record_key": subject.record_key,
                **standing_json(now),
                "history": [kept_json(one) for one in kept],
            }
        )

    @routes.patch("/{eid}")
    async def decide(run_id: str, eid: str, request: Request) -> Response:
        """Decide: `state`, `owner`, `note`, `reason_code`, `until`; or `approve`; or `undo`."""
        run = await app.runs.get(run_id)
        await app.exceptions.decide(run, [eid], await fields_of(request), who().name)
        _, now, _ = await app.exceptions.history(run, eid)
        return JSONResponse({"eid": eid, **standing_json(now)})

    @routes.post("/{eid}/match")
    async def match_by_hand(run_id: str, eid: str, request: Request) -> Response:
        """Match a row with others by hand, of either side: `with` names them."""
        given = await fields_of(request)
        others = _listed(given.get("with"), "with")
        run = await app.runs.get(run_id)
        group = await app.exceptions.match(run, [eid, *others], given, who().name)
        return JSONResponse({"match_group": group, "eids": [eid, *others]})

    return routes


def shown(side: str, found: Overlaid) -> list[dict[str, Any]]:
    """Return open rows as the API shows them."""
    names = found.rows.column_names
    return [
        {
            "eid": eid_of(side, key),
            "side": side,
            "record_key": key,
            **standing_json(now),
            "row": dict(zip(names, row, strict=True)),
        }
        for key, now, row in zip(found.keys, found.standings, texts(found.rows), strict=True)
    ]


def _listed(given: object, name: str) -> list[str]:
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise RecipeInvalid([Fault("wrong_type", name, f"`{name}` is a list of eids.")], "request")
    return list(given)
