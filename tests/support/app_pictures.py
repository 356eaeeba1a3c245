"""Makes the pictures of the app for the manual: `kalla ui` with its samples, in a real Chromium.

python -m tests.support.app_pictures

It needs Playwright and a Chromium.
"""

from __future__ import annotations

import base64
import tempfile
from pathlib import Path

from tests.support.browsing import PATIENCE_MS, chromium, kalla_ui
from tests.support.pictures import FOLDER

_SIZE = {"width": 1180, "height": 760}
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
        page = browser.new_context(viewport=_SIZE, color_scheme="light").new_page()
        page.set_default_timeout(PATIENCE_MS)

        def draw(name: str) -> None:
            taken = base64.b64encode(page.screenshot()).decode()
            packed = blank.evaluate(_PACK, f"data:image/png;base64,{taken}")
            content = base64.b64decode(packed.partition(",")[2])
            (FOLDER / f"app-{name}.webp").write_bytes(content)

        page.goto(f"{address}/recipes")
        page.click(".rows a, .card h2 a")
        page.wait_for_selector(".cm-content")
        draw("recipe")
        page.goto(f"{address}/runs")
        page.click("td a[href^='/runs/']")
        page.wait_for_selector("text=have a partner")
        draw("run")
        page.goto(f"{page.url.partition('?')[0]}/match")
        page.locator("input[data-side=left]").first.check()
        page.locator("input[data-side=right]").first.check()
        draw("match")
        page.goto(f"{address}/exceptions")
        page.wait_for_selector("input[name=eid]")
        draw("exceptions")


if __name__ == "__main__":
    main()
