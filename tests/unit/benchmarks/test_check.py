"""A check finds every way in which a run's rows differ from the truth, and no other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.check import check

TEXT = pa.string()
PAIRS = [("A", "x", 1), ("A", "y", 1), ("B", None, 2)]
LEFT = [("C", 1), (None, 2)]
RIGHT = [("z", 1)]


def parquet(path: Path, names: list[str], rows: list[tuple[Any, ...]]) -> None:
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    types = {"n": pa.int64()}
    arrays = [
        pa.array(list(column), types.get(name, TEXT))
        for name, column in zip(names, columns, strict=True)
    ]
    pq.write_table(pa.table(arrays, names=names), path)


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """Three invoices and one twice-null key; B is paid twice by payments without a key."""
    folder = tmp_path / "truth"
    folder.mkdir()
    parquet(folder / "pairs.parquet", ["left_key", "right_key", "n"], PAIRS)
    parquet(folder / "unmatched_left.parquet", ["record_key", "n"], LEFT)
    parquet(folder / "unmatched_right.parquet", ["record_key", "n"], RIGHT)
    totals = {"left_rows": 5, "right_rows": 5, "pairs": 4, "unmatched_left": 3}
    (folder / "truth.json").write_text(json.dumps(totals | {"unmatched_right": 1}))
    return folder


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    """What a right run writes."""
    folder = tmp_path / "evidence"
    folder.mkdir()
    write_matched(folder, [("A", "x"), ("A", "y"), ("B", None), ("B", None)])
    write_unmatched(folder, "left", ["C", None, None])
    write_unmatched(folder, "right", ["z"])
    write_metadata(folder)
    return folder


def write_matched(folder: Path, keys: list[tuple[str | None, str | None]]) -> None:
    parquet(folder / "matched.parquet", ["left_key", "right_key"], list(keys))


def write_unmatched(folder: Path, side: str, keys: list[str | None]) -> None:
    rows = [(key,) for key in keys]
    parquet(folder / f"unmatched_{side}.parquet", ["record_key"], list(rows))


def write_metadata(folder: Path, **changed: object) -> None:
    counts = {
        "status": "completed",
        "left_record_count": 5,
        "right_record_count": 5,
        "matched_count": 4,
        "matched_left_count": 2,
        "matched_right_count": 4,
        "unmatched_left_count": 3,
        "unmatched_right_count": 1,
    }
    (folder / "metadata.json").write_text(json.dumps(counts | changed))


def test_evidence_equal_to_the_truth_has_no_faults(evidence: Path, truth: Path) -> None:
    report = check(evidence, truth)

    assert report.ok, str(report)
    assert report.rows == {"matched": 4, "unmatched_left": 3, "unmatched_right": 1}


def test_an_output_may_be_a_folder_of_parts(evidence: Path, truth: Path) -> None:
    (evidence / "matched.parquet").unlink()
    folder = evidence / "matched.parquet"
    folder.mkdir()
    parquet(folder / "part-0.parquet", ["left_key", "right_key"], [("A", "x"), ("B", None)])
    parquet(folder / "part-1.parquet", ["left_key", "right_key"], [("A", "y"), ("B", None)])

    assert check(evidence, truth).ok


def test_a_pair_that_is_swapped_for_another_is_found_though_counts_agree(
    evidence: Path, truth: Path
) -> None:
    write_matched(evidence, [("A", "x"), ("A", "z"), ("B", None), ("B", None)])

    report = check(evidence, truth)

    assert len(report.faults) == 1
    assert "matched: 1 rows missing, 1 unexpected" in str(report)
    assert "missing: A and y" in str(report)
    assert "unexpected: A and z" in str(report)


def test_a_row_that_is_there_too_often_is_unexpected(evidence: Path, truth: Path) -> None:
    write_unmatched(evidence, "right", ["z", "z"])
    write_metadata(evidence, unmatched_right_count=2)

    report = check(evidence, truth)

    assert report.faults == ("unmatched_right: 0 rows missing, 1 unexpected\n  unexpected: z",)


def test_null_keys_count_one_by_one(evidence: Path, truth: Path) -> None:
    write_unmatched(evidence, "left", ["C", None])
    write_metadata(evidence, unmatched_left_count=2)

    report = check(evidence, truth)

    assert report.faults == ("unmatched_left: 1 rows missing, 0 unexpected\n  missing: null",)


def test_an_empty_text_is_not_a_null_key(evidence: Path, truth: Path) -> None:
    write_unmatched(evidence, "left", ["C", None, ""])

    assert not check(evidence, truth).ok


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "failed"},
        {"left_record_count": 6},
        {"matched_left_count": 3},
        {"matched_right_count": 2},
        {"matched_count": 5},
        {"unmatched_right_count": 0},
    ],
)
def test_metadata_that_does_not_add_up_is_a_fault(
    wrong: dict[str, object], evidence: Path, truth: Path
) -> None:
    write_metadata(evidence, **wrong)

    report = check(evidence, truth)

    assert len(report.faults) == 1
    assert next(iter(wrong)) in str(report)


def test_evidence_without_metadata_is_not_complete(evidence: Path, truth: Path) -> None:
    (evidence / "metadata.json").unlink()

    assert "did not complete" in str(check(evidence, truth))


def test_an_output_that_is_missing_is_a_fault(evidence: Path, truth: Path) -> None:
    (evidence / "unmatched_left.parquet").unlink()

    assert "unmatched_left.parquet is not there" in str(check(evidence, truth))


def test_keys_that_are_not_text_are_a_fault(evidence: Path, truth: Path) -> None:
    pq.write_table(pa.table({"record_key": [1]}), evidence / "unmatched_right.parquet")

    assert "record_key is BIGINT, and should be text" in str(check(evidence, truth))


def test_the_command_says_whether_they_are_equal_by_its_exit_code(
    evidence: Path, truth: Path
) -> None:
    command = [sys.executable, "-m", "benchmarks.check", str(evidence), str(truth)]

    equal = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    write_unmatched(evidence, "right", [])
    unlike = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert (equal.returncode, unlike.returncode) == (0, 1), equal.stderr + unlike.stderr
    assert "equal to the truth: 4 matched" in equal.stdout
    assert "missing: z" in unlike.stdout
