"""Reports in a real Chromium: nothing runs, nothing is asked for, nothing overflows.

It needs a Chromium; what checks accessibility also needs axe-core, which npm brings where it is.
Both are no dependencies of ours; where one of them is missing a test is skipped and says so.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kalla_core.answers.report.gather import gather
from kalla_core.answers.report.page import page
from kalla_core.evidence.reader import open_evidence
from kalla_core.recipe.parse import load_recipe
from tests.support.chromium import CHROMIUM, Tab, chromium_tab
from tests.support.hostile import hostile_run
from tests.support.reports import SQL, ledger_of
from tests.support.runs import run_in_process

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")

AXE = "axe-core@4.10.2"
WAYS = [(1280, "light", ""), (1280, "dark", ""), (360, "light", ""), (800, "light", "print")]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Reports of hostile data, of a ledger, of groups, and of nothing."""
    root = tmp_path_factory.mktemp("pages")
    outputs = {"hostile": _below(root, "hostile")}
    hostile_run(outputs["hostile"])
    for name, rows, change in (
        ("ledger", 60, {"match_sql": SQL}),
        ("groups", 30, {"match_sql": _by_branch(), "cardinality": "N:1"}),
        ("empty", 0, {"match_sql": SQL}),
    ):
        outputs[name] = _below(root, name)
        books = ledger_of(outputs[name], rows)
        books.recipe |= change
        run_in_process(load_recipe(books.write()), outputs[name] / "out")
    for name, folder in outputs.items():
        with open_evidence(folder / "out") as evidence:
            made = b"".join(page(gather(evidence, "out")))
        (root / f"{name}.html").write_bytes(made)
    return {name: root / f"{name}.html" for name in outputs}


def _below(root: Path, name: str) -> Path:
    (root / name).mkdir()
    return root / name


def _by_branch() -> str:
    near = "tolerance_match(i.amount, p.paid_amount, 0.02)"
    same = "i.reference = p.reference"
    first = "left(i.reference, 3) = left(p.reference, 3)"
    return SQL.replace(near, "i.branch <> 'B9'").replace(same, first)


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with chromium_tab(tmp_path_factory.mktemp("chromium")) as tab:
        yield tab


@pytest.mark.parametrize("name", ["hostile", "ledger", "groups", "empty"])
def test_a_report_runs_nothing_but_its_own_and_fits_on_every_screen(
    tab: Tab, pages: dict[str, Path], name: str
) -> None:
    tab.complaints.clear()

    for width, scheme, medium in WAYS:
        tab.show(pages[name], width, scheme, medium)
        if not medium:
            assert tab.value("document.documentElement.scrollWidth") <= width
        assert tab.value("window.harm") is None
        assert tab.value("getComputedStyle(document.body).fontSize") != "16px"  # its own style

    assert tab.complaints == []


def test_open_rows_can_be_searched_and_sorted(tab: Tab, pages: dict[str, Path]) -> None:
    tab.show(pages["ledger"])
    rows = "[...document.querySelectorAll('#open-left .open-rows > tbody')]"
    keys = f"{rows}.filter(one => !one.hidden).map(one => one.rows[0].cells[0].textContent)"
    search = "document.querySelector('#tools-left input')"

    before = tab.value(keys)
    tab.value(f"{search}.value = 'key_null', {search}.dispatchEvent(new Event('input'))")
    found = tab.value(keys)
    tab.value(f"{search}.value = '', {search}.dispatchEvent(new Event('input'))")
    tab.value("document.querySelector('#open-left button.sort').click()")

    assert 0 < len(found) < len(before)
    assert tab.value(keys) == sorted(before)


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm here to bring axe-core")
    folder = tmp_path_factory.mktemp("axe")
    done = subprocess.run(
        [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder, AXE],
        capture_output=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"npm cannot bring {AXE} here")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.mark.full
def test_axe_finds_nothing(pages: dict[str, Path], axe: str, tmp_path: Path) -> None:
    with chromium_tab(tmp_path, bypass_policy=True) as tab:
        for name, path in pages.items():
            for width, scheme, _ in WAYS[:3]:
                tab.show(path, width, scheme)
                tab.value(f"{axe}; 1")
                found = tab.value(
                    "axe.run(document, {resultTypes: ['violations']}).then(done => "
                    "done.violations.map(one => one.id + ': ' + one.nodes[0].html))"
                )
                assert found == [], f"{name}, {width} px, {scheme}"
