"""The pages of the app as a browser without scripts uses them."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from html import escape, unescape
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest

from tests.support.apps import World, app_process, app_world, without_uris

HTML = {"Accept": "text/html"}
NOBODY = "http://127.0.0.1:9"
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with app_world(tmp_path_factory.mktemp("pages")) as world:
        world.http.post("/api/recipes", json=without_uris(world.books.recipe))
        world.http.post("/api/runs", json={"run_id": "first", "recipe_id": "books"})
        assert world.ended("first")["status"] == "succeeded"
        world.http.headers.update(HTML)
        yield world


def word(page: httpx.Response) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert found is not None, page.text[:500]
    return found[1]


def said(world: World, path: str, document: dict[str, object]) -> None:
    """Call the API as a program does, which has no session."""
    answer = httpx.post(f"{world.app.url}{path}", json=document, timeout=60)
    assert answer.status_code in (201, 202), answer.text


def sent(world: World, address: str, **fields: str) -> httpx.Response:
    """Send a form of a page that was loaded before, and follow to the next page."""
    page = world.http.get("/recipes/books")
    return world.http.post(
        address, data={"csrf_token": word(page), **fields}, follow_redirects=True
    )


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/sources",
        "/sources/invoices",
        "/recipes",
        "/recipes/new",
        "/recipes/books",
        "/runs",
        "/runs?status=failed",
        "/runs/first",
        "/runs/first?set=matched&sort=-amount",
        "/runs/first?q=R-3&reason=predicate_failed",
    ],
)
def test_every_page_is_there_and_loads_nothing_from_elsewhere(world: World, path: str) -> None:
    page = world.http.get(path)

    assert page.status_code == 200, page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert not re.search(r'(src|href)="(https?:)?//', page.text)
    assert not re.search(r"<script(?![^>]* src=)|\son\w+=|\sstyle=", page.text)
    for address in re.findall(r'(?:src|href)="(/static/[^"#?]+)', page.text):
        assert world.http.get(address).status_code == 200, address


def test_the_page_of_a_run_shows_what_is_open_and_why(world: World) -> None:
    page = world.http.get("/runs/first", params={"set": "unmatched_left", "q": "R-3"})

    text = unescape(page.text)
    assert "differ by 3.00" in text
    assert "Same key, but it differs" in text
    assert "1 to 1 of 1" in text


def test_a_recipe_is_written_checked_saved_and_run_by_forms(world: World) -> None:
    fields = {
        "recipe_id": "by-hand",
        "name": "By hand",
        "left_alias": "invoices",
        "left_key": "invoice_id",
        "right_alias": "payments",
        "right_key": "payment_id",
        "match_sql": "SELECT l.invoice_id, r.payment_id FROM left_src l\r\nJOIN right_src r\r\n"
        "ON l.referenz = r.reference",
    }
    wrong = sent(world, "/recipes/new", **fields)
    right = fields | {"match_sql": fields["match_sql"].replace("referenz", "reference")}
    checked = sent(world, "/recipes/new", **right, do="check")
    unsaved = world.http.get("/recipes/by-hand").status_code
    saved = sent(world, "/recipes/new", **right, do="save")
    run = sent(world, "/recipes/by-hand/run")

    assert 'data-line="3"' in wrong.text
    assert "referenz" in wrong.text
    assert "This would run" in checked.text
    assert unsaved == 404
    assert saved.url.path == "/recipes/by-hand"
    assert run.url.path.startswith("/runs/")
    assert world.ended(run.url.path.split("/")[-1])["status"] == "succeeded"


def test_versions_are_compared(world: World) -> None:
    recipe = without_uris(world.books.recipe, recipe_id="twice")
    said(world, "/api/recipes", recipe)
    sent(world, "/recipes/twice", name="Another name", version="1")

    page = world.http.get("/recipes/twice/versions", params={"since": 1, "to": 2})
    late = sent(world, "/recipes/twice", name="Third name", version="1")

    assert "Another name" in page.text
    assert "<del>" in page.text
    assert late.status_code == 422
    assert "meanwhile" in late.text


def test_a_form_that_no_page_of_ours_made_changes_nothing(world: World) -> None:
    world.http.get("/")
    fields = {"alias": "evil", "uri": "/etc/passwd", "unseen": "1"}

    answers = [
        world.http.post("/sources", data=fields),
        world.http.post("/sources", data=fields | {"csrf_token": "guessed"}),
        world.http.post("/sources", data=fields, headers={"Origin": "http://evil.example"}),
    ]

    assert [answer.status_code for answer in answers] == [403] * 3
    assert world.http.get("/sources/evil").status_code == 404


def test_what_data_says_is_never_a_script(world: World, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text(f'id,"{SCRIPT}"\n1,{SCRIPT}\n')
    sent(world, "/sources", alias="bad", uri=str(bad))
    recipe = without_uris(world.books.recipe, recipe_id="bad", name=SCRIPT)
    said(world, "/api/recipes", recipe)
    said(world, "/api/runs", {"run_id": "bad", "recipe_id": "bad"})
    world.ended("bad")
    missing = sent(world, "/sources", alias="gone", uri=f"/nowhere/{SCRIPT}.csv")

    pages = [
        world.http.get(path)
        for path in ("/", "/sources/bad", "/recipes", "/recipes/bad", "/runs", "/runs/bad")
    ]
    found = world.http.get("/runs/bad", params={"q": f'">{SCRIPT}', "set": "matched"})

    for page in (*pages, found, missing):
        assert SCRIPT not in page.text, page.url
    assert escape(SCRIPT) in pages[1].text
    assert missing.status_code == 422


def test_what_is_not_there_is_a_page_for_people_and_json_for_programs(world: World) -> None:
    page = world.http.get("/runs/nothing")
    answer = world.http.get("/runs/nothing", headers={"Accept": "application/json"})

    assert (page.status_code, answer.status_code) == (404, 404)
    assert "<h1>" in page.text
    assert answer.json()["error"]["code"] == "job_not_found"


def test_rows_are_paged_and_fetched_as_they_are_shown(world: World) -> None:
    address = "/api/runs/first/rows/unmatched_left"
    first = world.http.get(address, params={"limit": 2}).json()
    rest = world.http.get(address, params={"cursor": first["cursor"]}).json()
    hasty = world.http.get(address, params={"q": "R-", "within": 60}).json()
    asked = {"q": "R-3", "reason": "predicate_failed"}
    csv = world.http.get(f"{address}.csv", params=asked)
    parquet = world.http.get(f"{address}.parquet", params=asked)
    book = world.http.get("/api/runs/first/report.xlsx")
    report = world.http.get("/api/runs/first/report.html")
    unknown = world.http.get("/api/runs/first/rows/everything")

    names = [column["name"] for column in first["columns"]]
    assert [row[names.index("record_key")] for row in first["rows"] + rest["rows"]] == [
        "3",
        "4",
        "5",
    ]
    assert (first["total"], rest["cursor"]) == (3, None)
    assert (hasty["total"], hasty["so_far"], "so_far" in first) == (2, None, False)
    assert len(csv.text.splitlines()) == 2
    assert pq.read_table(io.BytesIO(parquet.content)).column("record_key").to_pylist() == ["3"]
    assert book.content[:2] == b"PK"
    assert "The books" in report.text
    assert "attachment" in report.headers["content-disposition"]
    assert "attachment" in book.headers["content-disposition"]
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "not_found")


def test_windows_of_rows_are_the_rows_that_the_page_has(world: World) -> None:
    address, asked = "/runs/first/window", {"set": "unmatched_left", "sort": "-record_key"}
    page = world.http.get("/runs/first", params=asked)
    windows = [world.http.get(address, params=asked | {"offset": n, "limit": 2}) for n in (0, 2)]
    beyond = world.http.get(address, params=asked | {"offset": 3})
    found = world.http.get(address, params={"set": "unmatched_left", "q": "R-3"})

    rows = re.findall(r"<tr aria-rowindex.*?</tr>", page.text, re.DOTALL)
    assert len(rows) == 1 + 3  # the head counts as well
    lines = [re.findall(r"<tr.*?</tr>", window.text, re.DOTALL) for window in windows]
    assert lines == [rows[1:3], rows[3:]]
    assert re.findall(r'name="eid"', page.text + beyond.text) == ['name="eid"'] * 3
    totals = [one.headers["kalla-total"] for one in (*windows, beyond, found)]
    assert totals == ["3", "3", "3", "1"]
    assert 'aria-rowcount="4"' in page.text


def test_a_window_that_cannot_be_says_so_as_the_api_does(world: World) -> None:
    address, plain = "/runs/first/window", {"Accept": "application/json"}

    wrong = [
        world.http.get(address, params=params, headers=plain)
        for params in ({"set": "everything"}, {"sort": "amuont"}, {"limit": 10_000})
    ]

    assert [answer.status_code for answer in wrong] == [404, 422, 422]
    assert [answer.json()["error"]["code"] for answer in wrong] == [
        "not_found",
        "unknown_column",
        "invalid_request",
    ]


def test_a_page_of_rows_begins_at_a_row_and_never_beyond_the_last(world: World) -> None:
    asked = {"set": "unmatched_left", "sort": "record_key"}

    second = world.http.get("/runs/first", params=asked | {"row": "2"})
    beyond = world.http.get("/runs/first", params=asked | {"row": "1000"})

    assert "2 to 3 of 3" in unescape(second.text)
    assert "1 to 3 of 3" in unescape(beyond.text)


def test_both_sides_of_a_match_have_windows_of_the_rows_that_their_page_has(world: World) -> None:
    line = re.compile(r"<tr aria-rowindex.*?</tr>", re.DOTALL)
    page = world.http.get("/runs/first/match", params={"ql": "R-3"})
    whole = world.http.get("/runs/first/match")
    address = "/runs/first/match/window"

    found = world.http.get(address, params={"side": "left", "q": "R-3"})
    second = world.http.get(address, params={"side": "left", "offset": 1, "limit": 1})
    neither = world.http.get(address, params={"side": "middle"})

    left, _, right = page.text.partition('aria-label="Open on the right"')
    assert line.findall(left)[1:] == line.findall(found.text)
    assert line.findall(whole.text)[2:3] == line.findall(second.text)
    assert 'data-side="right"' in right
    assert [one.headers["kalla-total"] for one in (found, second)] == ["1", "3"]
    assert neither.status_code == 400


def test_exceptions_have_windows_of_the_rows_that_their_page_has(world: World) -> None:
    line = re.compile(r"<tr aria-rowindex.*?</tr>", re.DOTALL)
    asked, address = {"recipe": "books", "order": "severity"}, "/exceptions/window"
    page = world.http.get("/exceptions", params=asked)

    windows = [world.http.get(address, params=asked | {"offset": n, "limit": 3}) for n in (0, 3, 6)]
    other = world.http.get(address, params=asked | {"queue": "mine"})
    wrong = world.http.get(address, params={"limit": 10_000})
    third = world.http.get("/exceptions", params=asked | {"row": "3"})
    beyond = world.http.get("/exceptions", params=asked | {"row": "1000"})

    rows = line.findall(page.text)
    assert len(rows) == 1 + 6  # the head counts as well
    assert [line.findall(one.text) for one in windows] == [rows[1:4], rows[4:], []]
    assert [one.headers["kalla-total"] for one in (*windows, other)] == ["6", "6", "6", "0"]
    assert windows[0].headers["cache-control"] == "no-store"
    assert line.findall(third.text)[1:] == rows[3:]
    assert "1 to 6 of 6" in unescape(beyond.text)
    assert 'aria-rowcount="7"' in page.text
    assert wrong.status_code == 400


@pytest.mark.parametrize(
    "path",
    ["exceptions", "exceptions?queue=closed", "runs/first/exceptions", "runs/first/rows/matched"],
)
def test_a_cursor_that_no_page_gave_is_refused(world: World, path: str) -> None:
    address, plain = httpx.URL(f"{world.app.url}/api/{path}"), {"Accept": "application/json"}
    places = ["[null]", "[-1]", f"[{1 << 70}]", "[true]", '["1"]', "[1, 2]", "{}", "1", "none"]
    words = [base64.urlsafe_b64encode(place.encode()).decode() for place in places]

    answers = [
        world.http.get(address.copy_set_param("cursor", word), headers=plain) for word in words
    ]

    told = {(one.status_code, one.json()["error"]["code"]) for one in answers}
    assert told == {(422, "invalid_setting")}


def test_people_come_in_by_their_token_and_go_out(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("viewer vera sees\nadmin anna decides\n")
    with (
        app_process(tmp_path / "data", NOBODY, "--token-file", str(tokens)) as app,
        httpx.Client(base_url=app.url, timeout=60, headers=HTML) as http,
    ):
        outside = http.get("/recipes")
        wrong = http.post("/login", data={"token": "guess"})
        inside = http.post("/login", data={"token": "decides", "next": "//evil.example"})
        cookie = inside.headers["set-cookie"]
        page = http.get("/")
        forged = http.post("/api/sources?check=false", json={"alias": "a", "uri": "/a.csv"})
        out = http.post("/logout", data={"csrf_token": word(page)})
        gone = http.get("/recipes")

    assert (outside.status_code, outside.headers["location"]) == (303, "/login?next=/recipes")
    assert wrong.status_code == 401
    assert (inside.status_code, inside.headers["location"]) == (303, "/")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "anna" in page.text
    assert forged.status_code == 403
    assert out.status_code == 303
    assert gone.status_code == 303


def exception(world: World, run_id: str, side: str, key: str) -> str:
    asked = {"side": side, "limit": "50"}
    found = world.http.get(f"/api/runs/{run_id}/exceptions", params=asked).json()["exceptions"]
    eid = next(one["eid"] for one in found if one["record_key"] == key)
    return f"/runs/{run_id}/exceptions/{eid}"


def test_an_open_row_stands_beside_its_closest_and_is_matched_with_it(world: World) -> None:
    said(world, "/api/recipes", without_uris(world.books.recipe, recipe_id="beside"))
    said(world, "/api/runs", {"run_id": "beside", "recipe_id": "beside"})
    world.ended("beside")
    address = exception(world, "beside", "left", "3")
    other = exception(world, "beside", "right", "P3")

    page = world.http.get(address)
    alone = world.http.get(exception(world, "beside", "left", "5"))
    eids = [one.rpartition("/")[2] for one in (address, other)]
    fields = {"csrf_token": word(page), "eid": eids, "back": address}
    matched = world.http.post("/runs/beside/match", data=fields, follow_redirects=True)

    text = unescape(page.text)
    assert "Closest in payments" in text
    assert re.search(r'<td class="differs fails">67.00 <small class="mark">✗ does not match', text)
    assert "A tolerance of 3.00 in place of 0.02, or amounts 2.98 nearer" in text
    assert f'href="{other}"' in text
    assert [one for one in eids if f'name="eid" value="{one}"' not in text] == []
    assert "Unmatched too" in text
    assert "No row of payments came close" in alone.text
    assert matched.url.path == address
    assert 'state-matched_by_hand">Matched by hand' in matched.text
    assert "Match these two" not in matched.text


def test_no_field_of_a_row_or_of_its_closest_is_taken_for_markup(
    world: World, tmp_path: Path
) -> None:
    column = f'"{SCRIPT}"'
    for side in ("left", "right"):
        path = tmp_path / f"{side}.csv"
        rows = [f"{SCRIPT}{side},a{SCRIPT},{side}{SCRIPT},{SCRIPT}{side}"]
        path.write_text("\n".join([f"id,ref,{SCRIPT},only{side}{SCRIPT}", *rows]) + "\n")
        said(world, "/api/sources", {"alias": f"hostile_{side}", "uri": str(path)})
    sql = (
        f"SELECT l.id, r.id FROM left_src l JOIN right_src r ON l.ref = r.ref "
        f"AND l.{column} = r.{column}"
    )
    sides = {
        side: {"alias": f"hostile_{side}", "primary_key": ["id"]} for side in ("left", "right")
    }
    recipe = {"recipe_id": "hostile", "name": SCRIPT, "match_sql": sql, "sources": sides}
    said(world, "/api/recipes", recipe)
    said(world, "/api/runs", {"run_id": "hostile", "recipe_id": "hostile"})
    assert world.ended("hostile")["status"] == "succeeded"

    page = world.http.get(exception(world, "hostile", "left", f"{SCRIPT}left"))

    assert page.status_code == 200
    assert SCRIPT not in page.text
    assert page.text.count(escape(SCRIPT)) > 15
    assert f'<td class="differs fails">right{escape(SCRIPT)}' in page.text
    assert 'scope="col"><a href' in page.text


def test_where_the_closest_cannot_be_read_the_page_says_so(world: World) -> None:
    said(world, "/api/runs", {"run_id": "cut", "recipe_id": "books"})
    world.ended("cut")
    matched = Path(world.http.get("/api/runs/cut").json()["output_paths"]["matched"])
    address = exception(world, "cut", "left", "3")
    matched.write_bytes(b"PAR1")

    page = world.http.get(address)

    assert page.status_code == 200
    assert "What came closest cannot be told." in page.text
    assert "70.00" in page.text
