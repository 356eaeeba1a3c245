"""Exceptions of all recipes in queues, followed over runs, with a second person to agree."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html import unescape
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.apps import World, app_world, bearer, without_uris

PEOPLE = "viewer vera sees\noperator anna asks\noperator olaf agrees\nadmin ada rules\n"
REASONED = {"state": "written_off", "reason_code": "bank_fee"}
PASSES = [
    {
        "name": "reference",
        "match_sql": "SELECT i.invoice_id, p.payment_id FROM invoices i"
        " JOIN payments p ON i.reference = p.reference AND i.amount = p.paid_amount",
        "cardinality": "1:1",
    },
    {
        "name": "amount",
        "match_sql": "SELECT i.invoice_id, p.payment_id FROM invoices i"
        " JOIN payments p ON i.amount = p.paid_amount",
        "cardinality": "1:1",
        "accept": "suggest",
    },
]

AMOUNTS = {"left": "amount", "right": "paid_amount"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("workbench")
    (folder / "tokens").write_text(PEOPLE)
    with app_world(folder, "--token-file", str(folder / "tokens"), caller="rules") as world:
        yield world


def save(world: World, recipe_id: str, **more: Any) -> None:
    recipe = without_uris(world.books.recipe, recipe_id=recipe_id, **more)
    if "passes" in more:
        del recipe["match_sql"]
    saved = world.http.post("/api/recipes", json=recipe)
    assert saved.status_code == 201, saved.text


def run(world: World, recipe_id: str) -> str:
    started = world.http.post("/api/runs", json={"recipe_id": recipe_id})
    run_id = str(started.json()["run_id"])
    assert world.ended(run_id)["status"] == "succeeded"
    return run_id


def bench(world: World, who: str = "rules", **query: str) -> dict[str, Any]:
    answer = world.http.get("/api/exceptions", params=query, headers=bearer(who))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def keys(found: dict[str, Any]) -> list[str]:
    return [one["record_key"] for one in found["exceptions"]]


def decide(world: World, token: str, item: dict[str, Any], **decision: object) -> httpx.Response:
    return world.http.patch(
        f"/api/runs/{item['run_id']}/exceptions/{item['eid']}",
        json=decision,
        headers=bearer(token),
    )


def item(world: World, recipe_id: str, key: str, queue: str = "open") -> dict[str, Any]:
    found = bench(world, recipe_id=recipe_id, queue=queue)["exceptions"]
    return next(one for one in found if one["record_key"] == key)


def test_rows_nobody_touched_stand_in_queues_by_their_own_age_the_oldest_first(
    world: World,
) -> None:
    save(world, "aged")
    policy = {"approval": False, "aged_by": {"left": "booked", "right": None}}
    assert world.http.put("/api/recipes/aged/policy", json=policy).json() == policy
    run(world, "aged")

    found = bench(world, recipe_id="aged", limit="2")
    rest = bench(world, recipe_id="aged", limit="9", cursor=found["cursor"])

    age = (datetime.now(UTC).date() - date(2026, 1, 3)).days
    assert (keys(found), found["total"]) == (["3", "4"], 6)
    assert found["exceptions"][0]["age_days"] == age
    assert keys(rest) == ["5", "P3", "P4", "P5"]
    assert rest["exceptions"][1]["age_days"] == 0
    counts = found["ageing"][0]["open"]
    assert (sum(counts.values()), counts["0-1"]) == (6, 3)
    grave = bench(world, recipe_id="aged", severity=found["exceptions"][0]["severity"])
    assert keys(grave) == ["3", "4", "5"]
    assert keys(bench(world, recipe_id="aged", age="0-1")) == ["P3", "P4", "P5"]


def test_queues_are_by_owner_and_by_what_was_decided(world: World) -> None:
    save(world, "queues")
    run(world, "queues")
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()

    decide(world, "asks", item(world, "queues", "3"), owner="anna", note="asked the bank")
    decide(world, "asks", item(world, "queues", "4"), until=tomorrow)
    decide(world, "asks", item(world, "queues", "5"), **REASONED)

    shown = {
        queue: keys(bench(world, "asks", recipe_id="queues", queue=queue))
        for queue in ("open", "mine", "unassigned", "waiting", "suspended", "closed")
    }
    assert shown == {
        "open": ["3", "P3", "P4", "P5"],
        "mine": ["3"],
        "unassigned": ["P3", "P4", "P5"],
        "waiting": [],
        "suspended": ["4"],
        "closed": ["5"],
    }
    assert bench(world, "agrees", recipe_id="queues", queue="mine")["total"] == 0
    assert keys(bench(world, recipe_id="queues", owner="anna")) == ["3"]
    assert decide(world, "asks", item(world, "queues", "4", "suspended"), until="").is_success
    assert item(world, "queues", "4")["until"] is None


def test_writing_off_waits_for_somebody_else_where_the_recipe_says_so(world: World) -> None:
    save(world, "four-eyes")
    run(world, "four-eyes")
    address, policy = "/api/recipes/four-eyes/policy", {"approval": True}

    lifted = world.http.put(address, json=policy, headers=bearer("asks"))
    assert world.http.put(address, json=policy).status_code == 200
    asked = decide(world, "asks", item(world, "four-eyes", "3"), **REASONED)
    waiting = item(world, "four-eyes", "3", "waiting")
    own = decide(world, "asks", waiting, approve=True)
    seen = decide(world, "sees", waiting, approve=True)
    agreed = decide(world, "agrees", waiting, approve=True)
    again = decide(world, "rules", waiting, approve=True)

    assert (lifted.status_code, own.status_code, seen.status_code) == (403, 403, 403)
    assert (asked.json()["state"], asked.json()["wanted"]) == ("open", "written_off")
    assert waiting["asked_by"] == "anna"
    assert "somebody else" in own.json()["error"]["message"]
    assert (agreed.json()["state"], agreed.json()["reason_code"]) == ("written_off", "bank_fee")
    assert again.status_code == 422
    address = f"/api/runs/{waiting['run_id']}/exceptions/{waiting['eid']}"
    kinds = [(one["who"], one["kind"]) for one in world.http.get(address).json()["history"]]
    assert kinds == [("anna", "asked"), ("olaf", "approved")]


def test_an_exception_is_followed_over_runs_until_it_is_closed_for_good(world: World) -> None:
    payments = world.books.folder / "payments.csv"
    before = payments.read_text()
    save(world, "followed")
    first = run(world, "followed")
    for key in ("3", "4"):
        decide(world, "asks", item(world, "followed", key), owner="anna", note=f"about {key}")
    decide(world, "asks", item(world, "followed", "P3"), state="force_closed", reason_code="timing")
    carried = run(world, "followed")
    carried_one = item(world, "followed", "3")
    try:
        payments.write_text(before.replace("P3,R-3,67.00", "P3,R-3,70.00"))
        run(world, "followed")
        closed = {
            one["record_key"]: one
            for one in bench(world, recipe_id="followed", queue="closed")["exceptions"]
        }
    finally:
        payments.write_text(before)
    last = run(world, "followed")
    again = item(world, "followed", "3")

    assert (carried_one["run_id"], carried_one["owner"], carried_one["note"]) == (
        carried,
        "anna",
        "about 3",
    )
    assert (closed["3"]["gone"], closed["3"]["state"]) == (True, "open")
    assert "4" not in closed
    assert (again["run_id"], again["owner"], again["gone"]) == (last, "anna", False)
    assert item(world, "followed", "P3", "closed")["state"] == "force_closed"
    address = f"/api/runs/{last}/exceptions/{again['eid']}"
    history = world.http.get(address).json()["history"]
    assert [one["kind"] for one in history] == ["decided", "gone", "seen"]
    assert history[0]["run_id"] == first
    assert keys(bench(world, recipe_id="followed")) == ["3", "4", "5", "P4", "P5"]


def test_what_is_suggested_is_confirmed_or_left(world: World) -> None:
    save(world, "suggested", passes=PASSES)
    run_id = run(world, "suggested")
    found = bench(world, recipe_id="suggested", queue="suggested")
    named = {one["record_key"]: one["eid"] for one in found["exceptions"]}
    address = f"/api/runs/{run_id}/exceptions/confirm"

    confirmed = world.http.post(address, json={"eids": [named["5"], named["P5"]]})
    nothing = world.http.post(address, json={"eids": [item(world, "suggested", "3")["eid"]]})

    assert set(named) == {"4", "P4", "5", "P5"}
    assert confirmed.status_code == 200, confirmed.text
    assert len(confirmed.json()["match_groups"]) == 1
    assert nothing.status_code == 422
    assert set(keys(bench(world, recipe_id="suggested", queue="suggested"))) == {"4", "P4"}
    closed = bench(world, recipe_id="suggested", queue="closed")["exceptions"]
    assert {one["record_key"] for one in closed} == {"5", "P5"}
    assert {one["match_group"] for one in closed} == {*confirmed.json()["match_groups"]}


def test_many_recipes_are_decided_about_at_once_or_none(world: World) -> None:
    for name in ("one", "two"):
        save(world, f"bulk-{name}")
        run(world, f"bulk-{name}")
    rows = [item(world, f"bulk-{name}", "4") for name in ("one", "two")]
    named = [{"run_id": one["run_id"], "eid": one["eid"]} for one in rows]
    gone = {"run_id": rows[0]["run_id"], "eid": "bm8"}

    none = world.http.post("/api/exceptions/bulk", json={"exceptions": [*named, gone], **REASONED})
    untouched = bench(world, recipe_id="bulk-one", queue="closed")["total"]
    both = world.http.post("/api/exceptions/bulk", json={"exceptions": named, **REASONED})
    undone = world.http.post("/api/exceptions/bulk", json={"exceptions": named[:1], "undo": True})

    assert (none.status_code, untouched) == (404, 0)
    assert both.json() == {"decided": 2}
    assert undone.json() == {"decided": 1}
    assert bench(world, recipe_id="bulk-one", queue="closed")["total"] == 0
    assert keys(bench(world, recipe_id="bulk-two", queue="closed")) == ["4"]


def test_the_pages_show_queues_and_one_exception_with_all_that_happened(world: World) -> None:
    save(world, "pages", name="<i>Pages</i>")
    run(world, "pages")
    row = item(world, "pages", "3")
    decide(world, "asks", row, owner="<b>olaf</b>", note="<script>1</script>")
    html = {"Accept": "text/html"}

    listed = world.http.get("/exceptions", params={"recipe": "pages"}, headers=html)
    one = world.http.get(f"/runs/{row['run_id']}/exceptions/{row['eid']}", headers=html)
    odd = world.http.get("/exceptions", params={"age": "x", "severity": "y"}, headers=html)
    none = world.http.get("/exceptions", params={"recipe": "nobody"}, headers=html)

    assert [answer.status_code for answer in (listed, one, odd, none)] == [200] * 4
    assert "&lt;i&gt;Pages" in listed.text
    assert "&lt;b&gt;olaf" in listed.text
    assert "&lt;script&gt;1" in one.text
    assert "70.00" in one.text
    assert not any(word in listed.text + one.text for word in ("<i>Pages", "<b>olaf", "<script>1"))


def test_what_is_left_of_a_matched_row_is_open_until_it_is_settled(world: World) -> None:
    by_reference = PASSES[0]["match_sql"].partition(" AND ")[0]
    passes = [{**PASSES[0], "match_sql": by_reference, "rest": {}}]
    save(world, "rests", passes=passes, amounts=AMOUNTS)
    run_id = run(world, "rests")

    rests = {
        one["record_key"]: one
        for one in bench(world, recipe_id="rests")["exceptions"]
        if one["reason"] == "rest"
    }
    assert {key: (one["side"], one["amount"]) for key, one in rests.items()} == {
        "3": ("left", "3.00"),
        "P1": ("right", "0.02"),
    }
    listed = world.http.get(f"/api/runs/{run_id}/exceptions").json()["exceptions"]
    assert [one["record_key"] for one in listed] == ["4", "5", "3"]
    assert listed[-1]["row"]["open_amount"] == "3.00"

    assert decide(world, "asks", rests["3"], **REASONED, owner="anna").status_code == 200
    again = run(world, "rests")

    assert keys(bench(world, recipe_id="rests", queue="closed")) == ["3"]
    pages = ("/exceptions?recipe_id=rests", f"/runs/{again}?set=partly_matched_left",
             f"/runs/{again}/match", f"/runs/{again}/exceptions/{rests['3']['eid']}")  # fmt: skip
    seen = [world.http.get(path, headers={"Accept": "text/html"}) for path in pages]
    assert [one.status_code for one in seen] == [200] * 4
    assert "Written off" in seen[1].text
    assert ">0.02<" in seen[2].text  # to be matched by what is left of it
    assert "100.02" not in seen[2].text
    assert "settled_amount" in seen[3].text


def test_the_page_of_a_run_tells_what_each_pass_did_and_what_all_comes_to(world: World) -> None:
    by_reference = PASSES[0]["match_sql"].partition(" AND ")[0]
    named = {**PASSES[0], "name": "<i>by</i>", "match_sql": by_reference, "rest": {}}
    save(world, "figures", passes=[named, PASSES[1]], amounts=AMOUNTS)
    save(world, "plain")
    run_id, plain = run(world, "figures"), run(world, "plain")
    output = world.http.get(f"/api/runs/{run_id}").json()["output_paths"]["matched"]
    told = json.loads((Path(output).parent / "metadata.json").read_bytes())

    page = world.http.get(f"/runs/{run_id}", headers={"Accept": "text/html"}).text
    without = world.http.get(f"/runs/{plain}", headers={"Accept": "text/html"}).text

    by_pass, amounts = (
        _cells(part) for part in page.split('class="figures"')[1].split("<table>")[1:3]
    )
    counts = ("candidates", "accepted", "held", "suggested")
    assert by_pass[1:] == [
        [one["name"], *(str(one[name]) for name in counts), *map(str, one["left_over"].values())]
        for one in told["passes"]
    ]
    bars = re.findall(r'aria-label="(\d+) of (\d+) rows of invoices by this pass"', page)
    left = [told["left_record_count"], *(one["left_over"]["left"] for one in told["passes"])]
    assert bars == [(str(a - b), str(left[0])) for a, b in pairwise(left)]
    sums = ("matched", "rest", "unmatched", "total")
    totals = told["control_totals"]
    sides = [[totals[side][0]["amounts"][name] for name in sums] for side in ("left", "right")]
    apart = [str(Decimal(one) - Decimal(other)) for one, other in zip(*sides, strict=True)]
    assert [row[2:] for row in amounts[1:]] == [*sides, apart]
    assert "<i>by" not in page
    assert 'class="figures"' not in without


def _cells(table: str) -> list[list[str]]:
    """Return the texts of the cells of a table, up to its end."""
    rows = table.partition("</table>")[0].split("<tr")[1:]
    return [
        [unescape(re.sub(r"<[^>]*>", "", cell)) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)]
        for row in rows
    ]
