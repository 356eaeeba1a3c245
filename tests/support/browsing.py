"""A real Chromium, the app as `kalla ui` starts it, and hands that use its pages.

Playwright (`pip install playwright`) and Chromium are no dependencies of ours; `AXE_JS` may name
the `axe.min.js` of axe-core, by which pages are then checked for accessibility.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.command import clean_environment

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = os.environ.get("AXE_JS")
PATIENCE_MS = 90_000
_MOST_TABS = 200
EDITOR = ".cm-content"
"""Where match SQL is written: in the editor that has taken the textarea's place."""

BANK = "Nr;Betrag;Text\n1;1.234,50;Miete\n2;10,00;Gebühr\n3;7,25;Zins\n"
LEDGER = "id,amount,memo\n1,1234.50,rent\n2,10.01,fee\n4,5.00,other\n"
WRONG = 'SELECT l."Nr", r.id\nFROM left_src l\nJOIN right_src r ON l."Nr" = r.idd'
RIGHT = f'{WRONG[:-1]} AND l."Betrag" = r.amount'

POINTED = "addEventListener('pointerdown', () => { sessionStorage.pointed = 1 }, true)"
"""A script by which a tab knows that somebody has used a mouse in it."""

Look = Callable[[str], None]


@contextmanager
def kalla_ui(folder: Path, *flags: str) -> Iterator[str]:
    """Start `kalla ui` in a folder that may be empty; yields the address it prints."""
    command = [sys.executable, "-m", "kalla_core.cli", "ui", str(folder), "--port", "0", *flags]
    with (folder.with_suffix(".log")).open("wb") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=clean_environment()
        )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"Kalla is at (http\S+\d)", line):
                yield found[1]
                break
        else:
            raise AssertionError(folder.with_suffix(".log").read_text())
    finally:
        process.terminate()
        process.communicate()


@contextmanager
def chromium() -> Iterator[Any]:
    """Start a Chromium without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def keep_console(page: Any, problems: list[str], known: Sequence[str] = ()) -> None:
    """Note each error that a page's console tells, and where it came from.

    Args:
        known: what errors say that are no problems.
    """

    def note(told: Any) -> None:
        if told.type == "error" and not any(one in told.text for one in known):
            at = told.location
            problems.append(f"{at['url']}:{at['lineNumber']}: {told.text}")

    page.on("console", note)


def violations(page: Any) -> list[str]:
    """Return what axe finds on a page; nothing where there is no axe."""
    if AXE is None:
        return []
    page.evaluate(Path(AXE).read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found]


class Mouse:
    """Uses a page as somebody with a mouse does."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def click(self, selector: str) -> None:
        """Press a button, follow a link, or tick a box."""
        self.page.click(selector)

    def fill(self, selector: str, text: str) -> None:
        """Write something into a field, in place of what is there."""
        self.page.fill(selector, text)

    def choose(self, selector: str, value: str) -> None:
        """Choose one of a list, by the value it stands for."""
        self.page.select_option(selector, value)

    def bring(self, selector: str, files: Sequence[Path]) -> None:
        """Give files to a field for them."""
        self.page.set_input_files(selector, [str(file) for file in files])


class Keys(Mouse):
    """Uses a page as somebody without a mouse does: Tab, Space, Enter, arrows, and letters."""

    def click(self, selector: str) -> None:
        self.page.wait_for_load_state()
        wanted = self.page.locator(selector).first
        if wanted.evaluate("one => one.closest('[role=grid] tbody') !== null"):
            self._click_in_grid(wanted)
            return
        kind = self._reach(selector)
        self.page.keyboard.press("Space" if kind == "checkbox" else "Enter")

    def fill(self, selector: str, text: str) -> None:
        self._reach(selector)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(text)

    def choose(self, selector: str, value: str) -> None:
        self._reach(selector)
        places = "one => [...one.options].map(option => option.value)"
        values = self.page.eval_on_selector(selector, places)
        for _ in range(values.index(value)):
            self.page.keyboard.press("ArrowDown")

    def bring(self, selector: str, files: Sequence[Path]) -> None:
        with self.page.expect_file_chooser() as chooser:  # the browser needs a while to hand it on
            self._reach(selector)
            self.page.keyboard.press("Enter")
        chooser.value.set_files([str(file) for file in files])

    def _click_in_grid(self, wanted: Any) -> None:
        """Go to the row of a box or link with arrows, and tick or open it."""
        grid = wanted.locator("xpath=ancestor::table")
        self._tab_to(grid)
        named = "one => one.getAttribute('aria-activedescendant')"
        for _ in range(_MOST_TABS):
            if wanted.evaluate("one => one.closest('tr').id") == grid.evaluate(named):
                is_box = wanted.evaluate("one => one.matches('input')")
                self.page.keyboard.press("Space" if is_box else "Enter")
                return
            self.page.keyboard.press("ArrowDown")
        raise AssertionError("arrows do not lead to the row")

    def _reach(self, selector: str) -> str:
        """Go on with Tab until something has the focus; return what kind of input it is."""
        wanted = self.page.locator(selector).first
        wanted.wait_for(state="attached")
        self._tab_to(wanted)
        return str(wanted.evaluate("one => one.type || ''"))

    def _tab_to(self, wanted: Any) -> None:
        for _ in range(_MOST_TABS):
            if wanted.evaluate("one => one === one.getRootNode().activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not lead to {wanted}")


def tell(address: str, hand: Mouse, folder: Path, look: Look) -> dict[str, Any]:
    """Go from two files to a report, as somebody does who has just installed Kalla.

    Args:
        look: called with the name of each page that is come to.

    Returns:
        What was seen on the way.
    """
    page = hand.page
    files = [folder / "Bank März.csv", folder / "ledger.csv"]
    files[0].write_text(BANK, encoding="latin-1")
    files[1].write_text(LEDGER)
    seen: dict[str, Any] = {}

    page.goto(address)
    look("today-empty")
    hand.click(".doors a[href='/sources']")
    hand.bring("#drop input[type=file]", files)
    page.locator("#drop li a").nth(1).wait_for()
    seen["guessed"] = page.locator("#drop li").first.text_content()
    look("sources-dropped")
    hand.click("#drop li a")
    page.wait_for_selector("text=1234.50")
    look("source")
    hand.click(".side a[href='/recipes']")
    hand.click("a[href='/recipes/new']")
    hand.fill("input[name=name]", "Bank and ledger")
    hand.fill("input[name=recipe_id]", "bank-ledger")
    hand.choose("select[name=left_alias]", "bank_m_rz")
    hand.fill("input[name=left_key]", "Nr")
    hand.choose("select[name=right_alias]", "ledger")
    hand.fill("input[name=right_key]", "id")
    hand.fill(EDITOR, WRONG)
    hand.click("button[value=check]")
    page.wait_for_selector("[data-line='3']")
    look("recipe-faults")
    hand.click("[data-line='3']")
    seen["marked"] = page.locator(".cm-lintRange-error").text_content()
    seen["focused"] = page.locator(EDITOR).evaluate(
        "one => one === one.getRootNode().activeElement"
    )
    hand.fill(EDITOR, RIGHT)
    hand.click("button[value=check]")
    page.wait_for_selector("text=This would run")
    look("recipe-checked")
    hand.click("button[value=save]")
    page.wait_for_url("**/recipes/bank-ledger")
    look("recipe")
    hand.click("form[action='/recipes/bank-ledger/run'] button")
    page.wait_for_url("**/runs/*")
    look("run-busy")
    page.wait_for_selector("text=have a partner", timeout=PATIENCE_MS)
    look("run")
    run = page.url
    hand.click("a[href$='/match']")
    hand.click("input[data-side=left]")
    hand.click("input[data-side=right]")
    seen["totals"] = page.locator("[data-totals]").text_content()
    look("match")
    hand.click(".totals button")
    page.wait_for_load_state()
    hand.click(".side a[href='/exceptions']")
    page.wait_for_selector("input[name=eid]")
    look("exceptions")
    hand.click("input[name=eid] >> nth=0")
    hand.choose("select[name=state]", "written_off")
    hand.choose("select[name=reason_code]", "bank_fee")
    hand.click("button[value=decide]")
    page.wait_for_load_state()
    hand.click("td a[href*='/exceptions/']")
    page.wait_for_selector("text=The row")
    hand.fill("input[name=note]", "Asked the bank about it")
    hand.click("button[value=decide]")
    page.wait_for_selector(".timeline .said")
    seen["closest"] = page.locator("#closest h2").text_content()
    look("exception")
    hand.click(".side a[href='/exceptions']")
    hand.click(".tabs a[href*='queue=closed']")
    page.wait_for_selector(".tag.state-written_off")
    seen["closed"] = sorted(page.locator("tbody .tag").all_text_contents())
    look("exceptions-closed")
    page.goto(run)
    with page.expect_download() as download:
        hand.click("a[href$='/report.html']")
    seen["report"] = Path(download.value.path()).read_text()
    for name, path in (
        ("today", "/"),
        ("sources", "/sources"),
        ("recipes", "/recipes"),
        ("runs", "/runs"),
        ("run-matched", f"{run}?set=matched"),
        ("missing", "/runs/none"),
    ):
        page.goto(path if path.startswith("http") else f"{address}{path}")
        look(name)
    return seen


def page_of(browser: Any, width: int, scheme: str, problems: list[str]) -> Any:
    """Open a page of a width in a context of its own; its errors go to `problems`."""
    viewport = {"width": width, "height": 900}
    page = browser.new_context(viewport=viewport, color_scheme=scheme).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.on("pageerror", lambda error: problems.append(str(error)))
    return page


def look_at(page: Any, name: str, problems: list[str]) -> None:
    """Note what axe finds on a page, and whether it is wider than its window."""
    problems.extend(f"{name}: {one}" for one in violations(page))
    wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    problems.extend([f"{name}: it does not fit its width"] if wide else [])


def judge_pair(page: Any) -> None:
    """Answer the pair that is asked about, by the key of the answer."""
    form = page.locator("form.proposal")
    cells = form.locator("td").all_text_contents()
    number, payment = int(cells[0]), int(cells[5])
    card = form.locator("input[name=card_id]").get_attribute("value")
    page.keyboard.press("y" if payment == 5000 + number else "n")
    page.locator(f"input[name=card_id][value='{card}']").wait_for(state="detached")
