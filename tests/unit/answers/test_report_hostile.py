"""Whatever data, names and recipes bring, a report and a workbook show it and do nothing else."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator

import pytest

from kalla_core.answers.report.gather import gather
from kalla_core.answers.report.page import page
from kalla_core.answers.report.sheets import workbook
from kalla_core.answers.why.fate import why
from kalla_core.answers.why.words import answer_json
from kalla_core.evidence.reader import Evidence, open_evidence
from tests.support.hostile import PASSES, TEXTS, hostile_run
from tests.support.reports import Page
from tests.support.workbook import read_workbook

HARMLESS = (
    "html head meta title style body a header p h1 h2 h3 h4 div ul li nav main section table thead "
    "tbody tfoot tr th td caption small b bdi svg defs pattern rect line span label input output "
    "details summary mark code pre dl dt dd footer script br"
)
FORMULA = ("=", "+", "-", "@")


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evidence]:
    with open_evidence(hostile_run(tmp_path_factory.mktemp("hostile"))) as opened:
        yield opened


@pytest.mark.parametrize("unfolded", [False, True])
def test_a_page_has_no_tag_and_no_attribute_that_a_text_brought(
    evidence: Evidence, unfolded: bool
) -> None:
    report = gather(evidence, f"out {TEXTS[1]}")

    html = Page(b"".join(page(report, unfolded=unfolded)).decode())

    assert set(html.tags) <= set(HARMLESS.split())
    assert html.tags["script"] == html.tags["style"] == 1
    names = {name for name, _ in html.attributes}
    assert not {name for name in names if name.startswith("on")} | (names & {"style", "src"})
    assert all(str(value).startswith("#") for name, value in html.attributes if name == "href")
    for text in TEXTS:
        assert html.text.count(" ".join(text.split())) > 3


def test_a_workbook_has_no_formula_and_every_text_as_it_was(evidence: Evidence) -> None:
    data = b"".join(workbook(evidence, gather(evidence, "out")))

    sheets = read_workbook(data)

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert not [name for name, part in parts.items() if b"<f>" in part or b"<f " in part]
    assert not [name for name in parts if "external" in name.lower() or "vba" in name.lower()]
    assert b"TargetMode" not in b"".join(parts.values())
    cells = [cell for sheet in sheets.values() for row in sheet.rows for cell in row.values()]
    texts = [cell for cell in cells if cell.kind == "text"]
    assert {text for text in TEXTS if text in {cell.value for cell in texts}} == set(TEXTS)
    assert not [cell for cell in texts if cell.value.startswith(FORMULA) and not cell.quoted]


def test_why_tells_a_hostile_row_by_all_passes(evidence: Evidence) -> None:
    key = evidence.table("unmatched_left.parquet").column("record_key")[0].as_py()

    found = answer_json(why(evidence, [key]))["found"][0]

    assert [one["pass"] for one in found["passes"]] == list(PASSES)
