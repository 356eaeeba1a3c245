"""The recipe builder with a scripted model in a real Chromium.

Skipped, and says so, where Playwright or a Chromium is missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.apps import app_process
from tests.support.browsing import judge_pair, look_at, page_of
from tests.support.coordinators import coordinator_process
from tests.support.remittances import make_remittances
from tests.support.scripted_model import Answer, fails, now, provider, results, says

pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

pytestmark = pytest.mark.full

WORDS = "our invoices against the payments, please"
WIDER = "could amounts be up to one apart, please"
BROKEN = "and are you still there, by the way"
SQL = (
    "SELECT 1 AS one FROM invoices l JOIN payments r "
    "ON norm_ref(l.reference) = norm_ref(r.ref) AND tolerance_match(l.amount, r.paid, 1)"
)


def brain(asked: dict[str, Any]) -> Answer:
    """Suggest sources, write a rule, and break down, as it is told to."""
    said = [
        block["text"]
        for message in asked["messages"]
        for block in message["content"]
        if block["type"] == "text" and block["text"] in (WORDS, WIDER, BROKEN)
    ]
    if said[-1:] == [BROKEN]:
        return fails(529)
    if results(asked):
        return says("Look whether that is what you mean.")
    if said[-1:] == [WIDER] and now(asked)["phase"] == "validation":
        passes = [{"name": "wider", "match_sql": SQL, "cardinality": "1:1"}]
        return says(("build_recipe", {"passes": passes}))
    if said[-1:] == [WORDS] and now(asked)["phase"] == "intent":
        value = {"left": "invoices", "right": "payments"}
        return says(("suggest_answer", {"card_id": "sources", "value": value}))
    return says("Welcome. Say what is to agree with what.")


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_a_model_suggests_a_person_takes_it_and_without_it_all_goes_on(
    browser: Any,
    width: int,
    scheme: str,
    tmp_path: Path,
) -> None:
    left, right = make_remittances(tmp_path)
    problems: list[str] = []
    with provider(brain) as (model, url), coordinator_process(tmp_path / "staging") as coordinator:
        variables = {"ANTHROPIC_API_KEY": "key", "ANTHROPIC_BASE_URL": url}
        with app_process(tmp_path / "data", coordinator.url, **variables) as app:
            for path in (left, right):
                source = {"alias": path.stem, "uri": str(path)}
                httpx.post(f"{app.url}/api/sources", json=source, timeout=60).raise_for_status()
            port = int(app.url.rpartition(":")[2])
            page, other = (page_of(browser, width, scheme, problems) for _ in range(2))
            page.goto(f"{app.url}/reconcile")
            page.click("form[action='/reconcile'] button")
            page.wait_for_selector("text=Welcome.")
            other.goto(page.url)
            _say(page, WORDS)
            page.wait_for_selector("text=The model suggests")
            other.wait_for_selector("text=invoices at the left, payments at the right")
            look_at(page, "suggested", problems)
            page.click("button:has-text('Take this')")
            page.wait_for_selector("button[value=all]")
            page.click("button[value=show]")
            page.wait_for_selector("button[value=hide]")
            other.wait_for_selector("text=The model may see values")
            page.click("button[value=hide]")
            page.wait_for_selector("button[value=show]")
            page.click("button[value=all]")
            app.kill()
        with app_process(tmp_path / "data", coordinator.url, port=port, **variables):
            page.reload()
            page.wait_for_selector("form.proposal, input[name=name]")
            while page.locator("form.proposal").count():
                judge_pair(page)
                page.wait_for_selector("form.proposal, input[name=name]")
            _say(page, WIDER)
            page.wait_for_selector("text=A rule by the model")
            other.wait_for_selector("text=A rule by the model")
            look_at(page, "offered", problems)
            page.click("button:has-text('Take this rule')")
            page.wait_for_selector(".chips, input[name=name]")
            _say(page, BROKEN)
            page.wait_for_selector("text=is overloaded (529)")
            look_at(page, "broken", problems)
            other.wait_for_selector("text=Everything else goes on without it.")
            page.fill("input[name=name]", "Led there")
            page.click("text=Approve and save")
            other.wait_for_selector("button:has-text('Run it on all rows')")

    assert not problems
    assert "INV-10" not in model.seen()


def _say(page: Any, text: str) -> None:
    page.fill("form.say input[name=message]", text)
    page.click("form.say button")
    page.wait_for_selector(f"li.mine:has-text('{text}')")
