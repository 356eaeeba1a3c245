"""What people decide about open rows, over runs, through the app and a real coordinator."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.apps import World, app_world, without_uris


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with app_world(tmp_path_factory.mktemp("exceptions")) as world:
        yield world


@pytest.fixture
def run(world: World, request: pytest.FixtureRequest) -> str:
    """A run of a recipe of this test's own."""
    recipe_id = re.sub(r"\W+", "-", request.node.name)
    recipe = without_uris(world.books.recipe, recipe_id=recipe_id)
    assert world.http.post("/api/recipes", json=recipe).status_code == 201
    return again(world, recipe_id)


def again(world: World, recipe_id: str) -> str:
    started = world.http.post("/api/runs", json={"recipe_id": recipe_id})
    run_id = str(started.json()["run_id"])
    assert world.ended(run_id)["status"] == "succeeded"
    return run_id


def listed(world: World, run: str, **query: str) -> dict[str, dict[str, Any]]:
    answer = world.http.get(f"/api/runs/{run}/exceptions", params=query)
    assert answer.status_code == 200, answer.text
    return {one["record_key"]: one for one in answer.json()["exceptions"]}


def decide(world: World, run: str, eid: str, **decision: object) -> httpx.Response:
    return world.http.patch(f"/api/runs/{run}/exceptions/{eid}", json=decision)


def test_every_open_row_is_an_exception_that_nobody_has_touched(world: World, run: str) -> None:
    left, right = listed(world, run, side="left"), listed(world, run, side="right")

    assert (set(left), set(right)) == ({"3", "4", "5"}, {"P3", "P4", "P5"})
    assert {one["state"] for one in (*left.values(), *right.values())} == {"open"}
    assert left["3"]["row"]["amount"] == "70.00"
    assert left["3"]["row"]["rejection_reason"] == "predicate_failed"


def test_what_was_decided_holds_in_the_next_run_and_never_changes_evidence(
    world: World, run: str
) -> None:
    row = listed(world, run)["3"]
    before = world.http.get(f"/api/runs/{run}/rows/unmatched_left").json()

    decided = decide(
        world, run, row["eid"], state="written_off", reason_code="bank_fee", owner="anna"
    )
    noted = decide(world, run, row["eid"], note="three euros of fees")
    recipe_id = world.http.get(f"/api/runs/{run}").json()["recipe_id"]
    later = again(world, recipe_id)

    assert decided.status_code == 200, decided.text
    assert noted.json()["state"] == "written_off"
    now = listed(world, later)["3"]
    assert (now["state"], now["owner"], now["note"]) == (
        "written_off",
        "anna",
        "three euros of fees",
    )
    assert set(listed(world, later, state="open")) == {"4", "5"}
    assert set(listed(world, later, state="written_off")) == {"3"}
    assert set(listed(world, later, owner="anna")) == {"3"}
    assert world.http.get(f"/api/runs/{run}/rows/unmatched_left").json() == before
    history = world.http.get(f"/api/runs/{later}/exceptions/{row['eid']}").json()["history"]
    assert [one.get("state") for one in history] == ["written_off", None]
    assert {one["run_id"] for one in history} == {run}


def test_rows_are_matched_by_hand_and_undone_together(world: World, run: str) -> None:
    left, right = listed(world, run, side="left"), listed(world, run, side="right")
    address = f"/api/runs/{run}/exceptions/{left['3']['eid']}/match"

    alone = world.http.post(address, json={"with": []})
    matched = world.http.post(address, json={"with": [right["P3"]["eid"]], "note": "same"})
    twice = world.http.post(address, json={"with": [right["P4"]["eid"]]})
    group = listed(world, run, side="right", state="matched_by_hand")
    undone = decide(world, run, right["P3"]["eid"], undo=True)

    assert alone.status_code == 422
    assert matched.status_code == 200, matched.text
    assert twice.status_code == 422
    assert group["P3"]["match_group"] == matched.json()["match_group"]
    assert undone.json()["state"] == "open"
    assert listed(world, run, side="left")["3"]["state"] == "open"
    trail = world.http.get("/api/audit", params={"limit": 4}).json()["entries"]
    assert [one["action"] for one in trail] == ["exception.undo"] * 2 + ["exception.decide"] * 2


def test_many_are_decided_about_at_once_or_none_of_them(world: World, run: str) -> None:
    rows = listed(world, run)
    eids = [rows["4"]["eid"], rows["5"]["eid"]]
    address = f"/api/runs/{run}/exceptions/bulk"
    decision = {"state": "ignored", "reason_code": "duplicate"}

    unreasoned = world.http.post(address, json={"eids": eids, "state": "ignored"})
    unknown = world.http.post(address, json={"eids": [*eids, "bm8"], **decision})
    untouched = listed(world, run)
    decided = world.http.post(address, json={"eids": eids, **decision})

    assert (unreasoned.status_code, unknown.status_code) == (422, 404)
    assert {one["state"] for one in untouched.values()} == {"open"}
    assert decided.json() == {"decided": 2}
    assert set(listed(world, run, state="ignored")) == {"4", "5"}


def test_a_row_that_is_not_open_in_the_run_cannot_be_decided_about(world: World, run: str) -> None:
    from kalla_app.exceptions.book import eid_of

    answers = [
        decide(world, run, eid, state="explained")
        for eid in (eid_of("left", "1"), eid_of("middle", "3"), "not-an-eid", "W10")
    ]

    assert [answer.status_code for answer in answers] == [404] * 4


def test_rows_are_decided_about_and_matched_by_the_forms_of_pages(world: World, run: str) -> None:
    rows = listed(world, run)
    with httpx.Client(base_url=world.app.url, timeout=60, headers={"Accept": "text/html"}) as http:
        page = http.get(f"/runs/{run}")
        word = re.findall(r'name="csrf_token" value="([^"]+)"', page.text)[0]
        decided = http.post(
            f"/runs/{run}/decide",
            data={
                "csrf_token": word,
                "eid": [rows["4"]["eid"], rows["5"]["eid"]],
                "state": "explained",
                "note": "<b>known</b>",
                "back": f"/runs/{run}?set=unmatched_left",
            },
            follow_redirects=True,
        )
        sides = http.get(f"/runs/{run}/match", params={"ql": "R-3"})
        eids = re.findall(r'name="eid" value="([^"]+)"', sides.text)
        matched = http.post(
            f"/runs/{run}/match",
            data={"csrf_token": word, "eid": eids[:2]},
            follow_redirects=True,
        )

    assert "Explained" in decided.text
    assert "<b>known" not in decided.text
    assert eids[0] == rows["3"]["eid"]
    assert 'data-amount="70.00"' in sides.text
    assert matched.status_code == 200, matched.text
    assert listed(world, run)["3"]["state"] == "matched_by_hand"
