"""What a service makes of the evidence of its jobs: why, and reports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kalla_coordinator.jobs.stages import succeeded
from kalla_core.jobs.model import JobStatus
from kalla_core.recipe.parse import load_recipe
from tests.support.api import Served, served
from tests.support.books import make_books
from tests.support.runs import run_in_process
from tests.support.workbook import read_workbook

JOB = "/api/jobs/test-run"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as one:
        await one.submit("test-run")
        output = one.jobs.jobs["test-run"].output_path
        (tmp_path / "books").mkdir()
        metadata = run_in_process(load_recipe(make_books(tmp_path / "books").write()), output)
        fields = succeeded(metadata, output)
        await one.jobs.change("test-run", status=JobStatus.SUCCEEDED, **fields)
        yield one


async def test_why_answers_from_the_evidence(api: Served) -> None:
    answer = await api.http.get(f"{JOB}/why", params={"key": "3", "side": "left"})

    (found,) = answer.json()["found"]
    assert found["unmatched"][0]["failed_conditions"][0]["differ_by"] == "3.00"
    assert found["unmatched"][0]["closest_candidate"]["key"] == "P3"


async def test_a_key_that_nobody_has_and_questions_that_are_none_are_told(api: Served) -> None:
    unknown = await api.http.get(f"{JOB}/why", params={"key": "nobody"})
    without = await api.http.get(f"{JOB}/why")
    wrong = await api.http.get(f"{JOB}/why", params={"key": "1", "side": "up"})

    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "row_not_found")
    assert without.status_code == wrong.status_code == 422


async def test_reports_are_served_as_pages_and_workbooks(api: Served) -> None:
    html = await api.http.get(f"{JOB}/report.html")
    xlsx = await api.http.get(f"{JOB}/report.xlsx")
    other = await api.http.get(f"{JOB}/report.pdf")

    assert html.headers["content-type"] == "text/html; charset=utf-8"
    assert "sandbox" in html.headers["content-security-policy"]
    assert "The books" in html.text
    assert html.text.rstrip().endswith("</html>")
    assert "unmatched_right" in read_workbook(xlsx.content)
    assert other.status_code in (404, 422)
