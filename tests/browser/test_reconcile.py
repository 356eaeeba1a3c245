"""The recipe builder in a real Chromium: guided, with a restart in the middle, in two browsers.

Skipped, and says so, where Playwright or a Chromium is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.apps import app_process
from tests.support.browsing import CHROMIUM, PATIENCE_MS, Keys, Mouse, chromium, violations
from tests.support.coordinators import coordinator_process
from tests.support.remittances import ROWS, make_remittances

pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here")
    with chromium() as browser:
        yield browser


def _page(browser: Any, width: int, scheme: str, problems: list[str]) -> Any:
    viewport = {"width": width, "height": 900}
    page = browser.new_context(viewport=viewport, color_scheme=scheme).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.on("pageerror", lambda error: problems.append(str(error)))
    return page


def _look(page: Any, name: str, problems: list[str]) -> None:
    problems.extend(f"{name}: {one}" for one in violations(page))
    wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    problems.extend([f"{name}: it does not fit its width"] if wide else [])


def _judge(page: Any) -> None:
    """Answer the pair that is asked about, by the key of the answer."""
    form = page.locator("form.proposal")
    cells = form.locator("td").all_text_contents()
    number, payment = int(cells[0]), int(cells[5])
    card = form.locator("input[name=card_id]").get_attribute("value")
    page.keyboard.press("y" if payment == 5000 + number else "n")
    page.locator(f"input[name=card_id][value='{card}']").wait_for(state="detached")


@pytest.mark.parametrize(("hand", "width", "scheme"), [(Mouse, 360, "dark"), (Keys, 1280, "light")])
def test_a_guided_conversation_leads_to_a_run_through_a_restart_and_in_two_browsers(
    browser: Any, hand: type[Mouse], width: int, scheme: str, tmp_path: Path
) -> None:
    left, right = make_remittances(tmp_path)
    problems: list[str] = []
    with coordinator_process(tmp_path / "staging") as coordinator:
        with app_process(tmp_path / "data", coordinator.url) as app:
            for path in (left, right):
                source = {"alias": path.stem, "uri": str(path)}
                httpx.post(f"{app.url}/api/sources", json=source, timeout=60).raise_for_status()
            port = int(app.url.rpartition(":")[2])
            page, other = (_page(browser, width, scheme, problems) for _ in range(2))
            uses = hand(page)
            page.goto(app.url)
            uses.click(".side a[href='/reconcile']")
            page.wait_for_url("**/reconcile")
            _look(page, "conversations", problems)
            uses.click("form[action='/reconcile'] button")
            page.wait_for_url("**/reconcile/*")
            other.goto(page.url)
            page.wait_for_selector("select[name=left]")
            _look(page, "sources", problems)
            uses.choose("select[name=left]", "invoices")
            uses.choose("select[name=right]", "payments")
            uses.click("text=Take these")
            other.wait_for_selector("button[value=all]")
            page.wait_for_selector("button[value=all]")
            _look(page, "rows", problems)
            uses.click("button[value=all]")
            app.kill()
        with app_process(tmp_path / "data", coordinator.url, port=port):
            page.reload()
            page.wait_for_selector("form.proposal, input[name=name]")
            _look(page, "pair", problems)
            while page.locator("form.proposal").count():
                _judge(page)
                page.wait_for_selector("form.proposal, input[name=name]")
            other.wait_for_selector("input[name=name]")
            _look(page, "check", problems)
            uses.fill("input[name=name]", "Paid invoices")
            uses.click("text=Approve and save")
            other.wait_for_selector("button:has-text('Run it on all rows')")
            other.click("button:has-text('Run it on all rows')")
            page.wait_for_selector("text=Look at the run")
            _look(page, "ran", problems)
            uses.click("text=Look at the run")
            page.wait_for_selector("text=have a partner")
            matched = page.locator("dl.pairs dd").first.text_content()

    assert str(ROWS * 9 // 10) in matched
    assert not problems
