"""What whoever watches a run is told: every row once, every pair, each stage to its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from kalla_core.engine.progress import Progress, Stage
from tests.support.ways import CASES, given


def last_reports(reports: list[Progress]) -> dict[tuple[Stage, str | None], Progress]:
    return {(report.stage, report.source): report for report in reports}


@pytest.mark.parametrize("name", CASES)
def test_whatever_the_way_all_rows_and_pairs_are_counted(tmp_path: Path, name: str) -> None:
    case, reports = CASES[name], list[Progress]()
    books = given(tmp_path, case.sql, case.hot)

    ran = books.run(case.share, reports.append, **case.options)

    rows = [side.records for side in ran.outcome.sides.values()]
    last = last_reports(reports)
    matching = last[Stage.MATCHING, None]
    assert [last[Stage.STAGING, alias].rows_done for alias in ("l", "r")] == rows
    assert (matching.rows_done, matching.rows_total) == (sum(rows), sum(rows))
    assert matching.matched_rows == len(ran.pairs) == last[Stage.WRITING_RESULTS, None].matched_rows


def test_no_figure_goes_back(tmp_path: Path) -> None:
    reports: list[Progress] = []
    case = CASES["one key of a full join from disk"]

    given(tmp_path, case.sql, case.hot).run(case.share, reports.append, **case.options)

    for key in last_reports(reports):
        told = [report for report in reports if (report.stage, report.source) == key]
        assert [r.rows_done for r in told] == sorted(r.rows_done for r in told)
        assert [r.matched_rows for r in told] == sorted(r.matched_rows for r in told)
        assert [r.fragments_done for r in told] == sorted(r.fragments_done for r in told)
    assert list(dict.fromkeys(report.stage for report in reports)) == list(Stage)
