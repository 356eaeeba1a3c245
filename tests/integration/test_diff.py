"""`kalla diff`: two versions of a table, from files and from Postgres, and in what they differ."""

import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.diff import two_versions
from tests.support.command import kalla
from tests.support.postgres import new_database

BIG = 10**38 - 1
OLD = "id,name,status,limit,was\n1,A,on,1000.00,x\n2,B,off,,x\n3,C,on,250.50,x\n4,D,on,80.00,x\n"
NEW = (
    "ID,name,Status,limit,is\n1,A,on,1000,y\n2,B,off,7,y\n3,C,off,250.75,y\n5,E,on,10.00,y\n,F,,,\n"
)


def told(folder: Path, *arguments: object):
    done = kalla("diff", *arguments, "--json", "--quiet", cwd=folder)
    assert done.exit_code in (0, 1), done.err
    return done.exit_code, json.loads(done.out)


def put(folder: Path, name: str, table: pa.Table) -> Path:
    pq.write_table(table, folder / name)
    return folder / name


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    (tmp_path / "old.csv").write_text(OLD)
    (tmp_path / "new.csv").write_text(NEW)
    return tmp_path


def test_rows_columns_and_values_that_differ_are_told(versions):
    code, found = told(versions, "old.csv", "new.csv", "--on", "id", "--recipe", "made.json")

    columns = {one["left"]: one for one in found["columns"]}
    assert code == 1
    assert (found["pairs"], found["pairs_differing"]) == (3, 2)
    assert (found["left"]["alone"], found["left"]["examples"]) == (1, ["4"])
    assert (found["right"]["alone"], found["right"]["key_null"]) == (1, 1)
    assert [one["name"] for one in found["left"]["columns"]] == ["was"]
    assert [one["name"] for one in found["right"]["columns"]] == ["is"]
    assert columns["name"]["different"] == 0
    assert columns["status"]["examples"] == [
        {"left_key": "3", "right_key": "3", "left": "on", "right": "off"}
    ]
    assert columns["limit"]["different"] == 2
    assert columns["limit"]["null_against_value"] == 1
    assert columns["limit"]["largest_difference"] == "0.25"
    assert len(found["notes"]) == 2

    again = kalla("run", "made.json", "-o", "kept", "--json", cwd=versions)

    compared = json.loads(again.out)["compared"]
    assert {one["left"]: one["different"] for one in compared} == {
        name: one["different"] for name, one in columns.items()
    }


def test_every_value_that_differs_is_counted_whatever_its_type_and_size(tmp_path):
    tables = two_versions(2_000, 20)
    put(tmp_path, "l.parquet", tables.left)
    put(tmp_path, "r.parquet", tables.right)

    _, found = told(tmp_path, "l.parquet", "r.parquet", "--on", "id")

    assert {one["left"]: one["different"] for one in found["columns"]} == tables.differ
    assert sum(tables.differ.values()) > 20
    assert found["left"]["alone"] == tables.left.num_rows - tables.right.num_rows


def test_what_people_read_names_each_difference(versions):
    done = kalla("diff", "old.csv", "new.csv", "--on", "id", "-o", "kept", cwd=versions)

    said = " ".join(done.out.split())
    assert done.exit_code == 1
    assert "old.csv and " in said
    assert "new.csv: different" in said
    assert "Columns only the left has: was text" in said
    assert "limit 2 3 66.6 % 1 0.25" in said
    assert "status / Status 3 on off" in said
    assert (versions / "kept" / "metadata.json").exists()


def test_what_is_tolerated_or_ignored_is_equal(versions):
    flags = ("--ignore", "was,Status", "--tolerance", "limit=0.25")
    (versions / "new.csv").write_text(OLD.replace("250.50", "250.75"))

    code, found = told(versions, "old.csv", "new.csv", "--on", "ID", *flags)

    assert code == 0
    assert found["equal"]
    assert found["notes"] == []


def test_rows_of_a_key_that_repeats_are_paired_by_what_they_hold(tmp_path):
    rows = [(1, "x", 1), (1, "x", 1), (1, "y", 2), (2, "p", 5), (3, "a", 1), (3, "b", 2)]
    others = [(3, "a", 2), (2, "p", 6), (1, "y", 3), (1, "x", 1), (2, "p", 5), (1, "x", 1)]
    names = ["id", "a", "b"]
    left, right = (
        pa.table(list(map(list, zip(*some, strict=True))), names=names) for some in (rows, others)
    )
    put(tmp_path, "l.parquet", left)

    for name, table in (("r.parquet", right), ("s.parquet", right.take(list(range(5, -1, -1))))):
        _, found = told(tmp_path, "l.parquet", put(tmp_path, name, table), "--on", "id")

        assert (found["pairs"], found["pairs_differing"]) == (4, 1)
        assert found["columns"][1]["examples"] == [
            {"left_key": "1", "right_key": "1", "left": "2", "right": "3"}
        ]
        assert found["right"]["surplus"] == 1
        assert (found["left"]["ambiguous"], found["right"]["ambiguous"]) == (2, 1)
        assert found["left"]["repeated_keys"] == 3
        assert any("The key repeats" in note for note in found["notes"])


def test_equal_tables_are_equal_whatever_holds_them_and_in_whichever_order(tmp_path):
    database = new_database()
    database.run(
        "CREATE TABLE t (id int, day date, at timestamp, amount numeric(12,4), ok boolean,"
        " f float8, big numeric(38,0))",
        "INSERT INTO t VALUES (2,'2026-01-02','2026-01-02 10:00:00.5',0.1000,true,'NaN',"
        f"{BIG}), (1,NULL,NULL,NULL,NULL,0.1,{-BIG})",
    )
    table = pa.table(
        {
            "id": pa.array([1, 2], pa.int64()),
            "day": pa.array([None, date(2026, 1, 2)]),
            "at": pa.array([None, datetime(2026, 1, 2, 10, 0, 0, 500_000)], pa.timestamp("ns")),
            "amount": pa.array([None, Decimal("0.1")], pa.decimal128(20, 1)),
            "ok": pa.array([None, True]),
            "f": pa.array([0.1, float("nan")]),
            "big": pa.array([Decimal(-BIG), Decimal(BIG)], pa.decimal128(38, 0)),
        }
    )

    code, found = told(tmp_path, database.uri("t"), put(tmp_path, "t.parquet", table), "--on", "id")

    assert code == 0, found
    assert found["columns"][2]["types"] == ["decimal(12,4)", "decimal(20,1)"]


def test_types_without_a_value_in_common_are_a_difference_and_text_files_fit_themselves(tmp_path):
    put(tmp_path, "l.parquet", pa.table({"id": ["07"], "n": [1], "t": ["1"]}))
    put(tmp_path, "r.parquet", pa.table({"id": ["07"], "n": ["1"], "t": ["1"]}))
    (tmp_path / "r.csv").write_text("id,n,t\n07,1,1\n")

    code, found = told(tmp_path, "l.parquet", "r.parquet", "--on", "id")
    as_text, _ = told(tmp_path, "l.parquet", "r.csv", "--on", "id")

    assert code == 1
    assert found["columns"][0]["types"] == ["integer", "text"]
    assert found["columns"][0]["equal"] is None
    assert as_text == 0


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--on", "nr"], "--on nr: the left side has no such column"),
        (["--on", "id", "--tolerance", "limit"], "--tolerance takes COLUMN=NUMBER"),
        (["--on", "id", "--tolerance", "limit=-1"], "--tolerance takes COLUMN=NUMBER"),
        (["--on", ","], "--on names the columns that identify a row"),
    ],
)
def test_what_is_wrong_with_a_flag_is_said_before_anything_runs(versions, flags, says):
    done = kalla("diff", "old.csv", "new.csv", *flags, "-o", "kept", cwd=versions)

    assert done.exit_code == 2
    assert says in done.err
    assert not (versions / "kept").exists()
