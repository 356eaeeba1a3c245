"""What fails is told as its author wrote it, whatever the plan made of it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from kalla_core.errors import InvalidSql
from kalla_core.matching.sql.query import Side
from tests.support.tables import Ran, Reconciliation

FAR = datetime(2300, 1, 1)
BOOK = pa.table(
    {
        "id": pa.array([1, 2], pa.int64()),
        "k": pa.array([1, 2], pa.int64()),
        "ref": ["7", "x"],
        "rate": [1.5, float("nan")],
        "amount": pa.array([Decimal("1.50"), Decimal("2.25")], pa.decimal128(12, 2)),
        "data": [b"a", b"\x00\xff"],
        "at": pa.array([datetime(2026, 3, 29, 1), FAR], pa.timestamp("us")),
        "zoned": pa.array([datetime(2026, 3, 29, 1, tzinfo=UTC)] * 2, pa.timestamp("us", "UTC")),
        "day": pa.array([date(2026, 3, 29)] * 2),
    }
)
FORMAT = "'%d.%m.%Y'"


def books(folder: Path, sql: str) -> Reconciliation:
    found = Reconciliation(folder, sql)
    found.put("left", BOOK)
    found.put("right", BOOK)
    return found


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("CAST(l.rate AS BIGINT) = 1", ("CAST(l.rate AS BIGINT) fails", "Write TRY_CAST(l.rate")),
        ("l.rate::int = 1", ("CAST(l.rate AS INT) fails", "TRY_CAST(l.rate AS INT)", "id = 2")),
        ("CAST(l.ref AS TIMESTAMP) = l.at", ("CAST(l.ref AS TIMESTAMP) fails", "ref is '7'")),
        ("to_timestamp(l.ref) = l.at", ("to_timestamp(l.ref) fails", "Write TRY_CAST(l.ref AS")),
        ("CAST(l.data AS TEXT) = l.ref", ("CAST(l.data AS TEXT) fails", "data is '00ff'")),
        ("abs(l.k - 9223372036854775807 - 9) = 1", ("(l.k - 9223372036854775807) - 9 fails",)),
        ("round(l.amount / (r.k - 1), 2) = 1", ("l.amount / (r.k - 1) fails", "r.k is 1")),
        (
            "date_bin(INTERVAL '1 hour', l.at AT TIME ZONE 'UTC') = r.zoned",
            ("l.at AT TIME ZONE 'UTC' fails", "at is '2300-01-01 00:00:00.000000'"),
        ),
    ],
)  # fmt: skip
def test_an_expression_that_fails_is_named_as_it_is_written(
    tmp_path: Path, condition: str, words: tuple[str, ...]
) -> None:
    sql = f"SELECT l.id, r.id rid FROM l JOIN r ON l.k = r.k AND {condition}"

    with pytest.raises(InvalidSql) as caught:
        books(tmp_path, sql).run()

    for each in words:
        assert each in str(caught.value)


@pytest.mark.parametrize("place", ["l.at", "r.at", "l.at = r.at AND r.at"])
def test_a_constant_that_fails_is_named_without_a_row(tmp_path: Path, place: str) -> None:
    made = f"to_timestamp('01.01.2300', {FORMAT})"
    sql = f"SELECT l.id, r.id rid FROM l JOIN r ON l.k = r.k AND {place} = {made}"

    with pytest.raises(InvalidSql) as caught:
        books(tmp_path, sql).run()

    assert f"{made} fails, whatever the row" in str(caught.value)


def test_where_dates_and_moments_of_a_union_reach_too_far_it_says_what_to_write(
    tmp_path: Path,
) -> None:
    pairs = "SELECT l.id, r.id rid, l.{} AS w FROM l JOIN r ON l.k = r.k"
    sql = (
        f"SELECT id, rid FROM ({pairs.format('at')} UNION {pairs.format('day')}) x WHERE w > now()"
    )

    with pytest.raises(InvalidSql) as caught:
        books(tmp_path, sql.replace("now()", "DATE '2000-01-01'")).run()
    fixed = sql.replace("l.day", "CAST(l.day AS TIMESTAMP(6))").replace("now()", "l.at")

    assert "AS TIMESTAMP(6)), and so of dates that it meets" in str(caught.value)
    ran = books(tmp_path, fixed.replace("w > l.at", "w > TIMESTAMP '2299-01-01 00:00:00'")).run()
    assert ran.pairs == [("2", "2")]


def test_a_key_that_cannot_be_computed_is_not_told_to_be_null(tmp_path: Path) -> None:
    sql = (
        "SELECT l.id, r.id rid FROM l JOIN r ON l.k = r.k AND l.at AT TIME ZONE 'UTC' = r.zoned "
        "AND l.k = 99"
    )

    told = books(tmp_path, sql).run().reasons(Side.LEFT)["2"]

    assert told[0] == "key_null"
    assert "at is null or cannot be computed" in told[1]


def test_bytes_lists_and_large_numbers_are_shown_as_sql_writes_them(tmp_path: Path) -> None:
    conditions = "l.data = X'00fe' AND l.rate < -1e300 AND make_array(l.k) = ARRAY[7]"
    sql = f"SELECT l.id, r.id rid FROM l JOIN r ON l.k = r.k AND {conditions}"

    told = books(tmp_path, sql).run().reasons(Side.LEFT)["1"][1]

    assert "l.data = X'00fe' does not hold: l.data = X'61'" in told
    assert "l.rate < -1e+300 does not hold" in told
    assert "make_array(l.k) = [7] does not hold" in told


@pytest.mark.parametrize("condition", ["1 = 2", "l.ref = '7' AND l.ref = '8'"])
def test_conditions_that_contradict_each_other_are_told(tmp_path: Path, condition: str) -> None:
    sql = f"SELECT l.id, r.id rid FROM l JOIN r ON l.k = r.k AND {condition}"

    told = books(tmp_path, sql).run().reasons(Side.LEFT)["1"]

    assert told[0] == "no_match"
    assert "its conditions contradict each other" in told[1]


def test_a_part_that_no_moment_has_is_not_blamed_on_a_row(tmp_path: Path) -> None:
    sql = "SELECT l.id, r.id rid FROM l JOIN r ON l.k = r.k AND extract(fortnight FROM l.day) = 1"

    with pytest.raises(InvalidSql, match="know no part 'fortnight' of a moment; they know year"):
        books(tmp_path, sql).run()


def test_a_text_of_a_moment_without_seconds_is_read_as_it_is_proposed(tmp_path: Path) -> None:
    sql = "SELECT l.id, r.id rid FROM l JOIN r ON l.k = r.k AND {} < r.at"
    rows = BOOK.set_column(2, "ref", [["2026-03-29 00:30", "2026-03-29 00:30:15"]])
    near = BOOK.set_column(6, "at", pa.array([datetime(2026, 3, 29, 1)] * 2, pa.timestamp("us")))

    def ran(moment: str) -> Ran:
        found = Reconciliation(tmp_path, sql.format(moment))
        found.put("left", rows)
        found.put("right", near)
        return found.run()

    with pytest.raises(InvalidSql) as caught:
        ran("CAST(l.ref AS TIMESTAMP)")
    proposed = "to_timestamp(l.ref, '%Y-%m-%d %H:%M:%S', '%Y-%m-%d %H:%M')"
    assert f"Write {proposed}" in str(caught.value)
    assert ran(proposed).pairs == [("1", "1"), ("2", "2")]
