"""Makes the pictures of the app and of a report, as a real Chromium shows them.

The app is `kalla ui` with its samples, the report that of the demonstration.

python -m tests.support.app_pictures

It needs Playwright and a Chromium.
"""

from __future__ import annotations

import base64
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.browsing import PATIENCE_MS, chromium, kalla_ui
from tests.support.command import clean_environment
from tests.support.pictures import FOLDER

_SIZE = {"width": 1180, "height": 760}
_TALL = 1320
_PACK = """async address => {
  const image = Object.assign(new Image(), { src: address });
  await image.decode();
  const canvas = Object.assign(document.createElement("canvas"), {
    width: image.width, height: image.height,
  });
  canvas.getContext("2d").drawImage(image, 0, 0);
  return canvas.toDataURL("image/webp", 0.8);
}"""


def main() -> None:
    """Draw all of them."""
    with (
        tempfile.TemporaryDirectory() as folder,
        kalla_ui(Path(folder) / "ui") as address,
        chromium() as browser,
    ):
        blank = browser.new_page()
        report = _report(Path(folder) / "demo")
        page = browser.new_context(viewport=_SIZE, color_scheme="light").new_page()
        page.set_default_timeout(PATIENCE_MS)

        def draw(name: str) -> None:
            taken = base64.b64encode(page.screenshot()).decode()
            packed = blank.evaluate(_PACK, f"data:image/png;base64,{taken}")
            content = base64.b64decode(packed.partition(",")[2])
            (FOLDER / f"{name}.webp").write_bytes(content)

        page.goto(report.as_uri())
        draw("report")
        page.goto(f"{address}/recipes")
        page.click(".rows a, .card h2 a")
        page.wait_for_selector(".cm-content")
        draw("app-recipe")
        page.goto(f"{address}/runs")
        page.click("td a[href^='/runs/']")
        page.wait_for_selector("text=have a partner")
        page.wait_for_selector("#spread table")
        page.set_viewport_size({**_SIZE, "height": _TALL})  # all that stands above the rows
        draw("app-run")
        page.set_viewport_size(_SIZE)
        page.goto(f"{page.url.partition('?')[0]}/match")
        page.locator("input[data-side=left]").first.check()
        page.locator("input[data-side=right]").first.check()
        draw("app-match")
        page.goto(f"{address}/exceptions")
        page.wait_for_selector("input[name=eid]")
        draw("app-exceptions")


def _report(folder: Path) -> Path:
    """Write the report of the demonstration, and return its file."""
    kalla, written = [sys.executable, "-m", "kalla_core.cli"], folder / "report.html"
    for command in (["demo", folder], ["report", folder / "evidence", "--html", written]):
        subprocess.run(
            [*kalla, *command],
            env=clean_environment(),
            capture_output=True,
            check=True,
            timeout=300,
        )
    return written


if __name__ == "__main__":
    main()
