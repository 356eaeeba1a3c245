"""The editor of match SQL in a real Chromium: what replaces something is put in by itself.

Chromium gives styles to what it joins or replaces, which the policy of the pages refuses.
Skipped, and says so, where Playwright or a Chromium is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.browsing import EDITOR, PATIENCE_MS, WRONG, kalla_ui, keep_console

pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

pytestmark = pytest.mark.full

TIMES = 5
"""How often each edit is made: what is selected in a page is told to its scripts a moment later."""

SHORT = "SELECT 1"
LINES = WRONG.split("\n")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with kalla_ui(tmp_path_factory.mktemp("editor") / "ui", "--no-samples") as address:
        yield address


def refilled(page: Any) -> None:
    page.fill(EDITOR, SHORT)


def put_in_place_of_all(page: Any) -> None:
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(SHORT)


def typed_over_two_lines(page: Any) -> None:
    page.keyboard.press("Control+Home")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.type("x")


def put_in_brackets(page: Any) -> None:
    page.keyboard.press("Control+A")
    page.keyboard.type("(")


def a_word_overwritten(page: Any) -> None:
    page.keyboard.press("Control+Home")
    page.keyboard.press("Control+Shift+ArrowRight")
    page.keyboard.type("with")


def lines_put_between(page: Any) -> None:
    page.keyboard.press("Control+Home")
    page.keyboard.press("Control+ArrowRight")
    page.keyboard.insert_text("\n1,\n")


def joined_by_keys(page: Any) -> None:
    page.keyboard.press("Control+End")
    page.keyboard.press("Home")
    page.keyboard.press("Backspace")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("End")
    page.keyboard.press("Delete")


def deleted_by_the_menu(page: Any) -> None:
    page.keyboard.press("Control+A")
    page.evaluate("document.execCommand('delete')")


def undone(page: Any) -> None:
    page.fill(EDITOR, SHORT)
    page.keyboard.press("Control+Z")


EDITS: dict[Callable[[Any], None], str] = {
    refilled: SHORT,
    put_in_place_of_all: SHORT,
    typed_over_two_lines: f"x{LINES[2]}",
    put_in_brackets: f"({WRONG})",
    a_word_overwritten: f"with{WRONG.removeprefix('SELECT')}",
    lines_put_between: f"SELECT\n1,\n{WRONG.removeprefix('SELECT')}",
    joined_by_keys: "".join(LINES),
    deleted_by_the_menu: "",
    undone: WRONG,
}


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_an_edit_is_made_without_a_style(
    browser: Any, address: str, edit: Callable[[Any], None]
) -> None:
    page = browser.new_context().new_page()
    page.set_default_timeout(PATIENCE_MS)
    problems: list[str] = []
    keep_console(page, problems)
    page.goto(f"{address}/recipes/new")
    seen = []

    for _ in range(TIMES):
        page.fill(EDITOR, WRONG)
        page.focus(EDITOR)
        edit(page)
        seen.append(page.input_value("#sql"))
    page.close()

    assert problems == []
    assert seen == [EDITS[edit]] * TIMES
