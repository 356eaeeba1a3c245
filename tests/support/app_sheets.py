"""Pictures of every page of the app in every state, to be looked at: by widths, light and dark.

python -m tests.support.app_sheets FOLDER

Goes through the story of `browsing.tell`, and then through what goes wrong and what is huge. Each
state is drawn as it is on a telephone, a laptop and a large screen; of each a sheet is made, all
six side by side. It needs Playwright and a Chromium.
"""

from __future__ import annotations

import base64
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.support.browsing import PATIENCE_MS, Mouse, chromium, kalla_ui, tell

WIDTHS = (360, 1280, 1920)
SCHEMES = ("light", "dark")
_HEIGHT = 900
_MOST_HEIGHT = 2400
_SHEET_WIDTH = 1500
_HUGE_ROWS = 20_000

Look = Callable[[str], None]


def main() -> None:
    """Draw all of them into the folder that is named."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as scratch,
        kalla_ui(Path(scratch) / "ui", "--no-samples") as address,
        chromium() as browser,
    ):
        page = browser.new_page(viewport={"width": WIDTHS[1], "height": _HEIGHT})
        page.set_default_timeout(PATIENCE_MS)
        blank = browser.new_page(viewport={"width": _SHEET_WIDTH, "height": _HEIGHT})

        def look(name: str) -> None:
            shots = [(width, scheme, _shot(page, width, scheme)) for width, scheme in _ways()]
            (folder / f"{name}.png").write_bytes(_sheet(blank, name, shots))
            page.set_viewport_size({"width": WIDTHS[1], "height": _HEIGHT})

        tell(address, Mouse(page), Path(scratch), look)
        _more(address, page, Path(scratch), look)


def _more(address: str, page: Any, folder: Path, look: Look) -> None:
    """Come to what goes wrong, and to what is huge."""
    http = httpx.Client(base_url=address, timeout=PATIENCE_MS / 1000)
    for side, rows in (("wide_left", _HUGE_ROWS), ("wide_right", _HUGE_ROWS // 2)):
        names = ["id", *(f"a rather long name of column {number}" for number in range(24))]
        lines = (
            ",".join([f"{side}-{row}", *(f"value {row * number}" for number in range(24))])
            for row in range(rows)
        )
        (folder / f"{side}.csv").write_text("\n".join([",".join(names), *lines]))
        source = {"alias": side, "uri": str(folder / f"{side}.csv")}
        _sent(http.post("/api/sources", json=source))
    gone = folder / "gone.csv"
    gone.write_text("id\n1\n")
    _sent(http.post("/api/sources", json={"alias": "gone", "uri": str(gone)}))
    gone.unlink()
    column = '"a rather long name of column 1"'
    for recipe_id, right in (("wide", "wide_right"), ("broken", "gone")):
        on = "l.id = r.id" if right == "gone" else f"l.{column} = r.{column} AND l.id = r.id"
        recipe = {
            "recipe_id": recipe_id,
            "name": "A recipe with a name that is a good deal longer than names of recipes are",
            "match_sql": f"SELECT l.id, r.id FROM left_src l JOIN right_src r ON {on}",
            "sources": {
                "left": {"alias": "wide_left", "primary_key": ["id"]},
                "right": {"alias": right, "primary_key": ["id"]},
            },
        }
        _sent(http.post("/api/recipes?check=false", json=recipe))
    runs = {
        name: _sent(http.post("/api/runs", json={"recipe_id": name}))["run_id"]
        for name in ("wide", "broken")
    }
    for run_id in runs.values():
        page.goto(f"{address}/runs/{run_id}")
        page.locator(".status.succeeded, .status.failed").first.wait_for()
    page.goto(f"{address}/runs/{runs['broken']}")
    look("run-failed")
    page.goto(f"{address}/runs/{runs['wide']}")
    look("run-huge")
    page.goto(f"{address}/runs/{runs['wide']}/match")
    look("match-huge")
    page.goto(f"{address}/exceptions")
    look("exceptions-huge")
    page.goto(f"{address}/runs/{runs['wide']}?q=nobody+has+this")
    look("run-nothing-found")
    page.goto(f"{address}/sources/gone")
    look("source-gone")
    page.goto(f"{address}/sources/wide_left")
    look("source-huge")
    for name in ("sources", "recipes", "runs", ""):
        page.goto(f"{address}/{name}")
        look(f"{name or 'today'}-full")


def _ways() -> list[tuple[int, str]]:
    return [(width, scheme) for width in WIDTHS for scheme in SCHEMES]


def _sent(answer: httpx.Response) -> Any:
    assert answer.is_success, answer.text
    return answer.json()


def _shot(page: Any, width: int, scheme: str) -> bytes:
    page.set_viewport_size({"width": width, "height": _HEIGHT})
    page.emulate_media(color_scheme=scheme)
    tall = page.evaluate("document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": width, "height": min(max(tall, _HEIGHT), _MOST_HEIGHT)}
    return bytes(page.screenshot(full_page=True, clip=clip, animations="disabled"))


def _sheet(blank: Any, name: str, shots: list[tuple[int, str, bytes]]) -> bytes:
    """Return the large screens below all others."""
    rows = [[shot for shot in shots if (shot[0] == WIDTHS[-1]) is large] for large in (False, True)]
    lines = "".join(f"<main>{''.join(_figures(row))}</main>" for row in rows)
    blank.set_content(
        "<style>body{margin:8px;font:13px sans-serif;background:#888}figure{margin:0}"
        "main{display:flex;gap:6px;align-items:start;margin-bottom:6px}img{width:100%}</style>"
        f"<b>{name}</b>{lines}"
    )
    return bytes(blank.screenshot(full_page=True))


def _figures(shots: list[tuple[int, str, bytes]]) -> Iterator[str]:
    whole = sum(width for width, _, _ in shots)
    for width, scheme, shot in shots:
        image = base64.b64encode(shot).decode()
        yield (
            f'<figure style="width:{100 * width / whole:.3f}%">{width} {scheme}<br>'
            f'<img src="data:image/png;base64,{image}"></figure>'
        )


if __name__ == "__main__":
    main()
