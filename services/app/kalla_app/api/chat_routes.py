"""The recipe builder over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from kalla_app.access.gate import who
from kalla_app.api.requests import Cursor, Limit, fields_of
from kalla_app.builder.events import event_json
from kalla_app.builder.service import chat_json, conversation_json
from kalla_app.context import App
from kalla_core.serving.streams import StreamedResponse

_PATIENCE_S = 300.0
_SIGN_OF_LIFE = 15
_FORMAT = 1

Behind = Annotated[int, Query(ge=0)]


def chat_routes(app: App) -> APIRouter:
    """Return the routes of the recipe builder."""
    routes = APIRouter(prefix="/api/chat", tags=["recipe builder"])

    @routes.post("")
    async def chat(request: Request) -> Response:
        """Say or answer something in a conversation, a new one where none is named.

        The body has `session_id`, and `message`, or `card_id` with its `value`, or `back_to`; or
        `values`, whether a model may see values, or `stop`, which ends its turn. The answer is the
        conversation once it waits for a person again, with the events since.
        """
        asked = await fields_of(request)
        given = asked.get("session_id")
        new = given is None
        session_id = (await app.builder.begin(who().name)).chat.session_id if new else str(given)
        before = await app.builder.rested(session_id, _PATIENCE_S) if new else None
        start = 0 if new else (await app.builder.get(session_id)).state.number
        if before is None or set(asked) - {"session_id"}:
            await app.builder.take(session_id, asked, who().name)
        found = await app.builder.rested(session_id, _PATIENCE_S)
        return JSONResponse(conversation_json(found, start))

    @routes.get("/sessions")
    async def list_chats(limit: Limit = 50, cursor: Cursor = None) -> Response:
        """List conversations, those that changed last first, a page at a time."""
        found, following = await app.builder.page(limit, cursor)
        shown = {"sessions": [chat_json(one) for one in found], "cursor": following}
        return JSONResponse(shown)

    @routes.post("/sessions", status_code=201)
    async def begin_chat() -> Response:
        """Begin a conversation."""
        return JSONResponse(conversation_json(await app.builder.begin(who().name)), 201)

    @routes.get("/sessions/{session_id}")
    async def get_chat(session_id: str, behind: Behind = 0) -> Response:
        """Show a conversation: its cards, and its events, or those behind a number."""
        return JSONResponse(conversation_json(await app.builder.get(session_id), behind))

    @routes.get("/sessions/{session_id}/events", response_class=Response)
    async def watch_chat(session_id: str, behind: Behind = 0) -> Response:
        """Watch a conversation: server-sent events, each of which is one of its own.

        What a model is saying comes before that as events `words`, whose `text` grows.
        """
        await app.builder.get(session_id)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamedResponse(_events(app, session_id, behind), "text/event-stream", headers)

    @routes.get("/sessions/{session_id}/export")
    async def export_chat(session_id: str) -> Response:
        """Return all of a conversation, as a file from which it can be replayed."""
        found = await app.builder.get(session_id)
        name = f"kalla-conversation-{found.chat.session_id}.json"
        return JSONResponse(
            {
                "format": _FORMAT,
                **chat_json(found.chat),
                "events": [event_json(one) for one in found.events],
            },
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    return routes


async def _events(app: App, session_id: str, behind: int) -> AsyncGenerator[bytes, None]:
    still, said = 0, None
    while not app.closing.is_set():
        found = await app.builder.get(session_id)
        fresh: list[Any] = [one for one in found.events if one.number > behind]
        for event in fresh:
            behind, still = event.number, 0
            text = json.dumps(event_json(event))
            yield f"id: {event.number}\ndata: {text}\n\n".encode()
        words = app.builder.words(session_id)
        if words and words != said:
            yield f"event: words\ndata: {json.dumps({'text': words})}\n\n".encode()
        said = words
        if not fresh and (still := still + 1) % _SIGN_OF_LIFE == 0:
            yield b": still here\n\n"
        if words is None:
            await app.builder.wait(session_id)
        else:
            await app.builder.wait_for_words(session_id)
