"""The story with a table of PostgreSQL and a cluster: a source, a recipe, a run, a decision.

Skipped, and says so, where Playwright or a Chromium is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.apps import app_process
from tests.support.browsing import EDITOR, PATIENCE_MS, POINTED, Keys, Mouse, violations
from tests.support.postgres import Database, fresh_server
from tests.support.real_cluster import Cluster, real_cluster

pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

pytestmark = pytest.mark.full

ROWS = 3000
SQL = "SELECT l.id, r.id FROM left_src l JOIN right_src r ON l.id = r.id AND l.amount = r.amount"


@pytest.fixture(scope="module")
def ledger() -> Iterator[Database]:
    with fresh_server(tcp=True) as server:
        database = Database(server, "postgres")
        database.run(
            "CREATE TABLE ledger (id bigint PRIMARY KEY, amount numeric(12,2), memo text)",
            f"INSERT INTO ledger SELECT n, n + 0.25, 'row ' || n FROM generate_series(1, {ROWS}) n",
        )
        yield database


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with real_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.mark.parametrize("hand_of", [Mouse, Keys])
def test_a_table_and_a_file_are_reconciled_by_a_cluster(
    browser: Any, ledger: Database, cluster: Cluster, hand_of: type[Mouse], tmp_path: Path
) -> None:
    file = tmp_path / "bank.csv"
    lines = (f"{n},{n}.25" if n % 100 else f"{n},{n}.26" for n in range(1, ROWS + 1))
    file.write_text("\n".join(["id,amount", *lines]))
    problems: list[str] = []
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.add_init_script(POINTED)
    hand = hand_of(page)

    with app_process(tmp_path / "app", cluster.url) as app:
        page.goto(f"{app.url}/sources")
        hand.bring("#drop input[type=file]", [file])
        page.locator("#drop li a").wait_for()
        hand.fill("form.add input[name=alias]", "ledger")
        hand.fill("form.add input[name=uri]", ledger.uri("ledger"))
        hand.click("form.add button")
        page.wait_for_url("**/sources/ledger")
        problems += violations(page)
        page.goto(f"{app.url}/recipes/new")
        for name, value in (("name", "Bank and ledger"), ("recipe_id", "far")):
            hand.fill(f"input[name={name}]", value)
        for side, alias in (("left", "bank"), ("right", "ledger")):
            hand.choose(f"select[name={side}_alias]", alias)
            hand.fill(f"input[name={side}_key]", "id")
        hand.fill(EDITOR, SQL)
        hand.click("button[value=save]")
        page.wait_for_url("**/recipes/far")
        body = {"recipe_id": "far", "parameters": {"options.engine": "cluster"}}
        run_id = httpx.post(f"{app.url}/api/runs", json=body, timeout=60).json()["run_id"]
        page.goto(f"{app.url}/runs/{run_id}")
        page.wait_for_selector("text=have a partner")
        problems += violations(page)
        counts = page.locator(".side-line p").all_text_contents()
        hand.click("input[name=eid] >> nth=0")
        hand.choose("select[name=state]", "explained")
        hand.choose("select[name=reason_code]", "other")
        hand.fill("input[name=note]", "a cent of rounding")
        hand.click("button[value=decide]")
        page.wait_for_selector(".tag.state-explained")
        shown = page.content()
        pointed = page.evaluate("sessionStorage.pointed ?? null")
        page.close()

    assert problems == []
    assert (pointed is None) is (hand_of is Keys)
    assert all(text.startswith("3\N{NARROW NO-BREAK SPACE}000 rows") for text in counts)
    assert all("30 open" in text for text in counts)
    assert "a cent of rounding" in shown
    job = cluster.job(run_id)
    assert job["status"] == "succeeded"
    assert job["executors"]
