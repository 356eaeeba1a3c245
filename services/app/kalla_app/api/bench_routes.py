"""The workbench over HTTP: exceptions of all recipes, and what recipes demand of decisions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from kalla_app.access.gate import who
from kalla_app.api.requests import Cursor, document_of, fields_of
from kalla_app.context import App
from kalla_app.exceptions.age import BUCKETS, Severity
from kalla_app.exceptions.bench import Item, Tray, Wanted
from kalla_app.exceptions.book import eid_of, standing_json
from kalla_app.exceptions.policy import policy_json
from kalla_app.store.cursors import cursor as cursor_of
from kalla_app.store.cursors import offset_of
from kalla_app.store.runs import Run
from kalla_core.errors import Fault, RecipeInvalid

MOST_RECIPES = 200
Bucket = Literal["0-1", "2-7", "8-30", "31-90", "91+"]
Grade = Literal["low", "medium", "high", "critical"]
Name = Annotated[str | None, Query(max_length=300)]


def bench_routes(app: App) -> APIRouter:
    """Return the routes of the workbench."""
    routes = APIRouter(prefix="/api", tags=["exceptions"])

    @routes.get("/exceptions")
    async def list_all(
        queue: Tray = Tray.OPEN,
        recipe_id: Name = None,
        owner: Name = None,
        age: Bucket | None = None,
        severity: Grade | None = None,
        order: Literal["age", "severity"] = "age",
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> Response:
        """List exceptions of the newest runs of all recipes, the oldest or the gravest first."""
        start = offset_of(cursor)
        wanted = Wanted(
            queue,
            who().name,
            recipe_id,
            owner,
            age,
            None if severity is None else Severity[severity.upper()],
            order == "severity",
        )
        found = await app.bench.page(wanted, await recipes_of(app, recipe_id), start, limit)
        following = start + len(found.items)
        return JSONResponse(
            {
                "exceptions": [item_json(item) for item in found.items],
                "total": found.total,
                "queues": found.queues,
                "ageing": [
                    {
                        "recipe_id": one.run.recipe_id,
                        "run_id": one.run.run_id,
                        "open": dict(zip(BUCKETS, one.counts, strict=True)),
                    }
                    for one in found.ageing
                ],
                "cursor": cursor_of(following) if following < found.total else None,
            }
        )

    @routes.post("/exceptions/bulk")
    async def decide_all(request: Request) -> Response:
        """Take one decision about exceptions of several runs, about all or none."""
        given = await fields_of(request)
        named = _named(given.pop("exceptions", None))
        asked = await by_run(app, named)
        return JSONResponse({"decided": await app.exceptions.decide_all(asked, given, who().name)})

    @routes.get("/recipes/{recipe_id}/policy")
    async def get_policy(recipe_id: str) -> Response:
        """Show what a recipe demands of decisions about its exceptions."""
        await app.shelf.get(recipe_id)
        return JSONResponse(policy_json(await app.exceptions.policy(recipe_id)))

    @routes.put("/recipes/{recipe_id}/policy")
    async def set_policy(recipe_id: str, request: Request) -> Response:
        """Set it: `approval`, and `aged_by` with a column for `left` and `right`."""
        await app.shelf.get(recipe_id)
        document = await document_of(request)
        policy = await app.exceptions.set_policy(recipe_id, document, who().name)
        return JSONResponse(policy_json(policy))

    return routes


async def recipes_of(app: App, recipe_id: str | None) -> list[str]:
    """Return the recipes whose exceptions are looked at: one, or all that are saved."""
    if recipe_id is not None:
        return [recipe_id]
    return await app.shelf.ids(MOST_RECIPES)


async def by_run(app: App, named: list[tuple[str, str]]) -> list[tuple[Run, list[str]]]:
    """Return runs with the exceptions that are named of each.

    Raises:
        NotFound: there is no such run.
    """
    found: dict[str, list[str]] = {}
    for run_id, eid in named:
        found.setdefault(run_id, []).append(eid)
    return [(await app.runs.get(run_id), eids) for run_id, eids in found.items()]


def item_json(item: Item) -> dict[str, Any]:
    """Return an exception as the API shows it."""
    return {
        "eid": eid_of(item.side, item.record_key),
        "recipe_id": item.run.recipe_id,
        "run_id": item.run.run_id,
        "side": item.side,
        "record_key": item.record_key,
        "age_days": item.days,
        "severity": None if item.severity is None else item.severity.word,
        "reason": item.reason,
        "amount": item.amount,
        **standing_json(item.standing),
    }


def _named(given: object) -> list[tuple[str, str]]:
    fits = isinstance(given, list) and all(
        isinstance(one, dict)
        and isinstance(one.get("run_id"), str)
        and isinstance(one.get("eid"), str)
        for one in given
    )
    if not fits or not isinstance(given, list):
        wrong = "`exceptions` is a list of objects with `run_id` and `eid`."
        raise RecipeInvalid([Fault("wrong_type", "exceptions", wrong)], "request")
    return [(one["run_id"], one["eid"]) for one in given]
