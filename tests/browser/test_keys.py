"""Keys are told by `?`, names are gone to by Ctrl-K, and letters do what a page offers for them.

Skipped, and says so, where Playwright or a Chromium is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.browsing import EDITOR, kalla_ui, keep_console, look_at, page_of

pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

pytestmark = pytest.mark.full

FOCUSED = "document.activeElement.name || document.activeElement.tagName"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with kalla_ui(tmp_path_factory.mktemp("keys") / "ui") as address:
        yield address


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    problems: list[str] = []
    page = page_of(browser, 1280, "light", problems)
    keep_console(page, problems)
    yield page
    page.context.close()
    assert problems == []


def newest(address: str) -> str:
    runs = httpx.get(f"{address}/api/runs", timeout=60).json()["runs"]
    return f"{address}/runs/{runs[0]['run_id']}"


def press(page: Any, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def ready(page: Any, url: str, *, rows: bool = True) -> None:
    page.goto(url)
    if rows:
        page.locator(".endless").first.wait_for()


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light"), (1920, "dark")])
def test_keys_and_places_are_told_on_every_screen_for_everybody(
    browser: Any, address: str, width: int, scheme: str
) -> None:
    problems: list[str] = []
    page = page_of(browser, width, scheme, problems)
    ready(page, newest(address))

    press(page, "?")
    look_at(page, "keys", problems)
    told = page.locator("#keys[open] dt").count()
    press(page, "Escape", "Control+k")
    page.locator("#jump a").first.wait_for()
    look_at(page, "places", problems)
    page.context.close()

    assert told >= 12
    assert problems == []


def test_a_name_is_gone_to_from_anywhere(page: Any, address: str) -> None:
    ready(page, f"{address}/sources", rows=False)

    press(page, "Control+k")
    page.locator("#jump a").nth(8).wait_for()
    kinds = {one.partition(" ·")[0] for one in page.locator("#jump small").all_text_contents()}
    page.keyboard.type("INVOICES AND")
    page.locator("#jump a >> text=page").first.wait_for(state="detached")
    with page.expect_navigation():
        press(page, "Enter")
    recipe = page.url
    page.keyboard.press("Control+k")
    page.keyboard.type("nothing has this name")
    page.locator("#jump >> text=Nothing is called that").wait_for()
    press(page, "Control+a", "Delete")
    page.locator("#jump a >> text=Today").wait_for()
    press(page, "ArrowDown", "ArrowDown", "ArrowUp", "ArrowDown", "ArrowDown")
    with page.expect_navigation():
        press(page, "Enter")

    assert kinds == {"page", "recipe", "source", "run"}
    assert "/recipes/" in recipe
    assert page.url == f"{address}/sources"


def test_rows_are_gone_through_ticked_decided_and_opened_by_letters(
    page: Any, address: str
) -> None:
    run = newest(address)
    ready(page, run)
    named = "document.querySelector('table[role=grid]').getAttribute('aria-activedescendant')"

    press(page, "j", "j", "j", "k", "x")
    at = page.evaluate(named)
    ticked = page.locator("[data-shown]").text_content()
    press(page, "u")  # takes back what nobody has decided, of the row that is ticked
    page.wait_for_load_state()
    ready(page, run)
    press(page, "u")  # nothing is ticked: nothing happens
    press(page, "d")
    fields = [page.evaluate(FOCUSED)]
    for letter in ("a", "c"):
        page.evaluate("document.activeElement.blur()")
        press(page, letter)
        fields.append(page.evaluate(FOCUSED))
    page.keyboard.type("jump? a / m")  # letters of what is written
    written = page.locator("input[name=note]").input_value()
    page.evaluate("document.activeElement.blur()")
    press(page, "j")
    with page.expect_navigation():
        press(page, "e")
    page.locator("#closest button[data-key=m]").first.wait_for()
    opened = page.url
    with page.expect_navigation():
        press(page, "m")
    page.locator(".tag.state-matched_by_hand").first.wait_for()
    with page.expect_navigation():
        press(page, "u")
    page.locator(".head .tag.state-open").wait_for()
    ready(page, run)
    with page.expect_navigation():
        press(page, "m")

    assert at == "row-2"
    assert "1 ticked" in str(ticked)
    assert fields == ["state", "owner", "note"]
    assert written == "jump? a / m"
    assert "/exceptions/left-" in opened or "/exceptions/" in opened
    assert page.url == f"{run}/match"


def test_letters_that_nobody_wants_are_switched_off_and_the_rest_goes_on(
    page: Any, address: str
) -> None:
    run = newest(address)
    ready(page, run)

    press(page, "?")
    page.locator("#keys input[type=checkbox]").press("Space")
    press(page, "Escape", "m", "?", "/", "j")
    after = page.evaluate(FOCUSED)
    stayed, dialogs = page.url, page.locator("dialog[open]").count()
    ready(page, run)  # it is remembered
    press(page, "m")
    page.locator("table[role=grid]").focus()
    press(page, "x", "ArrowDown", "Space")
    ticked = page.locator("[data-shown]").text_content()
    press(page, "Control+k")
    page.locator("#jump[open] a").first.wait_for()
    press(page, "Escape")
    page.click("[data-shows-keys]")
    page.locator("#keys input[type=checkbox]").press("Space")
    press(page, "Escape")
    with page.expect_navigation():
        press(page, "m")

    assert (stayed, dialogs, after) == (run, 0, "BODY")
    assert "1 ticked" in str(ticked)
    assert page.url == f"{run}/match"


def test_what_is_written_in_the_editor_is_no_key(page: Any, address: str) -> None:
    ready(page, f"{address}/recipes/new", rows=False)
    page.locator(EDITOR).click()

    page.keyboard.type("? / m d")

    assert page.locator(EDITOR).inner_text() == "? / m d"
    assert page.locator("dialog[open]").count() == 0
