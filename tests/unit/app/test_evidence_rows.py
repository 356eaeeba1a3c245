import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kalla_app.errors import NotFound
from kalla_app.evidence.asked import Asked
from kalla_app.evidence.row_texts import texts
from kalla_app.evidence.rows import RowSet
from kalla_core.errors import UnknownColumn

ROWS = 1000
REASONS = ["key_not_found", "predicate_failed"]
TABLE = pa.table(
    {
        "record_key": [f"K{number:04d}" for number in range(ROWS)],
        "rejection_reason": [REASONS[number * 2 // ROWS] for number in range(ROWS)],
        "amount": pa.array(
            [None if number == 5 else Decimal(number * 37 % 101) / 100 for number in range(ROWS)],
            pa.decimal128(12, 2),
        ),
        "lines": [[number] for number in range(ROWS)],
    }
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two parts of several row groups each."""
    parts = tmp_path / "unmatched_left.parquet"
    parts.mkdir()
    pq.write_table(TABLE.slice(0, 300), parts / "0.parquet", row_group_size=70)
    pq.write_table(TABLE.slice(300), parts / "1.parquet", row_group_size=130)
    names = ["unmatched_left.parquet/0.parquet", "unmatched_left.parquet/1.parquet"]
    metadata = {"run_id": "r", "files": [{"name": name} for name in names]}
    (tmp_path / "metadata.json").write_text(json.dumps(metadata))
    return tmp_path


def keys(folder: Path, asked: Asked, offset: int, limit: int) -> tuple[list[str], int]:
    with RowSet(folder, "unmatched_left") as rows:
        page = rows.page(asked, offset, limit)
        found = page.rows.column("record_key").to_pylist()
        assert rows.take(np.array(page.places, np.int64)).equals(page.rows)
    return found, page.total


ALL = Asked("unmatched_left")


@pytest.mark.parametrize("offset", [0, 65, 295, 999, 1000, 5000])
def test_a_page_begins_anywhere_also_across_groups_and_files(folder: Path, offset: int) -> None:
    found, total = keys(folder, ALL, offset, 10)

    assert found == TABLE.column("record_key").to_pylist()[offset : offset + 10]
    assert total == ROWS


def test_pages_of_a_filter_are_those_of_the_whole_in_order(folder: Path) -> None:
    asked = Asked("unmatched_left", q="k00", reasons=("key_not_found",))
    wanted = [key for key in TABLE.column("record_key").to_pylist()[:500] if "K00" in key]

    pages = [keys(folder, asked, offset, 30) for offset in range(0, 120, 30)]

    assert [key for found, _ in pages for key in found] == wanted
    assert {total for _, total in pages} == {len(wanted)}


@pytest.mark.parametrize("sort", ["amount", "-amount", "record_key", "-record_key"])
def test_an_order_is_the_same_over_pages_with_nulls_last(folder: Path, sort: str) -> None:
    name, descending = sort.removeprefix("-"), sort.startswith("-")
    rows = TABLE.select(["record_key", name] if name != "record_key" else [name]).to_pylist()
    known = [row for row in rows if row[name] is not None]
    known.sort(key=lambda row: row[name])
    known = known[::-1] if descending else known
    wanted = [row["record_key"] for row in known] + (["K0005"] if name == "amount" else [])

    found = [
        key
        for offset in range(0, ROWS, 170)
        for key in keys(folder, Asked("unmatched_left", sort=sort), offset, 170)[0]
    ]

    assert found == wanted


def test_what_is_looked_for_may_stand_in_any_column_and_be_a_number(folder: Path) -> None:
    found, total = keys(folder, Asked("unmatched_left", q="0.37"), 0, 500)

    amounts = [row["amount"] for row in TABLE.to_pylist() if row["record_key"] in found]
    assert total == len(found) > 5
    assert set(amounts) == {Decimal("0.37")}


def test_reasons_are_counted_and_rows_shown_exactly(folder: Path) -> None:
    with RowSet(folder, "unmatched_left") as rows:
        assert rows.reasons() == {"key_not_found": 500, "predicate_failed": 500}
        assert texts(rows.page(ALL, 5, 2).rows) == [
            ["K0005", "key_not_found", None, "[5]"],
            ["K0006", "key_not_found", "0.20", "[6]"],
        ]
        reasons = Asked("unmatched_left", reasons=("predicate_failed",))
        assert pa.Table.from_batches(rows.batches(reasons)).equals(TABLE.slice(500))


def test_a_set_or_a_column_that_is_not_there_is_told(folder: Path) -> None:
    with pytest.raises(NotFound, match="unmatched_left"):
        RowSet(folder, "ambiguous")
    with RowSet(folder, "unmatched_left") as rows, pytest.raises(UnknownColumn, match="amount"):
        rows.page(Asked("unmatched_left", sort="amout"), 0, 10)
