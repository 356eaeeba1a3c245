"""Conversations of two apps on one PostgreSQL, one of which is killed in the middle."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from kalla_app.builder.replay import replayed
from tests.integration.test_app_postgres import KEY
from tests.support.apps import AppProcess, app_process
from tests.support.conversations import MATCHED, PATIENCE_S, begun, ended, led, say
from tests.support.coordinators import coordinator_process, select_pause
from tests.support.databases import postgres_url
from tests.support.remittances import make_remittances

pytestmark = pytest.mark.full

Two = tuple[list[AppProcess], list[httpx.Client]]


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    left, right = make_remittances(tmp_path)
    with ExitStack() as stack:
        variables = {"DATABASE_URL": stack.enter_context(postgres_url()), "KALLA_APP_KEY": KEY}
        coordinator = stack.enter_context(coordinator_process(tmp_path / "staging"))
        apps = [
            stack.enter_context(app_process(tmp_path / name, coordinator.url, **variables))
            for name in ("one", "two")
        ]
        clients = [
            stack.enter_context(httpx.Client(base_url=app.url, timeout=PATIENCE_S)) for app in apps
        ]
        for path in (left, right):
            source = {"alias": path.stem, "uri": str(path)}
            assert clients[0].post("/api/sources", json=source).status_code == 201
        yield apps, clients


def test_what_one_app_was_doing_when_it_was_killed_the_other_does_and_ends(two: Two) -> None:
    apps, (one, other) = two
    talk = begun(one)
    talk = say(other, talk, message="invoices and payments")
    body = {
        "session_id": talk["session_id"],
        "card_id": "scope",
        "value": {"left": [], "right": []},
    }

    def ask() -> None:
        with suppress(httpx.HTTPError):  # it is killed before it answers
            httpx.post(f"{apps[0].url}/api/chat", json=body, timeout=PATIENCE_S)

    asking = threading.Thread(target=ask)
    asking.start()
    path = f"/api/chat/sessions/{talk['session_id']}"
    while (seen := one.get(path).json())["phase"] != "demonstration":
        select_pause()
    apps[0].kill()
    asking.join(PATIENCE_S)
    while other.get(path).json()["busy"]:
        select_pause()
    talk = led(other, other.get(path).json(), lambda now: now["run_id"] is not None)
    talk = ended(other, talk["session_id"])

    assert seen["busy"]
    run = other.get(f"/api/runs/{talk['run_id']}").json()
    assert (run["status"], run["matched_count"]) == ("succeeded", MATCHED)
    exported = other.get(f"{path}/export").json()
    assert replayed(exported).run_id == talk["run_id"]
    numbers = [one["number"] for one in exported["events"]]
    assert numbers == list(range(1, len(numbers) + 1))


def test_two_browsers_at_two_apps_lead_one_conversation_and_agree(two: Two) -> None:
    _, clients = two
    talk = begun(clients[0])

    for turn in range(40):
        if talk["run_id"] is not None:
            break
        here, there = clients[turn % 2], clients[1 - turn % 2]
        path = f"/api/chat/sessions/{talk['session_id']}"
        seen = there.get(path).json()
        assert (seen["phase"], seen["cards"]) == (talk["phase"], talk["cards"])
        before = len(seen["events"])
        talk = led(here, seen, lambda now, count=before: count < now["events"][-1]["number"])

    ends = [ended(client, talk["session_id"]) for client in clients]
    assert ends[0]["events"] == ends[1]["events"]
    assert ends[0]["phase"] == "execution"
