"""The whole story in a real Chromium: two files, a recipe, a run, decisions, a report.

Skipped, and says so, where Playwright or a Chromium is missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.browsing import (
    PATIENCE_MS,
    POINTED,
    Keys,
    Mouse,
    kalla_ui,
    keep_console,
    tell,
    violations,
)

pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

pytestmark = pytest.mark.full


@pytest.mark.parametrize(
    ("hand", "width", "scheme"),
    [(Mouse, 360, "dark"), (Mouse, 1280, "light"), (Keys, 1280, "dark"), (Mouse, 1920, "light")],
)
def test_two_files_become_a_recipe_a_run_decisions_and_a_report(
    browser: Any, hand: type[Mouse], width: int, scheme: str, tmp_path: Path
) -> None:
    viewport = {"width": width, "height": 900}
    page = browser.new_context(viewport=viewport, color_scheme=scheme).new_page()
    page.set_default_timeout(PATIENCE_MS)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    keep_console(page, problems, ("404", "422"))

    def look(name: str) -> None:
        problems.extend(f"{name}: {one}" for one in violations(page))
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            problems.append(f"{name} is {wide} wide")

    page.add_init_script(POINTED)
    with kalla_ui(tmp_path / "ui", "--no-samples") as address:
        seen = tell(address, hand(page), tmp_path, look)
        pointed = page.evaluate("sessionStorage.pointed ?? null")
        page.close()

    assert problems == []
    assert (pointed is None) is (hand is Keys)
    assert "bank_m_rz" in seen["guessed"]
    assert "delimiter “;”" in seen["guessed"]
    assert (seen["marked"], seen["focused"]) == ("r.idd", True)
    assert seen["totals"] == "left 1 (10.00) · right 1 (10.01) · difference -0.01"
    assert seen["closest"].startswith("Closest in ")
    assert seen["closed"] == ["Matched by hand"] * 2 + ["Written off"]
    assert "Bank and ledger" in seen["report"]
