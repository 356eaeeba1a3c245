"""Pages of the recipe builder: its conversations, and one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from kalla_app.access.gate import who
from kalla_app.api.requests import Cursor
from kalla_app.builder.cards import cards
from kalla_app.builder.guide import Call, next_step
from kalla_app.builder.phases import TITLES, may_go_back
from kalla_app.builder.service import Conversation
from kalla_app.builder.state import SIDES, Phase, State
from kalla_app.context import App
from kalla_app.pages.forms import form_of, lists_of, seen
from kalla_app.pages.render import page
from kalla_app.sources.catalogue import text_of
from kalla_core.errors import KallaError
from kalla_core.recipe.model import FilterOp

_PAGE = 30
_OF_EVIDENCE = frozenset(
    {"record_key", "rejection_reason", "reason_detail", "closest_candidate", "attempted_rules"}
)
_CONDITIONS = range(2)
"""Filters of a side that the form has room for."""

OPERATORS = {
    FilterOp.EQ: "is",
    FilterOp.NEQ: "is not",
    FilterOp.GT: "is more than",
    FilterOp.GTE: "is at least",
    FilterOp.LT: "is less than",
    FilterOp.LTE: "is at most",
    FilterOp.LIKE: "is like",
}
UNDER_WAY = {
    "list_sources": "Looking which sources there are",
    "get_source_preview": "Looking into the sources",
    "load_scoped": "Loading the rows",
    "propose_match": "Looking for what both sides have in common, and trying it",
    "infer_rules": "Making a rule that agrees with your answers, and trying it",
    "build_recipe": "Writing the recipe",
    "validate_recipe": "Checking the recipe against its sources",
    "run_sample": "Running it on a sample",
    "save_recipe": "Saving the recipe",
    "run_full": "Starting the run",
}


def reconcile_pages(app: App) -> APIRouter:
    """Return the pages of the recipe builder."""
    routes = APIRouter(prefix="/reconcile", include_in_schema=False)

    @routes.get("")
    async def conversations(request: Request, cursor: Cursor = None) -> Response:
        found, following = await app.builder.page(_PAGE, cursor)
        return await page(app, request, "conversations.html", chats=found, cursor=following,
                          titles=TITLES, phases={one.word: one for one in Phase})  # fmt: skip

    @routes.post("")
    async def begin(request: Request) -> Response:
        await form_of(request)
        made = await app.builder.begin(who().name)
        return seen(f"/reconcile/{made.chat.session_id}")

    async def shown(
        request: Request,
        session_id: str,
        template: str = "reconcile.html",
        error: KallaError | None = None,
    ) -> Response:
        found = await app.builder.get(session_id)
        status = 200 if error is None else 422
        model = {"model": app.builder.model(), "words": app.builder.words(session_id)}
        values = _values(found) | model
        return await page(app, request, template, status, **values, error=error)

    @routes.get("/{session_id}")
    async def conversation(session_id: str, request: Request) -> Response:
        return await shown(request, session_id)

    @routes.get("/{session_id}/panel")
    async def panel(session_id: str, request: Request, seen: str = "") -> Response:
        found = await app.builder.get(session_id)
        if seen == _mark(found):
            return Response(status_code=204)
        return await shown(request, session_id, "reconcile_panel.html")

    @routes.get("/{session_id}/words")
    async def words(session_id: str, request: Request) -> Response:
        said = app.builder.words(session_id)
        if not said:
            return Response(status_code=204)
        return await page(app, request, "reconcile_words.html", words=said)

    @routes.post("/{session_id}")
    async def take(session_id: str, request: Request) -> Response:
        fields = await lists_of(request)
        try:
            await app.builder.take(session_id, _asked(fields), who().name)
        except KallaError as error:
            return await shown(request, session_id, error=error)
        return seen(f"/reconcile/{session_id}#now")

    return routes


def _values(found: Conversation) -> dict[str, Any]:
    state = found.state
    step = next_step(state, found.chat.session_id)
    return {
        "chat": found.chat,
        "events": found.events,
        "state": state,
        "mark": _mark(found),
        "cards": cards(state),
        "busy": found.busy and not state.led.turn,
        "doing": UNDER_WAY.get(step.tool) if isinstance(step, Call) else None,
        "steps": [(one, TITLES[one], may_go_back(state, one)) for one in Phase if one],
        "sides": _sides(state),
        "operators": {op.value: word for op, word in OPERATORS.items()},
        "conditions": _CONDITIONS,
        "differences": _differences(state.question),
        "trial": _trial(state),
        "passes": (state.proposal or {}).get("passes", []),
        "text_of": text_of_value,
        "hidden": _OF_EVIDENCE,
    }


def _mark(found: Conversation) -> str:
    """Return what changes whenever the page does."""
    return f"{found.state.number}-{int(found.busy)}"


def _sides(state: State) -> list[tuple[str, str]]:
    return list(zip(SIDES, state.chosen, strict=True)) if state.chosen else []


def _trial(state: State) -> dict[str, Any] | None:
    """Return the engine's newest run on samples; of the recipe once there is one."""
    newest = state.sample if state.sample and state.sample["trial"] else state.proposal
    return newest if newest and newest["trial"] else None


def _differences(question: Mapping[str, Any] | None) -> frozenset[str]:
    """Return the texts that both rows of a question have, to be marked."""
    if question is None:
        return frozenset()
    left, right = (
        {text_of_value(value) for value in question[f"{side}_row"].values()} for side in SIDES
    )
    return frozenset(left & right) - {""}


def text_of_value(value: object) -> str:
    """Return a value of a row as a page shows it; nothing for null."""
    return text_of(value) or ""


def _asked(fields: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return what a form of the page means."""
    last = {name: values[-1] for name, values in fields.items()}
    if "back_to" in last:
        return {"back_to": last["back_to"]}
    if "stop" in last:
        return {"stop": True}
    if "values" in last:
        return {"values": last["values"] == "show"}
    if "card_id" not in last:
        return {"message": last.get("message", "")}
    value: dict[str, Any] = {
        name: text for name, text in last.items() if name in ("left", "right", "judgement", "name")
    }
    if last.get("scope") == "some":
        value = {side: _filters(side, last) for side in SIDES}
    elif last.get("scope") == "all":
        value = {side: [] for side in SIDES}
    return {"card_id": last["card_id"], "value": value}


def _filters(side: str, last: Mapping[str, str]) -> list[dict[str, Any]]:
    found = []
    for place in _CONDITIONS:
        column, op, text = (last.get(f"{side}_{part}_{place}", "") for part in _PARTS)
        if column:
            found.append({"column": column, "op": op, "value": text})
    return found


_PARTS = ("column", "op", "value")
