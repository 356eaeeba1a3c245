"""What pages cost a browser: script they load, and work until they are usable.

What is held to a bound is bytes, and CPU time of the page's thread, which does not depend on what
else the machine does; how long it took by the clock is printed. Skipped, and says so, where
Playwright or a Chromium is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.browsing import PATIENCE_MS, kalla_ui

pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

pytestmark = pytest.mark.full

MOST_SCRIPT_BYTES = 150 << 10
MOST_WORK_S = 1.0

COST = """async () => {
  const [page] = performance.getEntriesByType("navigation");
  const scripts = performance.getEntriesByType("resource").filter(one => /\\.js/.test(one.name));
  const input = await new Promise(resolve => {
    const found = list => list.getEntries().forEach(one => resolve(one));
    new PerformanceObserver(found).observe({ type: "first-input", buffered: true });
  });
  const sum = name => scripts.reduce((total, one) => total + one[name], 0);
  return {
    interactive: page.domInteractive,
    loaded: page.domContentLoadedEventEnd,
    input: input.processingStart - input.startTime,
    scripts: scripts.length,
    plain: sum("decodedBodySize"),
    sent: sum("transferSize"),
  };
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with kalla_ui(tmp_path_factory.mktemp("budget") / "ui") as address:
        yield address


@pytest.mark.parametrize("path", ["/", "/runs", "/exceptions", "newest run", "match"])
def test_a_page_loads_little_script_and_is_usable_within_a_second_of_work(
    browser: Any, address: str, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if not path.startswith("/"):
        runs = httpx.get(f"{address}/api/runs", timeout=PATIENCE_MS / 1000).json()["runs"]
        path = f"/runs/{runs[0]['run_id']}{'/match' if path == 'match' else ''}"
    page = browser.new_context().new_page()  # with nothing of it at hand
    page.set_default_timeout(PATIENCE_MS)
    protocol = page.context.new_cdp_session(page)
    protocol.send("Performance.enable", {"timeDomain": "threadTicks"})

    page.goto(f"{address}{path}")
    page.keyboard.press("Tab")
    cost = page.evaluate(COST)
    told = {one["name"]: one["value"] for one in protocol.send("Performance.getMetrics")["metrics"]}
    page.context.close()

    with capsys.disabled():
        print(
            f"\n{path}: {cost['scripts']} scripts, {cost['plain']} bytes, {cost['sent']} sent; "
            f"interactive after {cost['interactive']:.0f} ms, its scripts were through after "
            f"{cost['loaded']:.0f} ms, a key was answered after {cost['input']:.1f} ms; "
            f"{told['TaskDuration'] * 1000:.0f} ms of work"
        )
    assert cost["scripts"] >= 2
    assert 0 < cost["sent"] < cost["plain"] < MOST_SCRIPT_BYTES
    assert 0 < told["TaskDuration"] < MOST_WORK_S
