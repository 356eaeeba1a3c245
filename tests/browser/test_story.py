"""The whole story in a real Chromium: two files, a recipe, a run, decisions.

It needs Playwright (`pip install playwright`) and a Chromium, which are no dependencies of ours;
where one of them is missing it is skipped and says so.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.apps import World, app_world

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

pytestmark = pytest.mark.full

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
BANK = "Nr;Betrag;Text\n1;1.234,50;Miete\n2;10,00;Gebühr\n3;7,25;Zins\n"
LEDGER = "id,amount,memo\n1,1234.50,rent\n2,10.01,fee\n4,5.00,other\n"
WRONG = 'SELECT l."Nr", r.id\nFROM left_src l\nJOIN right_src r ON l."Nr" = r.idd'
RIGHT = f'{WRONG[:-1]} AND l."Betrag" = r.amount'


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with app_world(tmp_path) as world:
        yield world


@pytest.fixture
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize("width", [360, 1280])
def test_two_files_become_a_recipe_a_run_and_decisions(
    world: World, browser: Any, width: int, tmp_path: Path
) -> None:
    (tmp_path / "Bank März.csv").write_text(BANK, encoding="latin-1")
    (tmp_path / "ledger.csv").write_text(LEDGER)
    page = browser.new_context(viewport={"width": width, "height": 900}).new_page()
    page.set_default_timeout(60_000)
    problems: list[str] = []
    page.on("console", lambda told: problems.append(told.text) if told.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    expect = playwright.expect

    page.goto(f"{world.app.url}/sources")
    files = [str(tmp_path / "Bank März.csv"), str(tmp_path / "ledger.csv")]
    page.set_input_files("#drop input[type=file]", files)
    expect(page.locator("#drop li a")).to_have_count(2, timeout=60_000)
    page.goto(f"{world.app.url}/recipes/new")
    page.fill("input[name=name]", "Bank and ledger")
    page.fill("input[name=recipe_id]", "bank-ledger")
    page.select_option("select[name=left_alias]", "bank_m_rz")
    page.select_option("select[name=right_alias]", "ledger")
    page.fill("input[name=left_key]", "Nr")
    page.fill("input[name=right_key]", "id")
    page.fill("#sql", WRONG)
    page.click("button[value=check]")
    page.click("[data-line='3']")
    marked = page.evaluate(
        "(() => { const sql = document.getElementById('sql');"
        " return sql.value.slice(sql.selectionStart, sql.selectionEnd); })()"
    )
    page.fill("#sql", RIGHT)
    page.click("button[value=save]")
    page.wait_for_url("**/recipes/bank-ledger")
    page.click("text=Run version")
    expect(page.locator("text=have a partner")).to_be_visible(timeout=60_000)
    run = page.url
    page.click("text=Match by hand")
    page.locator("input[data-side=left]").first.check()
    page.locator("input[data-side=right]").first.check()
    totals = page.locator("[data-totals]").text_content()
    page.click(".totals button")
    page.goto(run)
    page.locator("input[name=eid]").last.check()
    page.select_option("select[name=state]", "written_off")
    page.select_option("select[name=reason_code]", "bank_fee")
    page.click("button[value=decide]")
    expect(page.locator(".tag.state-written_off")).to_have_count(1)
    wide = page.evaluate("document.documentElement.scrollWidth")

    assert marked == "r.idd"
    assert totals == "left 1 (10.00) · right 1 (10.01) · difference -0.01"
    expect(page.locator(".tag.state-matched_by_hand")).to_have_count(1)
    assert wide <= width
    assert problems == []
