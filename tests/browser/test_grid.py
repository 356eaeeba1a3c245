"""The grid of a run in a real Chromium: hundreds of thousands of rows are scrolled, few are there.

Skipped, and says so, where Playwright or a Chromium is missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.support.browsing import PATIENCE_MS, kalla_ui, look_at, page_of

pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

pytestmark = pytest.mark.full

ROWS = 300_000
"""So many that a box as high as all of them is higher than the grid lets one be."""

MATCHED = 1000
OPEN = ROWS - MATCHED
MOST_IN_PAGE = 60

SEEN = """() => {
  const box = document.querySelector(".endless"), table = box.querySelector("table");
  const top = table.tHead.rows[0].cells[1].getBoundingClientRect().bottom;
  const end = box.getBoundingClientRect().bottom;
  const rows = [...table.tBodies[0].rows];
  const middle = row => {
    const at = row.getBoundingClientRect();
    return (at.top + at.bottom) / 2;
  };
  return {
    rows: rows.filter(row => middle(row) > top && middle(row) < end)
      .map(row => [Number(row.getAttribute("aria-rowindex")) - 2, row.cells[1].textContent]),
    there: rows.length,
    said: document.querySelector("[data-shown]").textContent.replaceAll("\\u202f", ""),
  };
}"""


@dataclass(frozen=True)
class Large:
    """An app with a run that leaves many rows open."""

    address: str
    run_id: str

    def rows(self, **asked: str) -> str:
        """Return the address of its open rows, in the order of their keys."""
        query = "&".join(
            f"{name}={value}" for name, value in {"sort": "record_key", **asked}.items()
        )
        return f"{self.address}/runs/{self.run_id}?set=unmatched_left&{query}"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Large]:
    folder = tmp_path_factory.mktemp("large")
    left = [f"K{number:06d},{number % 997}.25" for number in range(ROWS)]
    right = [*left[:MATCHED], *(f"X{number:06d},0.50" for number in range(MATCHED))]
    for side, lines in (("left", left), ("right", right)):
        (folder / f"{side}.csv").write_text("\n".join(["id,amount", *lines]))
    with (
        kalla_ui(folder / "ui", "--no-samples") as address,
        httpx.Client(base_url=address, timeout=PATIENCE_MS / 1000) as http,
    ):
        for side in ("left", "right"):
            source = {"alias": f"many_{side}", "uri": str(folder / f"{side}.csv")}
            http.post("/api/sources", json=source).raise_for_status()
        recipe = {
            "recipe_id": "many",
            "name": "Many",
            "match_sql": "SELECT l.id, r.id FROM left_src l JOIN right_src r ON l.id = r.id",
            "sources": {
                side: {"alias": f"many_{side}", "primary_key": ["id"]} for side in ("left", "right")
            },
        }
        http.post("/api/recipes", json=recipe).raise_for_status()
        run_id = http.post("/api/runs", json={"recipe_id": "many"}).json()["run_id"]
        with http.stream("GET", f"/api/runs/{run_id}/events") as stream:
            told = [line[6:] for line in stream.iter_lines() if line.startswith("data: ")]
        assert json.loads(told[-1])["status"] == "succeeded"
        yield Large(address, run_id)


@pytest.fixture
def problems() -> Iterator[list[str]]:
    found: list[str] = []
    yield found
    assert found == []


@pytest.fixture
def page(browser: Any, problems: list[str]) -> Iterator[Any]:
    page = page_of(browser, 1280, "light", problems)
    yield page
    page.context.close()


def opened(page: Any, address: str) -> None:
    page.goto(address)
    page.locator(".endless").wait_for()


def key(place: int) -> str:
    return f"K{MATCHED + place:06d}"


def comes(page: Any, place: int) -> dict[str, Any]:
    """Wait for a row, and return what is seen, where every row is the one of its place."""
    page.locator(f"tr[aria-rowindex='{place + 2}'] td", has_text=key(place)).first.wait_for()
    seen: dict[str, Any] = page.evaluate(SEEN)
    assert seen["there"] <= MOST_IN_PAGE
    assert seen["rows"] == [[at, key(at)] for at, _ in seen["rows"]]
    assert place in [at for at, _ in seen["rows"]]
    return seen


def settled(page: Any, offset: int) -> None:
    """Wait until the address of the page says where it is."""
    page.wait_for_url(re.compile(rf"[?&]offset={offset}(&|#|$)"))


def test_all_rows_are_scrolled_through_from_end_to_end(
    page: Any, large: Large, problems: list[str]
) -> None:
    opened(page, large.rows())
    first = comes(page, 0)
    look_at(page, "first", problems)
    scroll = page.locator(".endless")

    scroll.evaluate("one => { one.scrollTop = one.scrollHeight }")
    last = comes(page, OPEN - 1)
    scroll.evaluate("one => { one.scrollTop = one.scrollHeight / 2 }")
    page.wait_for_url(re.compile("offset=1[45]"))
    middle = int(re.search(r"offset=(\d+)", page.url)[1])  # type: ignore[index]
    comes(page, middle + 1)
    scroll.hover()
    page.mouse.wheel(0, 500)
    page.wait_for_url(lambda address: f"offset={middle}" not in address)
    below = int(re.search(r"offset=(\d+)", page.url)[1])  # type: ignore[index]
    comes(page, below + 1)
    look_at(page, "middle", problems)

    assert first["said"].startswith("1 to ")
    assert last["said"].endswith(f" to {OPEN} of {OPEN}")
    assert abs(middle - OPEN / 2) < OPEN / 100
    assert 5 <= below - middle <= 20  # a turn of the wheel is as far as anywhere else


def test_a_row_is_gone_to_and_its_address_leads_there_again(page: Any, large: Large) -> None:
    opened(page, large.rows())

    page.fill("input[name=row]", "150001")
    page.keyboard.press("Enter")
    comes(page, 150_000)
    settled(page, 150_000)
    opened(page, page.url)
    again = comes(page, 150_000)

    assert again["rows"][0] == [150_000, key(150_000)]


def test_rows_are_gone_through_decided_and_opened_by_keys_only(page: Any, large: Large) -> None:
    def press(*names: str) -> str:
        for name in names:
            page.keyboard.press(name)
        return str(page.locator("table.grid").get_attribute("aria-activedescendant"))

    opened(page, large.rows())
    for _ in range(200):
        press("Tab")
        if page.evaluate("document.activeElement.matches('table.grid')"):
            break
    at = [press("ArrowDown", "ArrowDown", "ArrowUp"), press("PageDown"), press("PageUp")]
    press("Space", "End")
    comes(page, OPEN - 1)
    at.append(press("Space"))
    ticked = page.locator("[data-shown]").text_content()
    at.append(press("Home"))
    comes(page, 0)
    is_ticked = page.locator(f"input[aria-label='Row {key(1)}']").is_checked()
    for _ in range(20):
        press("Tab")
        if page.evaluate("document.activeElement.matches('select[name=state]')"):
            break
    page.keyboard.type("Ign")
    press("Tab")
    page.keyboard.type("oth")
    while not page.evaluate("document.activeElement.matches('button[value=decide]')"):
        press("Tab")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.locator("[role=alert]").all_text_contents() == []
    page.locator(".endless").wait_for()
    asked = {"side": "left", "state": "ignored"}
    told = httpx.get(
        f"{large.address}/api/runs/{large.run_id}/exceptions", params=asked, timeout=60
    )
    press("/")
    finds = page.evaluate("document.activeElement.type")
    page.keyboard.type(key(1))
    with page.expect_navigation():
        page.keyboard.press("Enter")
    page.locator(".endless .state-ignored").wait_for()
    page.locator("table.grid").focus()
    with page.expect_navigation():
        page.keyboard.press("Enter")

    assert at[0] == "row-2"
    assert int(at[1].removeprefix("row-")) > 5
    assert at[2:] == ["row-2", f"row-{OPEN}", "row-1"]
    assert "2 ticked" in str(ticked)
    assert is_ticked
    assert [one["record_key"] for one in told.json()["exceptions"]] == [key(1), key(OPEN - 1)]
    assert finds == "search"
    assert page.locator("h1").text_content().startswith(key(1))


def test_a_filter_has_windows_of_its_own(page: Any, large: Large) -> None:
    opened(page, large.rows(q="K077"))
    wanted = [f"K077{number:03d}" for number in range(1000)]

    page.locator("table.grid").focus()
    page.keyboard.press("End")
    page.locator("td", has_text=wanted[-1]).first.wait_for()
    seen = page.evaluate(SEEN)

    assert seen["said"].endswith(f"of {len(wanted)}")
    assert [text for _, text in seen["rows"]] == wanted[seen["rows"][0][0] :]


def test_on_paper_there_are_the_rows_at_hand_and_no_gap_above_them(page: Any, large: Large) -> None:
    opened(page, large.rows(offset="100000"))
    comes(page, 100_000)
    page.emulate_media(media="print")

    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    texts = page.locator(".endless tbody td:nth-child(2)").all_text_contents()
    gap = page.locator(".endless table").evaluate("one => getComputedStyle(one).marginTop")
    height = page.locator(".all-rows").evaluate("one => one.offsetHeight")
    page.emulate_media(media="screen")
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")

    assert texts == [key(100_000 + number) for number in range(50)]
    assert gap == "0px"
    assert height < 10_000
    comes(page, 100_000)


def test_rows_of_both_sides_are_ticked_wherever_they_are_and_matched(
    page: Any, large: Large, problems: list[str]
) -> None:
    page.goto(f"{large.address}/runs/{large.run_id}/match")
    page.locator(".endless").nth(1).wait_for()
    look_at(page, "match", problems)

    for side, found in (("l", "K150000"), ("l", "K250000"), ("r", "X000999")):
        page.fill(f"input[type=search][name=q{side}]", found)
        page.keyboard.press("Enter")
        page.locator(f"input[aria-label={found}]").click()
    totals = page.locator("[data-totals]").text_content()
    page.fill("input[type=search][name=ql]", "nobody has this")
    page.keyboard.press("Enter")
    page.locator("text=No row is like that").wait_for()
    look_at(page, "match-none", problems)
    with page.expect_navigation():
        page.click(".totals button")
    address = f"{large.address}/api/runs/{large.run_id}/exceptions"
    asked = {"state": "matched_by_hand"}
    told = [
        httpx.get(address, params=asked | {"side": side}, timeout=60).json()["exceptions"]
        for side in ("left", "right")
    ]

    left = 150_000 % 997 + 250_000 % 997
    assert totals == f"left 2 ({left}.50) · right 1 (0.50) · difference {left}.00"
    assert [[one["record_key"] for one in side] for side in told] == [
        ["K150000", "K250000"],
        ["X000999"],
    ]
    assert "nobody" in page.url


def test_exceptions_of_all_recipes_are_scrolled_through_and_decided(
    page: Any, large: Large, problems: list[str]
) -> None:
    def shown(offset: int) -> list[str]:
        """Return the keys of the page of fifty that begins at a row."""
        asked = {"offset": str(offset)}
        text = httpx.get(f"{large.address}/exceptions", params=asked, timeout=60).text
        return re.findall(r'<td><a href="/runs/[^"]+/exceptions/[^"]+">([KX]\d{6})</a></td>', text)

    def seen(offset: int) -> list[str]:
        """Wait for the row that a page begins with, and return the keys in view from there on."""
        first = page.locator(f"tr[aria-rowindex='{offset + 2}']:not(.coming)").first
        first.wait_for()
        found: dict[str, Any] = page.evaluate(SEEN)
        assert found["there"] <= MOST_IN_PAGE
        return [key for at, key in found["rows"] if at >= offset]

    queues = httpx.get(f"{large.address}/api/exceptions", timeout=60).json()["queues"]
    total = int(queues["open"])
    opened(page, f"{large.address}/exceptions")
    look_at(page, "exceptions", problems)
    top = seen(0)
    page.fill("input[name=row]", "200001")
    page.keyboard.press("Enter")
    settled(page, 200_000)
    middle = seen(200_000)
    page.locator("table.grid").focus()
    page.keyboard.press("Space")
    page.keyboard.press("End")
    last = seen(total - 1)
    page.keyboard.press("Space")
    ticked = page.locator("[data-shown]").text_content()
    look_at(page, "exceptions-end", problems)
    page.fill("input[name=owner]", "olga")
    with page.expect_navigation():
        page.click("button[value=decide]")
    assert page.locator("[role=alert]").all_text_contents() == []
    asked = {"owner": "olga"}
    told = httpx.get(f"{large.address}/api/exceptions", params=asked, timeout=60).json()

    assert top == shown(0)[: len(top)]
    assert len(top) > 5
    assert middle == shown(200_000)[: len(middle)]
    assert last == shown(total - 1)
    assert "2 ticked" in str(ticked)
    assert [one["record_key"] for one in told["exceptions"]] == [middle[0], last[0]]


def test_without_script_there_are_pages_of_fifty(browser: Any, large: Large) -> None:
    plain = browser.new_context(java_script_enabled=False).new_page()
    plain.goto(large.rows())

    first = plain.locator(".grid tbody tr").count()
    plain.click("a[rel=next]")
    second = plain.locator(".grid tbody tr td:nth-child(2)").first.text_content()
    plain.fill("input[name=row]", "299000")
    plain.keyboard.press("Enter")
    plain.wait_for_url("**row=299000**")
    last = plain.locator(".grid tbody tr td:nth-child(2)").all_text_contents()
    plain.context.close()

    assert first == 50
    assert second == key(50)
    assert last == [key(OPEN - 1)]
