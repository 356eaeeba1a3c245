"""What a service makes of the evidence of its jobs: why, and reports."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from kalla_coordinator.jobs.stages import succeeded
from kalla_core.cli.why import tell_why
from kalla_core.jobs.model import JobStatus
from kalla_core.recipe.parse import load_recipe
from kalla_core.wire.generated import evidence_pb2 as pb
from kalla_core.wire.generated import evidence_pb2_grpc
from tests.support.api import Served, served
from tests.support.books import make_books
from tests.support.runs import run_in_process
from tests.support.workbook import read_workbook

JOB = "/api/jobs/test-run"
BY_REFERENCE = (
    "SELECT i.amount, p.paid_amount, abs(i.amount - p.paid_amount) AS apart FROM invoices i "
    "JOIN payments p ON i.reference = p.reference AND "
    "tolerance_match(i.amount, p.paid_amount, 0.02)"
)
BY_AMOUNT = "SELECT i.amount FROM invoices i JOIN payments p ON i.amount = p.paid_amount"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as one:
        await one.submit("test-run")
        output = one.jobs.jobs["test-run"].output_path
        (tmp_path / "books").mkdir()
        books = make_books(tmp_path / "books")
        del books.recipe["match_sql"]
        books.recipe["passes"] = [
            {"name": "ref", "match_sql": BY_REFERENCE, "cardinality": "1:1", "rank": ["apart"]},
            {"name": "amount", "match_sql": BY_AMOUNT, "cardinality": "1:1"},
        ]
        metadata = run_in_process(load_recipe(books.write()), output)
        fields = succeeded(metadata, output)
        await one.jobs.change("test-run", status=JobStatus.SUCCEEDED, **fields)
        yield one


async def test_why_answers_from_the_evidence(api: Served) -> None:
    answer = await api.http.get(f"{JOB}/why", params={"key": "3", "side": "left"})

    (found,) = answer.json()["found"]
    assert found["unmatched"][0]["failed_conditions"][0]["differ_by"] == "3.00"
    assert found["unmatched"][0]["closest_candidate"]["key"] == "P3"


async def test_each_pass_is_told_over_http_and_grpc_as_on_the_command_line(
    api: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(api.jobs.jobs["test-run"].output_path)
    tell_why(output, ("3",), "left", as_json=True)
    printed = json.loads(capsys.readouterr().out)

    over_http = (await api.http.get(f"{JOB}/why", params={"key": "3", "side": "left"})).json()
    async with grpc.aio.insecure_channel(api.grpc) as channel:
        stub: Any = evidence_pb2_grpc.EvidenceStub(channel)  # type: ignore[no-untyped-call]
        asked = pb.GetWhyRequest(run_id="test-run", key=["3"], side="left")
        over_grpc = json.loads((await stub.GetWhy(asked)).json)

    passes = over_http["found"][0]["passes"]
    assert [one["pass"] for one in passes] == ["ref", "amount"]
    assert passes[0]["match_key"] == "reference = 'R-3'"
    assert passes[0]["failed_conditions"][0]["differ_by"] == "3.00"
    assert "a tolerance of 3.00" in passes[0]["smallest_change"]
    assert over_http == over_grpc == printed


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
