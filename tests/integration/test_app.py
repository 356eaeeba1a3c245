"""The app from outside, on a real coordinator."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.api import absolute_recipe
from tests.support.apps import SECRET, World, app_process, app_world, without_uris
from tests.support.books import make_books
from tests.support.coordinators import coordinator_process, select_pause

NOBODY = "http://127.0.0.1:9"
PEOPLE = "viewer vera sees\noperator olaf does\nadmin anna decides\n"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with app_world(tmp_path_factory.mktemp("app")) as world:
        yield world


def test_a_recipe_of_saved_sources_runs_and_every_step_is_in_the_trail(world: World) -> None:
    recipe = without_uris(world.books.recipe, recipe_id="first")
    saved = world.http.post("/api/recipes", json=recipe)
    assert saved.status_code == 201, saved.text

    started = world.http.post("/api/runs", json={"recipe_id": "first"})
    run = world.ended(started.json()["run_id"])

    assert started.status_code == 202
    assert started.json()["status"] == "submitted"
    assert (run["status"], run["matched_count"]) == ("succeeded", 2)
    assert (run["unmatched_left_count"], run["unmatched_right_count"]) == (3, 3)
    assert run["recipe_version"] == 1
    entries = world.http.get("/api/audit", params={"limit": 500}).json()["entries"]
    subject = f"run/{run['run_id']}"
    assert [one["action"] for one in entries if one["subject"] == subject] == [
        "run.end",
        "run.start",
    ]
    assert world.http.get("/api/audit/check").json()["whole"]


def test_the_same_request_again_is_the_same_run_and_another_is_a_conflict(world: World) -> None:
    recipe = absolute_recipe(world.books)
    asked = {"run_id": "chosen", "recipe": recipe}

    first = world.http.post("/api/runs", json=asked)
    again = world.http.post("/api/runs", json=asked)
    other = world.http.post("/api/runs", json={**asked, "parameters": {"name": "Other"}})

    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    assert other.status_code == 409
    assert other.json()["error"]["code"] == "job_conflict"
    assert world.ended("chosen")["status"] == "succeeded"


def test_a_recipe_with_faults_is_not_saved_and_all_of_them_are_told(world: World) -> None:
    wrong = without_uris(world.books.recipe, recipe_id="wrong", match_sql="SELECT nothing FROM a")
    wrong["sources"]["left"]["primary_key"] = ["nothing_either"]

    refused = world.http.post("/api/recipes", json=wrong)

    assert refused.status_code == 422
    told = refused.json()["error"]["details"]
    assert {fault["path"] for fault in told} >= {"match_sql", "sources.left.primary_key[0]"}
    assert world.http.get("/api/recipes/wrong").status_code == 404


def test_a_recipe_is_tried_on_a_sample_by_the_api_and_by_the_editor(world: World) -> None:
    recipe = without_uris(world.books.recipe, recipe_id="sampled")
    assert world.http.post("/api/recipes", json=recipe).status_code == 201
    page = world.http.get("/recipes/sampled", headers={"Accept": "text/html"})
    word = re.search(r'name="csrf" content="([^"]+)"', page.text)
    assert word is not None

    checked = world.http.post("/api/recipes/sampled/check", headers={"X-CSRF-Token": word[1]})
    form = {"csrf_token": word[1], "do": "sample"}
    tried = world.http.post("/recipes/sampled", data=form)
    world.http.cookies.clear()

    told = checked.json()
    assert (told["valid"], told["faults"]) == (True, [])
    assert told["trial"]["counts"]["matched"] == len(told["trial"]["matched"]) > 0
    assert told["sample"]["left"]["rows"] <= told["sample"]["left"]["of"]
    assert f"{told['trial']['counts']['matched']} matched" in tried.text


def test_every_save_is_a_version_unless_nothing_has_changed(world: World) -> None:
    recipe = without_uris(world.books.recipe, recipe_id="versions")
    world.http.post("/api/recipes", json=recipe)
    changed = {**recipe, "name": "Another name"}
    address = "/api/recipes/versions"

    second = world.http.put(address, json=changed, headers={"If-Match": '"1"'})
    same = world.http.put(address, json=changed)
    late = world.http.put(address, json=recipe, headers={"If-Match": '"1"'})

    assert (second.json()["version"], same.json()["version"]) == (2, 2)
    assert second.headers["etag"] == '"2"'
    assert late.status_code == 409
    assert world.http.get(address, params={"version": 1}).json()["recipe"] == recipe
    page = world.http.get(f"{address}/versions", params={"limit": 1}).json()
    rest = world.http.get(f"{address}/versions", params={"cursor": page["cursor"]}).json()
    assert [one["version"] for one in page["versions"] + rest["versions"]] == [2, 1]


def test_a_password_is_shown_nowhere_and_stays_when_it_comes_back_masked(world: World) -> None:
    whole = "postgres://u:s3cret@db.invalid/x?table=t"
    made = world.http.post(
        "/api/sources?check=false", json={"alias": "ledger", "uri": whole}
    ).json()

    changed = world.http.patch(
        "/api/sources/ledger?check=false", json={"uri": made["uri"], "types": {"a": "text"}}
    )

    assert made["uri"] == "postgres://u:***@db.invalid/x?table=t"
    assert (made["source_type"], made["status"]) == ("postgres", "unchecked")
    assert changed.json()["types"] == {"a": "text"}
    seen = [
        world.http.get(path).text
        for path in ("/api/sources", "/api/audit", "/api/sources/ledger/preview", "/metrics")
    ]
    data = world.app.log.with_suffix("")
    stored = b"".join(path.read_bytes() for path in data.rglob("*") if path.is_file())
    assert "s3cret" not in "".join(seen) + world.app.log.read_text()
    assert b"s3cret" not in stored


def test_rows_of_a_source_are_scoped_by_conditions(world: World) -> None:
    asked = {"conditions": [{"column": "amount", "op": "gt", "value": 20}], "limit": 2}

    scoped = world.http.post("/api/sources/invoices/load-scoped", json=asked).json()
    wrong = world.http.post(
        "/api/sources/invoices/load-scoped",
        json={"conditions": [{"column": "amout", "op": "gt", "value": 20}]},
    )

    assert scoped["columns"][2] == {
        "name": "amount",
        "data_type": "decimal(18,2)",
        "nullable": True,
    }
    assert scoped["rows"] == [
        ["1", "R-1", "100.00", "2026-01-01"],
        ["2", "R-2", "50.00", "2026-01-02"],
    ]
    assert (scoped["preview_rows"], scoped["total_rows"]) == (2, None)
    assert wrong.status_code == 422
    assert "amount" in wrong.text


def test_a_source_that_cannot_be_read_is_not_saved(world: World) -> None:
    refused = world.http.post("/api/sources", json={"alias": "gone", "uri": "/nowhere/at/all.csv"})

    assert refused.status_code == 422
    assert refused.json()["error"]["code"] == "source_not_found"
    assert world.http.get("/api/sources/gone").status_code == 404


def test_a_page_of_somebody_else_changes_nothing(world: World) -> None:
    body = json.dumps({"alias": "evil", "uri": "/etc/passwd"})
    ways: list[dict[str, str]] = [
        {"Origin": "http://evil.example", "Content-Type": "application/json"},
        {"Sec-Fetch-Site": "cross-site", "Content-Type": "application/json"},
        {"Content-Type": "text/plain"},
        {"Host": "evil.example", "Content-Type": "application/json"},
    ]

    answers = [
        world.http.post("/api/sources?check=false", content=body, headers=way) for way in ways
    ]

    assert [answer.status_code for answer in answers] == [403] * 4
    assert world.http.get("/api/sources/evil").status_code == 404


def signed(body: bytes, sequence: int) -> dict[str, str]:
    digest = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    return {
        "X-Kalla-Signature": f"sha256={digest}",
        "X-Kalla-Delivery": f"early/{sequence}",
        "Content-Type": "application/json",
    }


def test_callbacks_count_when_they_are_signed_in_whatever_order_they_come(
    tmp_path: Path,
) -> None:
    books = make_books(tmp_path)
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET)
    flags = ("--callback-secret-file", str(secret))
    done = {
        "run_id": "early",
        "matched_count": 2,
        "unmatched_left_count": 3,
        "unmatched_right_count": 3,
        "output_paths": {"matched": "/out/early/matched.parquet"},
    }

    def tell(http: httpx.Client, kind: str, sequence: int, document: dict[str, Any]) -> int:
        body = json.dumps(document).encode()
        headers = signed(body, sequence)
        return http.post(f"/api/worker/{kind}", content=body, headers=headers).status_code

    with (
        app_process(tmp_path / "data", NOBODY, *flags) as app,
        httpx.Client(base_url=app.url, timeout=60) as http,
    ):
        asked = {"run_id": "early", "recipe": absolute_recipe(books)}
        assert http.post("/api/runs", json=asked).status_code == 202
        forged = http.post("/api/worker/complete", json=done)
        late = {"run_id": "early", "stage": "staging", "progress": 0.1}
        matching = {"run_id": "early", "stage": "matching", "progress": 0.5, "matched_count": 1}
        assert tell(http, "progress", 2, matching) == 200
        assert tell(http, "progress", 1, late) == 200
        running = http.get("/api/runs/early").json()
        assert tell(http, "complete", 3, done) == 200
        assert tell(http, "progress", 4, late) == 200
        assert tell(http, "error", 5, {"run_id": "early", "error": "no", "code": "x"}) == 200
        assert tell(http, "complete", 3, done) == 200
        assert tell(http, "complete", 3, {**done, "run_id": "nobody"}) == 200
        ended = http.get("/api/runs/early").json()

    assert forged.status_code == 401
    assert running["latest_progress"]["stage"] == "matching"
    assert (ended["status"], ended["matched_count"], ended["error"]) == ("succeeded", 2, None)


def test_a_run_that_nobody_has_taken_yet_can_be_cancelled(tmp_path: Path) -> None:
    books = make_books(tmp_path)
    with (
        coordinator_process(tmp_path / "staging", "--max-jobs", "1") as coordinator,
        app_process(tmp_path / "data", coordinator.url) as app,
        httpx.Client(base_url=app.url, timeout=60) as http,
    ):
        http.post("/api/runs", json={"run_id": "a", "recipe": absolute_recipe(books)})

        asked = http.post("/api/runs/a/cancel")
        if asked.status_code == 202:
            until_ended(http, "a")

        run = http.get("/api/runs/a").json()
        late = http.post("/api/runs/a/cancel")
        missing = http.post("/api/runs/b/cancel")

    assert run["status"] in ("cancelled", "succeeded")
    assert (late.status_code, late.json()["error"]["code"]) == (409, "job_ended")
    assert missing.status_code == 404


def until_ended(http: httpx.Client, run_id: str) -> None:
    while http.get(f"/api/runs/{run_id}").json()["ended_at"] is None:
        select_pause()


def test_each_role_may_what_it_may(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(PEOPLE)
    source = {"alias": "a", "uri": "/nowhere.csv"}
    calls: dict[str, tuple[str, str, object]] = {
        "see": ("GET", "/api/sources", None),
        "save": ("POST", "/api/sources?check=false", source),
        "audit": ("GET", "/api/audit", None),
        "remove": ("DELETE", "/api/sources/a", None),
    }

    with (
        app_process(tmp_path / "data", NOBODY, "--token-file", str(tokens)) as app,
        httpx.Client(base_url=app.url, timeout=60) as http,
    ):
        got = {
            token: {
                name: http.request(
                    method, path, json=body, headers={"Authorization": f"Bearer {token}"}
                ).status_code
                for name, (method, path, body) in calls.items()
            }
            for token in ("wrong", "sees", "does", "decides")
        }
        nobody = http.get("/api/sources").status_code
        open_ones = [http.get(path).status_code for path in ("/health", "/ready")]

    assert got == {
        "wrong": {"see": 401, "save": 401, "audit": 401, "remove": 401},
        "sees": {"see": 200, "save": 403, "audit": 403, "remove": 403},
        "does": {"see": 200, "save": 201, "audit": 403, "remove": 403},
        "decides": {"see": 200, "save": 409, "audit": 200, "remove": 204},
    }
    assert nobody == 401
    assert open_ones == [200, 200]
