"""The file of a run that says how long its open rows have been open."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_app.exceptions import ages_file
from kalla_app.exceptions.ages_file import SCHEMA, aged, places_of, request_of, write_ages
from kalla_app.exceptions.policy import Policy

FIRST = datetime(2026, 5, 1, tzinfo=UTC)
SECOND = FIRST + timedelta(days=3)


def evidence(folder: Path, keys: list[str], row_group: int = 1000) -> Path:
    """Write the open rows of a run: on the left these keys, on the right none."""
    folder.mkdir()
    names = []
    for side, found in (("left", keys), ("right", [])):
        table = pa.table(
            {
                "record_key": pa.array(found, pa.string()),
                "rejection_reason": pa.array(["suggested"] * len(found), pa.string()),
                "booked": pa.array(
                    [date(2026, 1, 1), *[None] * len(found)][: len(found)], pa.date32()
                ),
                "amount": pa.array([Decimal("-10000.00")] * len(found), pa.decimal128(12, 2)),
            }
        )
        names.append(f"unmatched_{side}.parquet")
        pq.write_table(table, folder / names[-1], row_group_size=row_group)
    (folder / "metadata.json").write_text(json.dumps({"files": [{"name": one} for one in names]}))
    return folder


def test_a_row_keeps_the_first_run_that_left_it_open_and_a_gap_begins_anew(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.parquet" for number in range(3)]
    before = None
    for number, keys in enumerate((["a", "b"], ["b", "c"], ["a", "b"])):
        folder = evidence(tmp_path / str(number), keys)
        at = FIRST + timedelta(days=number)
        write_ages(files[number], folder, f"r{number}", at, before, Policy())
        before = files[number]

    last = pq.read_table(files[2])

    assert last.schema.equals(SCHEMA)
    assert last.column("record_key").to_pylist() == ["a", "b"]
    assert last.column("first_seen_run").to_pylist() == ["r2", "r0"]
    assert last.column("since").to_pylist() == [FIRST + timedelta(days=2), FIRST]


def test_a_date_column_is_what_rows_are_aged_by_where_it_has_a_date(tmp_path: Path) -> None:
    path = tmp_path / "ages.parquet"
    folder = evidence(tmp_path / "run", ["a", "b"])

    write_ages(path, folder, "r", SECOND, None, Policy(left="booked", right="no such column"))

    left = pa.concat_tables(aged(path, "left"))
    assert left.column("since").to_pylist() == [datetime(2026, 1, 1, tzinfo=UTC), SECOND]
    assert left.column("amount_rank").to_pylist() == [2, 2]
    assert left.column("suggested").to_pylist() == [True, True]
    assert sum(table.num_rows for table in aged(path, "right")) == 0


def test_rows_are_found_by_their_keys_on_their_side_only(tmp_path: Path) -> None:
    path = tmp_path / "ages.parquet"
    write_ages(path, evidence(tmp_path / "run", ["a", "b"]), "r", FIRST, None, Policy())

    assert places_of(path, "left", ["b", "z"]) == {"b": 1}
    assert places_of(path, "right", ["b"]) == {}
    assert places_of(path, "left", []) == {}


@pytest.mark.parametrize("at_once", [1, 2, 1000])
def test_rows_are_followed_whatever_goes_through_memory_at_once(
    tmp_path: Path, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ages_file, "_KEYS_AT_ONCE", at_once)
    before = None
    for number, keys in enumerate((["a", "b", "c"], ["b", "d", "a"], ["d", "x", "a", "b"])):
        folder = evidence(tmp_path / str(number), keys, row_group=2)
        path = tmp_path / f"{number}.parquet"
        write_ages(path, folder, f"r{number}", FIRST, before, Policy())
        before = path

    last = pq.read_table(tmp_path / "2.parquet")

    assert last.column("first_seen_run").to_pylist() == ["r1", "r2", "r0", "r0"]
    assert places_of(tmp_path / "2.parquet", "left", ["b", "x"]) == {"b": 3, "x": 1}
    assert [table.num_rows for table in aged(tmp_path / "2.parquet", "left")] == [2, 2]


def test_a_process_of_its_own_writes_the_same_file(tmp_path: Path) -> None:
    folder = evidence(tmp_path / "run", ["a", "b"])
    policy = Policy(left="booked")
    own, others = tmp_path / "own.parquet", tmp_path / "others.parquet"
    write_ages(own, folder, "r", FIRST, None, policy)

    subprocess.run(
        [sys.executable, "-m", ages_file.__name__],
        input=request_of(others, folder, "r", FIRST, None, policy),
        check=True,
        timeout=300,
    )

    assert pq.read_table(others).equals(pq.read_table(own))


@given(st.lists(st.text(max_size=5) | st.none(), max_size=40), st.integers(0, 5), st.integers(1, 9))
def test_equal_keys_are_of_one_class_wherever_they_stand(
    keys: list[str | None], cut: int, count: int
) -> None:
    column = pa.array(keys, pa.string())
    tables = [pa.table({"record_key": part}) for part in (column[:cut], column[cut:])]

    classes = ages_file._classes(iter(tables), count)

    assert len(classes) == len(keys)
    assert all(0 <= one < count for one in classes)
    first = dict(zip(keys, classes.tolist(), strict=True))
    assert [first[key] for key in keys] == classes.tolist()


def test_classes_have_about_as_many_keys_each() -> None:
    keys = pa.array([f"INV-{number:07d}" for number in range(20_000)], pa.string())

    classes = ages_file._classes([pa.table({"record_key": keys})], 13)

    counts = np.bincount(classes, minlength=13)
    assert counts.min() > 0.8 * 20_000 / 13
    assert counts.max() < 1.2 * 20_000 / 13
