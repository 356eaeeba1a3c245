"""The recipe builder from outside: conversations over REST, on a real coordinator."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from kalla_app.builder.replay import replayed
from kalla_app.builder.state import Phase
from tests.support.conversations import (
    MATCHED,
    PATIENCE_S,
    answered,
    begun,
    builder_world,
    ended,
    led,
    say,
)
from tests.support.coordinators import select_pause


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with builder_world(tmp_path_factory.mktemp("builder")) as http:
        yield http


@pytest.fixture(scope="module")
def told(http: httpx.Client) -> dict[str, Any]:
    """A conversation that was led to the end of its run."""
    talk = led(http, begun(http), lambda talk: talk["run_id"] is not None)
    return ended(http, talk["session_id"])


def test_a_conversation_leads_from_two_sources_to_a_run_of_a_saved_recipe(
    http: httpx.Client, told: dict[str, Any]
) -> None:
    run = http.get(f"/api/runs/{told['run_id']}").json()
    recipe = http.get(f"/api/recipes/{told['saved']['recipe_id']}").json()

    assert (run["status"], run["matched_count"]) == ("succeeded", MATCHED)
    assert (run["recipe_id"], run["recipe_version"]) == ("paid-invoices", 1)
    assert recipe["name"] == "Paid invoices"
    assert "uri" not in recipe["recipe"]["sources"]["left"]
    assert told["phase"] == "execution"
    judged = {one["judgement"] for one in told["judged"]}
    assert judged <= {"yes", "no"}
    trail = http.get("/api/audit", params={"limit": 500}).json()["entries"]
    assert {"chat.begin", "recipe.save", "run.start"} <= {one["action"] for one in trail}


def test_phases_follow_each_other_and_call_only_their_own_tools(told: dict[str, Any]) -> None:
    phase, seen = "greeting", ["greeting"]
    calls: dict[str, set[str]] = {}
    for event in told["events"] or []:
        if event["kind"] == "moved":
            phase = event["phase"]
            seen.append(phase)
        if event["kind"] == "called":
            calls.setdefault(phase, set()).add(event["tool"])
    full = [
        "greeting", "intent", "scoping", "demonstration", "inference", "validation", "execution",
    ]  # fmt: skip

    assert seen == full
    assert calls["demonstration"] == {"propose_match"}
    assert calls["validation"] == {"validate_recipe", "run_sample", "save_recipe"}
    assert calls["execution"] == {"run_full"}


def test_an_export_can_be_replayed_to_where_the_conversation_stands(
    http: httpx.Client, told: dict[str, Any]
) -> None:
    answer = http.get(f"/api/chat/sessions/{told['session_id']}/export")

    state = replayed(answer.json())

    assert state.run_id == told["run_id"]
    assert state.phase is Phase.EXECUTION
    assert "attachment" in answer.headers["content-disposition"]
    assert "uri" not in {key for event in answer.json()["events"] for key in _keys(event)}


def test_whoever_watches_is_told_each_event_once_and_in_order(
    http: httpx.Client, told: dict[str, Any]
) -> None:
    path = f"/api/chat/sessions/{told['session_id']}/events"
    count = len(told["events"])

    numbers = []
    with http.stream("GET", path, params={"behind": 3}) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: "):
                numbers.append(json.loads(line[6:])["number"])
            if len(numbers) == count - 3:
                break

    assert numbers == list(range(4, count + 1))


def test_of_two_who_answer_the_same_card_the_second_is_told(http: httpx.Client) -> None:
    talk = begun(http)
    card_id, value = answered(talk)

    first = say(http, talk, card_id=card_id, value=value)
    body = {"session_id": talk["session_id"], "card_id": card_id, "value": value}
    second = http.post("/api/chat", json=body)

    assert first["phase"] == "scoping"
    assert (second.status_code, second.json()["error"]["code"]) == (409, "conflict")


def test_conditions_are_part_of_the_recipe_and_a_wrong_one_is_asked_for_again(
    http: httpx.Client,
) -> None:
    talk = say(http, begun(http), message="invoices and payments")
    wrong = [{"column": "day", "op": "gt", "value": "no day"}]
    some = [{"column": "id", "op": "lte", "value": "100"}]

    told_off = say(http, talk, card_id="scope", value={"left": wrong, "right": []})
    scoped = say(http, told_off, card_id="scope", value={"left": some, "right": []})

    assert "no day" in told_off["cards"][0]["problem"]
    assert scoped["recipe"]["sources"]["left"]["filters"] == some
    back = say(http, scoped, message="back to the rows")
    assert (back["phase"], back["cards"][0]["type"]) == ("scoping", "scope")


def test_the_page_holds_a_conversation_without_any_script(http: httpx.Client) -> None:
    with httpx.Client(base_url=http.base_url, timeout=240, follow_redirects=True) as browser:
        csrf = re.search(r'name="csrf" content="([^"]+)"', browser.get("/reconcile").text)
        assert csrf is not None
        form = {"csrf_token": csrf[1]}
        page = browser.post("/reconcile", data=form)
        talk = page.url.path
        session_id = talk.rpartition("/")[2]
        for given in (
            {"card_id": "sources", "left": "invoices", "right": "payments"},
            {"card_id": "scope", "scope": "all"},
        ):
            _rest(http, session_id)
            page = browser.post(talk, data={**form, **given})
        _rest(http, session_id)
        page = browser.get(talk)
        again = browser.post(talk, data={**form, "card_id": "scope", "scope": "all"})

    assert "Do these two belong together?" in page.text
    assert "Run on the sample" in page.text
    assert "norm_ref" in page.text
    assert again.status_code == 422
    assert "answered already" in again.text


def _rest(http: httpx.Client, session_id: str) -> None:
    """Wait until a conversation waits for somebody."""
    until = time.monotonic() + PATIENCE_S
    while http.get(f"/api/chat/sessions/{session_id}").json()["busy"]:
        assert time.monotonic() < until, "it does not come to rest"
        select_pause()


def _keys(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        for key, value in document.items():
            yield key
            yield from _keys(value)
    elif isinstance(document, list):
        for one in document:
            yield from _keys(one)
