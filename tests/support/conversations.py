"""Conversations of the recipe builder, held by an oracle that knows which rows belong together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.apps import app_process, bearer
from tests.support.coordinators import coordinator_process, select_pause
from tests.support.remittances import ROWS, make_remittances

PATIENCE_S = 240
Json = dict[str, Any]
Answer = tuple[str, Any]


@contextmanager
def builder_world(
    folder: Path, *flags: str, caller: str | None = None, **variables: str
) -> Iterator[httpx.Client]:
    """Start a coordinator and an app, with invoices and payments saved as sources."""
    left, right = make_remittances(folder)
    with (
        coordinator_process(folder / "staging") as coordinator,
        app_process(folder / "data", coordinator.url, *flags, **variables) as app,
        httpx.Client(base_url=app.url, timeout=PATIENCE_S, headers=bearer(caller)) as http,
    ):
        for path in (left, right):
            source = {"alias": path.stem, "uri": str(path)}
            assert http.post("/api/sources", json=source).status_code == 201
        yield http


def begun(http: httpx.Client) -> Json:
    """Begin a conversation and return it once it waits for somebody."""
    return dict(_right(http.post("/api/chat", json={})))


def say(http: httpx.Client, talk: Json, **asked: Any) -> Json:
    """Say or answer something, and return the conversation once it waits again."""
    asked["session_id"] = talk["session_id"]
    return dict(_right(http.post("/api/chat", json=asked)))


def answered(talk: Json) -> Answer:
    """Return the first open card and what somebody answers who knows what belongs together."""
    card = talk["cards"][0]
    match card["type"]:
        case "select":
            return card["id"], {"left": "invoices", "right": "payments"}
        case "scope":
            return card["id"], {"left": [], "right": []}
        case "match_proposal":
            question = card["question"]
            together = int(question["right"][0]) == 5000 + int(question["left"][0])
            return card["id"], {"judgement": "yes" if together else "no"}
        case "approve":
            return card["id"], {"name": "Paid invoices"}
        case "run":
            return card["id"], None
        case other:
            raise AssertionError(f"nobody expects a card {other}: {card}")


def led(http: httpx.Client, talk: Json, until: Callable[[Json], bool]) -> Json:
    """Answer whatever is asked until something holds."""
    for _ in range(40):
        if until(talk):
            return talk
        card_id, value = answered(talk)
        talk = say(http, talk, card_id=card_id, value=value)
    raise AssertionError(f"it does not come to that: {talk}")


def ended(http: httpx.Client, session_id: str) -> Json:
    """Return a conversation once its run has ended."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        talk = dict(_right(http.get(f"/api/chat/sessions/{session_id}")))
        if talk["run_id"] is not None and not talk["busy"]:
            return talk
        select_pause()
    raise TimeoutError(f"the run does not end: {talk}")


def _right(response: httpx.Response) -> Any:
    assert response.status_code < 300, response.text
    return response.json()


MATCHED = ROWS * 9 // 10
