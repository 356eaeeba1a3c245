"""The page of a run shows how its rows are spread, whatever its columns are called and hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape, unescape
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.apps import World, app_world
from tests.support.command import write_csv
from tests.support.coordinators import select_pause

BOUND_S = 120
HTML = {"Accept": "text/html"}
SCRIPT = "<script>alert(1)</script>"
SPACE = "\N{NARROW NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with app_world(tmp_path_factory.mktemp("spread")) as world:
        yield world


def ran(
    world: World,
    folder: Path,
    name: str,
    rows: dict[str, tuple[str, list[str]]],
    select: str = "l.*, r.*",
    **more: Any,
) -> str:
    """Reconcile two files whose rows begin with their id, on these; return the page's text."""
    for side, (head, lines) in rows.items():
        write_csv(folder / f"{name}_{side}.csv", f"id,{head}", lines)
        source = {"alias": f"{name}_{side}", "uri": str(folder / f"{name}_{side}.csv")} | more
        assert world.http.post("/api/sources", json=source).status_code == 201
    recipe = {
        "recipe_id": name,
        "name": name,
        "match_sql": f"SELECT {select} FROM left_src l JOIN right_src r ON l.id = r.id",
        "sources": {
            side: {"alias": f"{name}_{side}", "primary_key": ["id"]} for side in ("left", "right")
        },
    }
    assert world.http.post("/api/recipes", json=recipe).status_code == 201
    world.http.post("/api/runs", json={"run_id": name, "recipe_id": name})
    assert world.ended(name)["status"] == "succeeded"
    return shown(world, f"/runs/{name}")


def shown(world: World, path: str) -> str:
    """Return a page, as somebody has it who waits until the rows are counted."""
    for _ in range(10 * BOUND_S):
        # It keeps no session, for the next call is that of a program.
        page = httpx.get(f"{world.app.url}{path}", headers=HTML, timeout=BOUND_S)
        assert page.status_code == 200, page.text
        if "is being counted" not in page.text:
            return page.text
        select_pause()
    raise TimeoutError(page.text)


def lines(text: str, heading: str) -> list[list[str]]:
    """Return the words of the table below a heading, a list a row."""
    table = text[text.index(f'id="{heading}"') :].partition("</table>")[0]
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
    cells = (re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows)
    return [[unescape(re.sub(r"<[^>]*>", "", one)).strip() for one in row] for row in cells]


def rows_of(text: str) -> list[list[str]]:
    """Return the words of the rows of a run that its page shows."""
    body = text[text.index('class="rows grid"') :].partition("<tbody>")[2].partition("</tbody>")[0]
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", body, re.DOTALL)
    cells = (re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in rows)
    return [[unescape(re.sub(r"<[^>]*>", "", one)).strip() for one in row] for row in cells]


def links(text: str) -> list[str]:
    part = text[text.index('id="spread"') :].partition('id="rows"')[0]
    return [unescape(one) for one in re.findall(r'href="([^"]+#rows)"', part)]


@pytest.fixture(scope="module")
def sizes(world: World, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a run of amounts of many sizes; its recipe, sources and run have that name."""
    rows = {
        "left": ("amount,day", ["1,-250.00,2026-01-01", "2,0.00,2026-01-01", "3,12.50,2026-01-01",
                                "4,99.99,2026-01-31", "5,100.00,2026-01-01", "6,,2026-01-01"]),
        "right": ("paid,day", ["2,0.00,2026-01-01", "4,100.00,2026-03-01", "7,1234.00,2026-01-01"]),
    }  # fmt: skip
    select = "l.amount, r.paid, l.day AS a, r.day AS b"
    return ran(world, tmp_path_factory.mktemp("sizes"), "sizes", rows, select)


def test_open_rows_have_bars_by_size_that_lead_to_them(world: World, sizes: str) -> None:
    thousand, more = f"1{SPACE}000", f"10{SPACE}000"
    assert lines(sizes, "sizes-left") == [
        ["amount", "Rows", "Open", "Matched"],
        [f"{MINUS}{thousand} to {MINUS}100", "1", "1 100 %", "0"],
        ["0", "1", "0", "1"],
        ["10 to 100", "2", "1 50 %", "1"],
        [f"100 to {thousand}", "1", "1 100 %", "0"],
        ["not told", "1", "1 100 %", "0"],
    ]
    assert lines(sizes, "sizes-right")[1:] == [
        ["0", "1", "0", "1"],
        [f"100 to {thousand}", "1", "0", "1"],
        [f"{thousand} to {more}", "1", "1 100 %", "0"],
    ]
    assert lines(sizes, "days")[:2] == [
        ["day of sizes_right", "", "Matches", "Share"],
        ["0 to 1 day after", "", "1", "50 %"],
    ]
    assert lines(sizes, "days")[-1] == ["28 to 29 days after", "", "1", "50 %"]
    first = [rows_of(shown(world, address))[0] for address in links(sizes)]
    assert [one[-2:] for one in first] == [
        ["-250.00", "2026-01-01"],
        ["12.50", "2026-01-01"],
        ["100.00", "2026-01-01"],
        ["\N{EN DASH}", "2026-01-01"],
        ["1234.00", "2026-01-01"],
    ]


def test_names_and_amounts_of_any_kind_do_no_harm(world: World, tmp_path: Path) -> None:
    huge = f"{'9' * 36}.99"
    rows = {
        "left": (
            f'"{SCRIPT}",when',
            [f"1,{huge},0001-01-01", f"2,-{huge},2026-01-01", "3,0.01,2026-01-01"],
        ),
        "right": (
            f'"-{SCRIPT}",when',
            [f"1,{huge},9999-12-31", "2,0.00,2026-01-01", "9,7.50,2026-01-01"],
        ),
    }

    text = ran(world, tmp_path, "hostile", rows, "l.*, r.*")

    assert SCRIPT not in text
    assert escape(SCRIPT) in text
    assert lines(text, "sizes-left")[1][:3] == [f"{MINUS}10³⁶ to {MINUS}10³⁵", "1", "0"]
    assert ["1 to 10", "1", "1 100 %", "0"] in lines(text, "sizes-right")
    assert [one for one in links(text) if "set=unmatched_right" in one] == []


def test_what_has_no_amounts_and_no_dates_has_no_such_part(world: World, tmp_path: Path) -> None:
    rows = {"left": ("rate", ["1,nan", "2,inf"]), "right": ("rate", ["1,1e300", "2,-inf"])}

    text = ran(world, tmp_path, "rates", rows, "l.rate")

    assert 'id="spread"' not in text
    assert 'id="rows"' in text


def test_a_run_without_a_match_and_without_rows_shows_what_there_is(
    world: World, tmp_path: Path
) -> None:
    none: list[str] = []
    rows = {"left": ("amount", ["1,5.25"]), "right": ("amount", none)}

    text = ran(
        world,
        tmp_path,
        "alone",
        rows,
        "l.amount",
        types={"id": "integer", "amount": "decimal(10,2)"},
    )

    assert lines(text, "sizes-left")[1:] == [["1 to 10", "1", "1 100 %", "0"]]
    assert 'id="sizes-right"' not in text
    assert 'id="days"' not in text


def test_the_part_is_there_by_itself_and_only_of_a_run_that_has_evidence(
    world: World, sizes: str
) -> None:
    world.http.post("/api/recipes?check=false", json=_broken())
    world.http.post("/api/runs", json={"run_id": "broken", "recipe_id": "broken"})
    assert world.ended("broken")["status"] == "failed"

    part = shown(world, "/runs/sizes/spread")
    answers = [world.http.get(f"/runs/{one}/spread") for one in ("broken", "nobody")]

    assert part.startswith('<div class="figures spread" id="spread">')
    assert part.strip() in sizes
    assert [(one.status_code, one.json()["error"]["code"]) for one in answers] == [
        (409, "job_ended"),
        (404, "job_not_found"),
    ]


def _broken() -> dict[str, Any]:
    return {
        "recipe_id": "broken",
        "name": "broken",
        "match_sql": "SELECT l.id FROM left_src l JOIN right_src r ON l.id = r.nothing",
        "sources": {
            side: {"alias": f"sizes_{side}", "primary_key": ["id"]} for side in ("left", "right")
        },
    }


@pytest.mark.usefixtures("sizes")
def test_damaged_evidence_is_said_beside_what_can_be_shown(world: World) -> None:
    world.http.post("/api/runs", json={"run_id": "cut", "recipe_id": "sizes"})
    assert world.ended("cut")["status"] == "succeeded"
    matched = Path(world.http.get("/api/runs/cut").json()["output_paths"]["matched"])
    matched.write_bytes(b"PAR1")

    text = shown(world, "/runs/cut")

    assert "How the rows are spread cannot be told." in text
    assert "12.50" in text
