"""The recipe builder in a real Chromium: guided, with a restart in the middle, in two browsers.

Skipped, and says so, where Playwright or a Chromium is missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.apps import app_process
from tests.support.browsing import Keys, Mouse, judge_pair, look_at, page_of
from tests.support.coordinators import coordinator_process
from tests.support.remittances import ROWS, make_remittances

pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

pytestmark = pytest.mark.full


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
            page, other = (page_of(browser, width, scheme, problems) for _ in range(2))
            uses = hand(page)
            page.goto(app.url)
            uses.click(".side a[href='/reconcile']")
            page.wait_for_url("**/reconcile")
            look_at(page, "conversations", problems)
            uses.click("form[action='/reconcile'] button")
            page.wait_for_url("**/reconcile/*")
            other.goto(page.url)
            page.wait_for_selector("select[name=left]")
            look_at(page, "sources", problems)
            uses.choose("select[name=left]", "invoices")
            uses.choose("select[name=right]", "payments")
            uses.click("text=Take these")
            other.wait_for_selector("button[value=all]")
            page.wait_for_selector("button[value=all]")
            look_at(page, "rows", problems)
            uses.click("button[value=all]")
            app.kill()
        with app_process(tmp_path / "data", coordinator.url, port=port):
            page.reload()
            page.wait_for_selector("form.proposal, input[name=name]")
            look_at(page, "pair", problems)
            while page.locator("form.proposal").count():
                judge_pair(page)
                page.wait_for_selector("form.proposal, input[name=name]")
            other.wait_for_selector("input[name=name]")
            look_at(page, "check", problems)
            uses.fill("input[name=name]", "Paid invoices")
            uses.click("text=Approve and save")
            other.wait_for_selector("button:has-text('Run it on all rows')")
            other.click("button:has-text('Run it on all rows')")
            page.wait_for_selector("text=Look at the run")
            look_at(page, "ran", problems)
            uses.click("text=Look at the run")
            page.wait_for_selector("text=have a partner")
            matched = page.locator("dl.pairs dd").first.text_content()

    assert str(ROWS * 9 // 10) in matched
    assert not problems
