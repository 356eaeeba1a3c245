"""The app's doors from outside: who may what, and what comes in with names, values and files."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import APIRouter

from kalla_app.http import PAGES, ROUTES
from kalla_app.pages.static import static_files
from tests.support.apps import World, app_process, app_world, bearer
from tests.support.conversations import begun, say

NOBODY = "http://127.0.0.1:9"
PEOPLE = "viewer vera sees\noperator olaf does\nadmin ada rules\n"
ANYBODY, VIEWER, OPERATOR, ADMIN = range(4)
TOKENS = (None, "sees", "does", "rules")
MARK = "<img src=x onerror=alert(1)>"

# What each request needs, written out: a route that is not here fails the first test below.
NEEDED = {
    ANYBODY: """
        GET /health
        GET /ready
        GET /login
        POST /login
        GET /favicon.ico
        GET /static/{name:path}
        POST /api/worker/{kind}
        PUT /api/uploads/{upload_id}/content
    """,
    VIEWER: """
        GET /
        GET /metrics
        GET /jump
        GET /sources
        GET /sources/{alias}
        GET /recipes
        GET /recipes/new
        GET /recipes/{recipe_id}
        GET /recipes/{recipe_id}/versions
        GET /runs
        GET /runs/{run_id}
        GET /runs/{run_id}/panel
        GET /runs/{run_id}/spread
        GET /runs/{run_id}/window
        GET /runs/{run_id}/match
        GET /runs/{run_id}/match/window
        GET /runs/{run_id}/exceptions/{eid}
        GET /exceptions
        GET /exceptions/window
        GET /reconcile
        GET /reconcile/{session_id}
        GET /reconcile/{session_id}/panel
        GET /reconcile/{session_id}/words
        POST /logout
        GET /api/sources
        GET /api/sources/{alias}
        GET /api/sources/{alias}/preview
        GET /api/recipes
        GET /api/recipes/{recipe_id}
        GET /api/recipes/{recipe_id}/versions
        GET /api/recipes/{recipe_id}/policy
        GET /api/runs
        GET /api/runs/{run_id}
        GET /api/runs/{run_id}/events
        GET /api/runs/{run_id}/rows/{name}
        GET /api/runs/{run_id}/reasons/{name}
        GET /api/runs/{run_id}/report.{form}
        GET /api/runs/{run_id}/exceptions
        GET /api/runs/{run_id}/exceptions/{eid}
        GET /api/exceptions
        GET /api/chat/sessions
        GET /api/chat/sessions/{session_id}
        GET /api/chat/sessions/{session_id}/events
        GET /api/chat/sessions/{session_id}/export
    """,
    OPERATOR: """
        POST /sources
        POST /sources/{alias}/test
        POST /recipes/new
        POST /recipes/{recipe_id}
        POST /recipes/{recipe_id}/run
        POST /runs/{run_id}/cancel
        POST /runs/{run_id}/decide
        POST /runs/{run_id}/match
        POST /exceptions/decide
        POST /reconcile
        POST /reconcile/{session_id}
        POST /api/sources
        PATCH /api/sources/{alias}
        POST /api/sources/{alias}/test
        POST /api/sources/{alias}/load-scoped
        POST /api/recipes
        POST /api/recipes/validate
        POST /api/recipes/explain
        POST /api/recipes/{recipe_id}/check
        PUT /api/recipes/{recipe_id}
        POST /api/runs
        POST /api/runs/{run_id}/cancel
        POST /api/runs/{run_id}/exceptions/bulk
        POST /api/runs/{run_id}/exceptions/confirm
        PATCH /api/runs/{run_id}/exceptions/{eid}
        POST /api/runs/{run_id}/exceptions/{eid}/match
        POST /api/exceptions/bulk
        POST /api/chat
        POST /api/chat/sessions
        POST /api/uploads/presign
        POST /api/uploads/preview
        POST /api/uploads/{upload_id}/confirm
    """,
    ADMIN: """
        POST /sources/{alias}/remove
        POST /recipes/{recipe_id}/remove
        POST /recipes/{recipe_id}/policy
        GET /api/audit
        GET /api/audit/check
        DELETE /api/sources/{alias}
        DELETE /api/recipes/{recipe_id}
        PUT /api/recipes/{recipe_id}/policy
        DELETE /api/uploads/{upload_id}
    """,
}
TABLE = {
    (method, path): role
    for role, text in NEEDED.items()
    for method, path in (line.split() for line in text.split("\n") if line.strip())
}
CHANGING = [key for key, role in TABLE.items() if key[0] != "GET" and role != ANYBODY]


def address(path: str) -> str:
    """Return an address of a route; what it names is not there."""
    named = {"form": "html", "upload_id": "0" * 32}
    return re.sub(r"\{(\w+)(:path)?\}", lambda one: named.get(one[1], "nothing"), path)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "tokens").write_text(PEOPLE)
    flags = ("--token-file", str(folder / "tokens"))
    with (
        app_process(folder / "data", NOBODY, *flags) as app,
        httpx.Client(base_url=app.url, timeout=60) as http,
    ):
        yield http


def test_the_table_of_roles_names_every_route() -> None:
    nothing: Any = None
    routers: list[APIRouter] = [static_files(), *(make(nothing) for make in (*ROUTES, *PAGES))]

    there = {
        (method, route.path)
        for router in routers
        for route in router.routes
        for method in getattr(route, "methods", ())
        if method != "HEAD"
    }

    assert there == set(TABLE)


@pytest.mark.parametrize(("method", "path"), TABLE)
def test_each_role_may_what_the_table_says(guarded: httpx.Client, method: str, path: str) -> None:
    role = TABLE[method, path]
    got = []
    for token in TOKENS:
        with guarded.stream(
            method, address(path), headers=bearer(token), json=None if method == "GET" else {}
        ) as answer:
            said = answer.read().decode() if answer.status_code in (401, 403) else ""
            got.append("Send a token" not in said and "needs the role" not in said)

    assert got == [at >= role for at in range(4)]


@pytest.mark.parametrize(("method", "path"), CHANGING)
def test_nothing_is_changed_by_a_page_of_somebody_else(
    guarded: httpx.Client, method: str, path: str
) -> None:
    with httpx.Client(base_url=guarded.base_url, timeout=60) as browser:
        entered = browser.post("/login", data={"token": "rules"})
        assert entered.status_code == 303, entered.text
        word = re.search(r'name="csrf" content="([^"]+)"', browser.get("/").text)
        assert word is not None
        form = {"content-type": "application/x-www-form-urlencoded"}
        foreign = {"origin": "https://evil.example", "x-csrf-token": word[1]}
        answers = [
            browser.request(method, address(path), json={}),
            browser.request(method, address(path), json={}, headers={"x-csrf-token": "wrong"}),
            browser.request(method, address(path), content="a=1", headers=form),
            browser.request(method, address(path), json={}, headers=foreign),
            browser.request(
                method,
                address(path),
                json={},
                headers={"sec-fetch-site": "cross-site", "x-csrf-token": word[1]},
            ),
        ]

    assert [answer.status_code for answer in answers] == [403] * 5


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with app_world(tmp_path_factory.mktemp("hostile")) as world:
        yield world


def page(world: World, path: str) -> httpx.Response:
    """Return a page as a browser sees it that comes for the first time."""
    return httpx.get(f"{world.app.url}{path}", headers={"Accept": "text/html"}, timeout=60)


def upload(world: World, filename: str, content: bytes) -> tuple[dict[str, Any], httpx.Response]:
    signed = world.http.post("/api/uploads/presign", json={"filename": filename}).json()
    parts = urlsplit(signed["presigned_url"])
    assert world.http.put(f"{parts.path}?{parts.query}", content=content).status_code == 200
    return signed, world.http.post(f"/api/uploads/{signed['upload_id']}/confirm", json={})


def test_no_name_value_or_error_becomes_markup_on_any_page(world: World) -> None:
    signed, confirmed = upload(
        world, f"{MARK}.csv", f"id,{MARK},reference\n1,{MARK},R-1\n{MARK},2,{MARK}\n".encode()
    )
    assert confirmed.status_code == 200, confirmed.text
    source = {"alias": "hostile", "uri": signed["s3_uri"]}
    assert world.http.post("/api/sources", json=source).status_code == 201
    recipe = {
        "recipe_id": "hostile",
        "name": MARK,
        "description": MARK,
        "match_description": MARK,
        "match_sql": f"SELECT l.id, r.payment_id, '{MARK}' AS \"{MARK}\" FROM left_src l"
        " JOIN right_src r ON l.reference = r.reference",
        "sources": {
            "left": {"alias": "hostile", "primary_key": ["id"]},
            "right": {"alias": "payments", "primary_key": ["payment_id"]},
        },
    }
    saved = world.http.post("/api/recipes", json=recipe)
    assert saved.status_code == 201, saved.text
    run = world.http.post("/api/runs", json={"recipe_id": "hostile"}).json()["run_id"]
    assert world.ended(run)["status"] == "succeeded"
    rows = world.http.get("/api/exceptions", params={"recipe_id": "hostile"}).json()["exceptions"]
    eid = next(one["eid"] for one in rows if one["record_key"] == MARK)
    decision = {"owner": MARK, "note": MARK, "reason_code": "other", "state": "explained"}
    decided = world.http.patch(f"/api/runs/{run}/exceptions/{eid}", json=decision)
    assert decided.status_code == 200, decided.text

    talk = begun(world.http)
    say(world.http, talk, message=f"hostile and payments {MARK}")
    chat = f"/reconcile/{talk['session_id']}"

    pages = [
        page(world, path)
        for path in (
            "/",
            "/jump",
            f"/jump?q={MARK}",
            "/sources",
            "/sources/hostile",
            "/recipes",
            "/recipes/hostile",
            "/runs",
            f"/runs/{run}",
            f"/runs/{run}?set=matched&q={MARK}",
            f"/runs/{run}?sort={MARK}",
            f"/runs/{run}?set={MARK}",
            f"/runs/{run}/spread",
            f"/runs/{run}/window?q={MARK}",
            f"/runs/{run}/match/window?side=left&q={MARK}",
            f"/runs/{run}/match?ql={MARK}",
            f"/runs/{run}/exceptions/{eid}",
            "/exceptions",
            "/exceptions?queue=closed",
            "/exceptions/window",
            "/exceptions/window?queue=closed",
            f"/exceptions?recipe={MARK}",
            f"/runs/{MARK}",
            f"/{MARK}",
            f"/api/runs/{run}/report.html",
            "/reconcile",
            chat,
            f"{chat}/panel",
        )
    ]

    assert not [one.url for one in pages if "<img src=x" in one.text]
    assert sum("img src=x" in one.text for one in pages) >= 12
    for one in pages:
        policy = one.headers["content-security-policy"]
        assert "unsafe" not in policy.replace("unsafe-hashes", "")


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static//etc/passwd",
        "/static/vendor/../../http.py",
        "/api/runs/first/rows/..%2fmetadata.json",
        "/api/runs/..%2f..%2fetc/rows/matched",
        "/api/uploads/..%2f..%2fetc%2fpasswd/confirm",
    ],
)
def test_no_path_leads_out_of_where_it_may(world: World, path: str) -> None:
    host, port = str(world.http.base_url).removeprefix("http://").rstrip("/").split(":")
    method = "POST" if path.endswith("confirm") else "GET"
    raw = httpx.URL(scheme="http", host=host, port=int(port), raw_path=path.encode())

    answer = world.http.request(method, raw)

    assert answer.status_code in (400, 404, 405, 422), answer.text
    assert "root:" not in answer.text
    assert "import " not in answer.text


@pytest.mark.parametrize(
    "uri",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://localhost/a.csv",
        "gopher://127.0.0.1:6379/_INFO",
        "ftp://127.0.0.1/a.csv",
        "data:text/csv,id%0A1",
        "javascript:alert(1)",
        "file://evil.example/share/a.csv",
    ],
)
def test_a_source_is_fetched_from_no_address_that_no_connector_has(world: World, uri: str) -> None:
    answers = [
        world.http.post("/api/sources", json={"alias": "elsewhere", "uri": uri}),
        world.http.post("/api/uploads/preview", json={"uri": uri}),
    ]

    assert [answer.status_code in (400, 404, 422) for answer in answers] == [True, True]
    assert world.http.get("/api/sources/elsewhere").status_code == 404


def peak_kib(process: Any) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+)", status)
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize(
    "line", [b"1,10.00\n", pytest.param(b"1", marks=pytest.mark.full)], ids=["lines", "one-line"]
)
def test_a_file_that_unpacks_to_very_much_costs_little(world: World, line: bytes) -> None:
    packed = gzip.compress(b"id,amount\n" + line * ((48 << 20) // len(line)), 1)
    before = peak_kib(world.app.process)

    _, answer = upload(world, "bomb.csv.gz", packed)

    if answer.status_code != 200:  # refused, or stopped before it takes too much
        assert answer.json()["error"]["code"] in ("source_unreadable", "out_of_memory")
    assert peak_kib(world.app.process) - before < 24 << 10


def stream(size: int) -> Iterator[bytes]:
    block = b"1,10.00\n" * (1 << 13)
    yield b"id,amount\n"
    for _ in range(size // len(block)):
        yield block


@pytest.mark.parametrize("size", [32 << 20, pytest.param(5 << 30, marks=pytest.mark.full)])
def test_an_upload_of_any_size_passes_in_constant_memory(world: World, size: int) -> None:
    signed = world.http.post("/api/uploads/presign", json={"filename": "large.csv"}).json()
    parts = urlsplit(signed["presigned_url"])
    before = peak_kib(world.app.process)

    taken = world.http.put(f"{parts.path}?{parts.query}", content=stream(size), timeout=1200)

    assert taken.status_code == 200, taken.text
    assert peak_kib(world.app.process) - before < 24 << 10
    world.http.delete(f"/api/uploads/{signed['upload_id']}")


def test_a_secret_is_on_no_page_in_no_log_and_in_no_table_unsealed(world: World) -> None:
    uri = "postgres://kalla:s3cr3t-word@127.0.0.1:9/db?table=t"
    recipe = {
        "recipe_id": "secretive",
        "name": "Secretive",
        "match_sql": "SELECT l.a, r.a FROM left_src l JOIN right_src r ON l.a = r.a",
        "sources": {
            side: {"alias": side, "type": "postgres", "uri": uri, "primary_key": ["a"]}
            for side in ("left", "right")
        },
    }
    answers = [
        world.http.post("/api/sources", json={"alias": "walled", "uri": uri}),
        world.http.post("/api/sources?check=false", json={"alias": "walled", "uri": uri}),
        world.http.post("/api/recipes?check=false", json=recipe),
        world.http.post("/api/runs", json={"recipe_id": "secretive"}),
    ]
    assert answers[-1].status_code == 202, [one.text for one in answers]
    run = answers[-1].json()["run_id"]
    assert world.ended(run)["status"] == "failed"

    answers += [
        page(world, path)
        for path in (
            "/",
            "/sources",
            "/sources/walled",
            "/recipes/secretive",
            f"/runs/{run}",
            f"/api/runs/{run}",
            "/api/recipes/secretive",
            "/api/audit?limit=500",
            "/metrics",
        )
    ]

    assert not [answer.url for answer in answers if "s3cr3t-word" in answer.text]
    data = world.app.log.with_suffix("")
    files = [world.app.log, *(path for path in data.rglob("*") if path.is_file())]
    assert not [path for path in files if b"s3cr3t-word" in path.read_bytes()]
