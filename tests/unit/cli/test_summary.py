import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from kalla_core.cli.findings import findings
from kalla_core.cli.summary import percent, show_summary
from kalla_core.evidence.finding import Finding
from kalla_core.evidence.metadata import RunMetadata, SideSummary, WrittenFile
from kalla_core.evidence.names import UNMATCHED
from kalla_core.evidence.schema import UNMATCHED_FIELDS
from kalla_core.matching.sql.query import Side


def _write(path: Path, reasons: list[str], row_group_rows: int = 2) -> WrittenFile:
    count = len(reasons)
    table = pa.table(
        {
            "record_key": [f"K{number}" for number in range(count)],
            "rejection_reason": reasons,
            "reason_detail": [f"detail {number}" for number in range(count)],
            "closest_candidate": pa.nulls(count, pa.string()),
            "attempted_rules": ['["match_sql"]'] * count,
        },
        schema=UNMATCHED_FIELDS,
    )
    path.parent.mkdir(exist_ok=True)
    pq.write_table(table, path, row_group_size=row_group_rows)
    return WrittenFile(path.name, count, path.stat().st_size, "0" * 64)


def _side(records: int, unmatched: int) -> SideSummary:
    return SideSummary("x.csv", records, records - unmatched, unmatched, 0, 0, 0, {})


def _metadata(files: list[WrittenFile], left: SideSummary, right: SideSummary) -> RunMetadata:
    sources = {"left": {"alias": "invoices"}, "right": {"alias": "payments"}}
    return RunMetadata(
        run_id="r1",
        recipe_id="demo",
        started_at=datetime(2026, 3, 31, 12, 0, 0, tzinfo=UTC),
        completed_at=datetime(2026, 3, 31, 12, 0, 2, tzinfo=UTC),
        left=left,
        right=right,
        matched_count=7,
        recipe={"name": "March", "sources": sources},
        engine="local",
        strategy="copartition",
        files=tuple(files),
        durations={},
        versions={},
        extras={},
        warnings=("payment_id is not unique.",),
    )


def test_reasons_are_counted_over_all_row_groups_with_the_first_row_as_example(
    tmp_path: Path,
) -> None:
    reasons = ["key_null", "key_not_found", "key_not_found", "predicate_failed", "key_not_found"]
    file = _write(tmp_path / UNMATCHED[Side.LEFT], reasons)
    metadata = _metadata([file], _side(9, 5), _side(0, 0))

    found = findings(tmp_path, metadata, Side.LEFT)

    assert found == (
        Finding("key_not_found", 3, "K1", "detail 1"),
        Finding("key_null", 1, "K0", "detail 0"),
        Finding("predicate_failed", 1, "K3", "detail 3"),
    )


def test_reasons_are_counted_over_the_parts_of_a_folder(tmp_path: Path) -> None:
    name = UNMATCHED[Side.RIGHT]
    parts = [
        WrittenFile(f"{name}/{part}", 1, 1, "0" * 64)
        for part in ("part-0.parquet", "part-1.parquet")
    ]
    for part in parts:
        _write(tmp_path / part.name, ["key_null"])

    found = findings(tmp_path, _metadata(parts, _side(0, 0), _side(2, 2)), Side.RIGHT)

    assert [(finding.reason, finding.rows) for finding in found] == [("key_null", 2)]


def test_the_summary_says_what_was_found_and_where_it_lies(tmp_path: Path) -> None:
    left = _write(tmp_path / UNMATCHED[Side.LEFT], ["key_null"] * 1_500)
    right = _write(tmp_path / UNMATCHED[Side.RIGHT], [])
    metadata = _metadata([left, right], _side(3_000, 1_500), _side(7, 0))
    screen = io.StringIO()

    show_summary(Console(file=screen, width=110), metadata, tmp_path)

    shown = screen.getvalue()
    assert "March: 7 matches in 2.0 s (run r1)" in shown
    assert "1,500" in shown
    assert "50.0 %" in shown
    assert "100.0 %" in shown
    assert "key_null" in shown
    assert "K0  detail 0" in shown
    assert "payment_id is not unique." in shown
    assert str(tmp_path) in shown.replace("\n", "")


def test_a_warning_that_was_read_while_the_run_went_on_does_not_come_again(
    tmp_path: Path,
) -> None:
    files = [_write(tmp_path / name, []) for name in UNMATCHED.values()]
    key, other = "The key k = 'N/A' looks like a placeholder", "The key k = '0' looks like a"
    warnings = (f"{key}: 9 rows have it.", f"{other} placeholder: 9 rows have it.")
    metadata = replace(_metadata(files, _side(4, 0), _side(3, 0)), warnings=warnings)
    screen = io.StringIO()

    show_summary(Console(file=screen, width=110), metadata, tmp_path, {f"{key}: at least 8 rows."})

    assert "N/A" not in screen.getvalue()
    assert other in screen.getvalue()


def test_matches_that_are_told_by_their_members_are_counted_beside_the_rows(
    tmp_path: Path,
) -> None:
    files = [_write(tmp_path / name, []) for name in UNMATCHED.values()]
    metadata = replace(_metadata(files, _side(4, 0), _side(3, 0)), matched_groups=1)
    screen = io.StringIO()

    show_summary(Console(file=screen, width=110), metadata, tmp_path)

    assert "March: 1 match (7 rows) in 2.0 s" in screen.getvalue()


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [
        (0, 0, "-"),
        (0, 3, "0.0 %"),
        (1, 3, "33.3 %"),
        (99_999, 100_000, "99.9 %"),
        (5, 5, "100.0 %"),
    ],
)
def test_a_share_is_only_rounded_down(part: int, whole: int, expected: str) -> None:
    shown = percent(part, whole)

    assert shown == expected
