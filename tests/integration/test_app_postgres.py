"""Two apps on one database of PostgreSQL: each knows what the other does; nothing is done twice."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import pytest

from kalla_app.store.cursors import cursor
from tests.support.api import absolute_recipe
from tests.support.apps import AppProcess, app_process
from tests.support.books import make_books
from tests.support.coordinators import coordinator_process, select_pause
from tests.support.databases import postgres_url

KEY = base64.urlsafe_b64encode(bytes(range(32))).decode()


@dataclass
class Pair:
    """Two apps, a client of each, and the recipe of the books."""

    apps: list[AppProcess]
    clients: list[httpx.Client]
    recipe: dict[str, object]

    def ended(self, place: int, run_id: str) -> str:
        """Look at a run by one of the apps until it has ended."""
        while (run := self.clients[place].get(f"/api/runs/{run_id}").json())["ended_at"] is None:
            select_pause()
        return str(run["status"])


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    recipe = absolute_recipe(make_books(folder))
    with ExitStack() as stack:
        database = stack.enter_context(postgres_url())
        coordinator = stack.enter_context(coordinator_process(folder / "staging"))
        variables = {"DATABASE_URL": database, "KALLA_APP_KEY": KEY}
        apps = [
            stack.enter_context(app_process(folder / name, coordinator.url, **variables))
            for name in ("one", "two")
        ]
        clients = [stack.enter_context(httpx.Client(base_url=app.url, timeout=60)) for app in apps]
        yield Pair(apps, clients, recipe)


def sent(pair: Pair) -> int:
    """Return how many submissions both apps have made."""
    pattern = r'kalla_app_errands_total\{action="submit",outcome="taken"\} ([0-9.]+)'
    texts = [client.get("/metrics").text for client in pair.clients]
    return sum(int(float(count)) for text in texts for count in re.findall(pattern, text))


def test_runs_that_both_take_in_are_sent_once_each(pair: Pair) -> None:
    names = [f"both-{number}" for number in range(10)]
    for number, name in enumerate(names):
        body = {"run_id": name, "recipe": pair.recipe}
        for place in (number % 2, 1 - number % 2):  # the same to the other: it is known there
            assert pair.clients[place].post("/api/runs", json=body).status_code in (200, 202)

    states = {pair.ended(number % 2, name) for number, name in enumerate(names)}

    assert states == {"succeeded"}
    assert sent(pair) == len(names)
    trail = pair.clients[0].get("/api/audit", params={"limit": 500}).json()["entries"]
    ends = [one["subject"] for one in trail if one["action"] == "run.end"]
    assert sorted(ends) == sorted(f"run/{name}" for name in names)
    assert pair.clients[1].get("/api/audit/check").json()["whole"]


def test_what_is_decided_at_one_is_seen_at_the_other_and_secrets_open_at_both(pair: Pair) -> None:
    one, two = pair.clients
    recipe = {**pair.recipe, "recipe_id": "shared"}
    source = {"alias": "far", "uri": "postgres://u:s3cret@h/d?table=t"}
    assert one.post("/api/recipes", json=recipe).status_code == 201
    assert one.post("/api/sources?check=false", json=source).status_code == 201
    run_id = two.post("/api/runs", json={"recipe_id": "shared"}).json()["run_id"]
    assert pair.ended(0, run_id) == "succeeded"
    row = one.get("/api/exceptions", params={"recipe_id": "shared"}).json()["exceptions"][0]

    decided = one.patch(f"/api/runs/{run_id}/exceptions/{row['eid']}", json={"owner": "anna"})
    renamed = two.patch(
        "/api/sources/far?check=false", json={"uri": "postgres://u:***@h/e?table=t"}
    )

    assert decided.status_code == 200, decided.text
    seen = two.get("/api/exceptions", params={"recipe_id": "shared", "owner": "anna"}).json()
    assert [one["record_key"] for one in seen["exceptions"]] == [row["record_key"]]
    assert renamed.status_code == 200, renamed.text
    assert "s3cret" not in renamed.text + one.get("/api/sources/far").text


def test_what_an_app_has_in_hand_when_it_dies_the_other_brings_to_its_end(pair: Pair) -> None:
    names = [f"orphan-{number}" for number in range(4)]
    for name in names:
        body = {"run_id": name, "recipe": pair.recipe}
        assert pair.clients[0].post("/api/runs", json=body).status_code == 202
    pair.apps[0].kill()

    assert {pair.ended(1, name) for name in names} == {"succeeded"}


def test_what_no_database_can_hold_is_refused_or_not_found(pair: Pair) -> None:
    zero = "a%00b"
    paths = [
        f"/runs/{zero}", f"/api/runs/{zero}", f"/sources/{zero}", f"/api/sources/{zero}",
        f"/recipes/{zero}", f"/api/recipes/{zero}", f"/exceptions?recipe={zero}",
        f"/exceptions/window?recipe={zero}", f"/api/exceptions?recipe_id={zero}",
        f"/api/runs?recipe_id={zero}", f"/reconcile/{zero}", f"/api/chat/sessions/{zero}",
        f"/api/uploads/{zero}", "/runs?cursor=" + cursor(1 << 70, "a"),
        "/api/runs?cursor=" + cursor(1, "a\0b"), "/api/audit?cursor=" + cursor(1 << 70),
    ]  # fmt: skip

    answers = [pair.clients[1].get(path) for path in paths]
    named = pair.clients[1].post("/api/runs", json={"run_id": "a\0b", "recipe": pair.recipe})
    owned = pair.clients[1].patch("/api/runs/a/exceptions/b", json={"owner": "a\0b"})

    assert {named.status_code, owned.status_code} <= {400, 404, 422}
    assert {one.status_code for one in answers} <= {200, 400, 404, 405, 422}, [
        (path, one.status_code) for path, one in zip(paths, answers, strict=True)
    ]
