"""Why rows are unmatched, to the letter, for small examples; the same with next to no memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from kalla_core.matching.sql.query import Side
from tests.support.runs import AMPLE
from tests.support.tables import Reconciliation

KEY = "SELECT l.id, r.id rid FROM l JOIN r ON l.k = r.k"
AMOUNTS = "tolerance_match(l.amount, r.paid, 0.02) does not hold: l.amount = {}, r.paid = {}"
TINY = replace(AMPLE, whole_bytes=1, join_bytes=2000, run_bytes=500)
Expected = dict[int, tuple[str, str, str | None]]


def money(*values: str | None) -> pa.Array:
    texts = (None if value is None else Decimal(value) for value in values)
    return pa.array(list(texts), pa.decimal128(10, 2))


def days(*values: str | None) -> pa.Array:
    return pa.array([None if value is None else date.fromisoformat(value) for value in values])


def reasons_of(
    folder: Path, sql: str, left: dict[str, Any], right: dict[str, Any]
) -> dict[Side, Expected]:
    """Run with and without memory, assert that it is the same, and return why rows are left."""
    books = Reconciliation(folder, sql)
    books.put("left", pa.table(left))
    books.put("right", pa.table(right))
    whole = books.run()
    tight = books.run(TINY, partitions=2)
    assert tight.has_the_rows_of(whole)
    return {
        side: {int(key): reason for key, reason in whole.reasons(side).items()} for side in Side
    }


def failed(candidate: int, table: str, *conditions: str) -> tuple[str, str, str]:
    said = f"Closest in {table}: {candidate}. {'; '.join(conditions)}"
    return "predicate_failed", said, str(candidate)


def not_chosen(candidate: int, table: str, said: str) -> tuple[str, str, str]:
    why = "Its key is there and every condition on the pair holds; beyond the pair, the match SQL"
    return "not_chosen", f"Closest in {table}: {candidate}. {why} asks for {said}.", str(candidate)


def not_found(said: str) -> tuple[str, str, None]:
    return "key_not_found", f"No row of {said}.", None


def null(name: str) -> tuple[str, str, None]:
    return "key_null", f"{name} is null, and null equals nothing.", None


def test_numbers(tmp_path: Path) -> None:
    left = {
        "id": [1, 2, 3, 4, 5, 6],
        "k": ["A", "A", None, "B", "C", "D"],
        "amount": money("10.00", "12.00", "1.00", "5.00", "7.00", None),
    }
    right = {
        "id": [11, 12, 13, 14, 15],
        "k": ["A", "A", "C", "X", "D"],
        "paid": money("10.01", "13.00", "7.03", "1.00", "2.00"),
    }

    reasons = reasons_of(
        tmp_path, f"{KEY} AND tolerance_match(l.amount, r.paid, 0.02)", left, right
    )

    by_one = AMOUNTS.format("12.00", "13.00") + ", which differ by 1.00"
    by_cents = AMOUNTS.format("7.00", "7.03") + ", which differ by 0.03"
    assert reasons[Side.LEFT] == {
        2: failed(12, "r", by_one),
        3: null("k"),
        4: not_found("r has k = 'B'"),
        5: failed(13, "r", by_cents),
        6: failed(15, "r", AMOUNTS.format("null", "2.00")),
    }
    assert reasons[Side.RIGHT] == {
        12: failed(2, "l", by_one),
        13: failed(5, "l", by_cents),
        14: not_found("l has k = 'X'"),
        15: failed(6, "l", AMOUNTS.format("null", "2.00")),
    }


def test_dates(tmp_path: Path) -> None:
    left = {"id": [1, 2, 3], "k": ["A", "A", "B"], "d": days("2026-01-01", "2026-01-10", None)}
    right = {
        "id": [11, 12, 13],
        "k": ["A", "A", "B"],
        "d": days("2026-01-05", "2026-01-20", "2026-01-01"),
    }

    reasons = reasons_of(tmp_path, f"{KEY} AND date_within(l.d, r.d, 2)", left, right)

    says = "date_within(l.d, r.d, 2) does not hold: l.d = {}, r.d = {}"
    by_four = says.format("2026-01-01", "2026-01-05") + ", which differ by 4 days"
    by_five = says.format("2026-01-10", "2026-01-05") + ", which differ by 5 days"
    by_ten = says.format("2026-01-10", "2026-01-20") + ", which differ by 10 days"
    assert reasons[Side.LEFT] == {
        1: failed(11, "r", by_four),
        2: failed(11, "r", by_five),
        3: failed(13, "r", says.format("null", "2026-01-01")),
    }
    assert reasons[Side.RIGHT] == {
        11: failed(1, "l", by_four),
        12: failed(2, "l", by_ten),
        13: failed(3, "l", says.format("null", "2026-01-01")),
    }


def test_moments(tmp_path: Path) -> None:
    left = {"id": [1], "k": ["A"], "t": pa.array([datetime(2026, 1, 1, 12)], pa.timestamp("us"))}
    moments = [datetime(2026, 1, 3, 12), datetime(2025, 12, 31, 11, 59, 59)]
    right = {"id": [11, 12], "k": ["A", "A"], "t": pa.array(moments, pa.timestamp("ms"))}

    reasons = reasons_of(tmp_path, f"{KEY} AND date_within(l.t, r.t, 1)", left, right)

    says = "date_within(l.t, r.t, 1) does not hold: l.t = 2026-01-01T12:00:00, r.t = "
    assert reasons[Side.LEFT] == {1: failed(12, "r", f"{says}2025-12-31T11:59:59")}


def test_text(tmp_path: Path) -> None:
    left = {"id": [1, 2], "k": ["A", "B"], "name": ["Ann", "Bob"], "cur": ["EUR", "USD"]}
    right = {
        "id": [13, 12, 11],
        "k": ["A", "A", "B"],
        "name": ["An%", "x%", "y%"],
        "cur": ["EUR", "USD", "USD"],
    }

    reasons = reasons_of(tmp_path, f"{KEY} AND l.name LIKE r.name AND l.cur <> r.cur", left, right)

    name, currency = "l.name LIKE r.name does not hold: ", "l.cur != r.cur does not hold: "
    assert reasons[Side.LEFT] == {
        1: failed(12, "r", f"{name}l.name = 'Ann', r.name = 'x%'"),
        2: failed(
            11,
            "r",
            f"{currency}l.cur = 'USD', r.cur = 'USD'",
            f"{name}l.name = 'Bob', r.name = 'y%'",
        ),
    }
    assert reasons[Side.RIGHT][13] == failed(1, "l", f"{currency}l.cur = 'EUR', r.cur = 'EUR'")


def test_of_equal_distances_the_lowest_primary_key_wins(tmp_path: Path) -> None:
    left = {"id": [1], "k": ["A"], "amount": money("10.00")}
    right = {
        "id": [15, 12, 13, 11],
        "k": ["A"] * 4,
        "paid": money("9.00", "11.00", "11.00", "12.00"),
    }

    reasons = reasons_of(
        tmp_path, f"{KEY} AND tolerance_match(l.amount, r.paid, 0.02)", left, right
    )

    says = AMOUNTS.format("10.00", "11.00") + ", which differ by 1.00"
    assert reasons[Side.LEFT] == {1: failed(12, "r", says)}


def test_where_nothing_is_measured_the_first_hundred_are_tried(tmp_path: Path) -> None:
    ids = list(reversed(range(150)))
    left = {"id": [1], "k": ["A"], "name": ["none"], "cur": ["EUR"]}
    right = {
        "id": ids,
        "k": ["A"] * 150,
        "name": [f"name {n}" for n in ids],
        "cur": ["EUR" if n in (60, 50, 140) else "USD" for n in ids],
    }

    reasons = reasons_of(
        tmp_path, f"{KEY} AND l.name LIKE r.name AND l.cur LIKE r.cur", left, right
    )

    says = "l.name LIKE r.name does not hold: l.name = 'none', r.name = 'name 50'"
    note = " (the best of the first 100 by primary key)"
    assert reasons[Side.LEFT] == {1: failed(50, "r", f"{says}{note}")}
    assert reasons[Side.RIGHT][140] == failed(
        1, "l", "l.name LIKE r.name does not hold: l.name = 'none', r.name = 'name 140'"
    )


def test_a_key_of_several_columns(tmp_path: Path) -> None:
    left = {"id": [1, 2, 3], "k": ["A", "B", None], "j": [1, 2, 3], "m": [10, 3, 1]}
    right = {"id": [11, 12, 13], "k": ["A", "B", "B"], "j": [1, None, 3], "n": [0, 1, 0]}

    reasons = reasons_of(tmp_path, f"{KEY} AND l.j = r.j AND l.m <= r.n", left, right)

    says = "l.m <= r.n does not hold: l.m = 10, r.n = 0, which differ by 10"
    assert reasons[Side.LEFT] == {
        1: failed(11, "r", says),
        2: not_found("r has k = 'B', j = 2"),
        3: null("k"),
    }
    assert reasons[Side.RIGHT] == {
        11: failed(1, "l", says),
        12: null("j"),
        13: not_found("l has k = 'B', j = 3"),
    }


def test_no_equality_key(tmp_path: Path) -> None:
    left = {"id": [1], "amount": money("10.00")}
    right = {"id": [11], "paid": money("9.00")}

    reasons = reasons_of(
        tmp_path, "SELECT l.id, r.id rid FROM l JOIN r ON l.amount < r.paid", left, right
    )

    says = "No row of the other side satisfies the match SQL, which has no equality key."
    assert reasons == {Side.LEFT: {1: ("no_match", says, None)},
                       Side.RIGHT: {11: ("no_match", says, None)}}  # fmt: skip


def test_what_is_not_about_two_rows(tmp_path: Path) -> None:
    left = {"id": [1, 2], "k": ["A", "B"], "amount": money("10.00", "3.00")}
    right = {"id": [11, 12, 13], "k": ["A", "B", "B"], "paid": money("9.00", "1.00", "2.00")}
    sql = (
        "SELECT l.id, max(r.id) rid, sum(r.paid) FROM l JOIN r ON l.k = r.k "
        "GROUP BY l.id, l.amount HAVING sum(r.paid) = l.amount"
    )

    reasons = reasons_of(tmp_path, sql, left, right)

    says = "sum(r.paid) = l.amount"
    assert reasons == {
        Side.LEFT: {1: not_chosen(11, "r", says)},
        Side.RIGHT: {11: not_chosen(1, "l", says)},
    }


ONE_EACH = (
    "SELECT id, rid FROM (SELECT l.id, r.id rid, "
    "row_number() OVER (PARTITION BY r.id ORDER BY l.id) n "
    "FROM l JOIN r ON l.k = r.k{}) WHERE n = 1"
)
FIRST = "row_number() OVER (PARTITION BY r.id ORDER BY l.id) = 1"


@pytest.mark.parametrize("condition", ["", " AND l.id >= 1", " AND l.id >= 1 AND r.id < 99"])
def test_a_row_that_loses_by_a_window_is_not_chosen(tmp_path: Path, condition: str) -> None:
    left = {"id": [1, 2, 3], "k": ["x", "x", None]}
    right = {"id": [1], "k": ["x"]}

    reasons = reasons_of(tmp_path, ONE_EACH.format(condition), left, right)

    assert reasons == {
        Side.LEFT: {2: not_chosen(1, "r", FIRST), 3: null("k")},
        Side.RIGHT: {},
    }


def test_rows_that_a_window_leaves_out_stand_beside_rows_that_a_condition_does(
    tmp_path: Path,
) -> None:
    left = {"id": [1, 2, 3], "k": ["x", "x", "x"], "m": [1, 1, 9]}
    right = {"id": [1], "k": ["x"], "n": [5]}

    reasons = reasons_of(tmp_path, ONE_EACH.format(" AND l.m < r.n AND l.id > 0"), left, right)

    says = "l.m < r.n does not hold: l.m = 9, r.n = 5, which differ by 4"
    assert reasons[Side.LEFT] == {2: not_chosen(1, "r", FIRST), 3: failed(1, "r", says)}


def test_the_partner_named_is_one_for_which_all_conditions_hold(tmp_path: Path) -> None:
    left = {"id": [1, 2], "k": ["x", "x"], "m": [10, 10], "cur": ["EUR", "EUR"]}
    cur = ["USD"] * 150 + ["EUR"]
    right = {"id": list(range(151)), "k": ["x"] * 151, "n": [10] * 150 + [12], "cur": cur}

    sql = ONE_EACH.format(" AND abs(l.m - r.n) < 5 AND l.cur LIKE r.cur")
    reasons = reasons_of(tmp_path, sql, left, right)

    assert reasons[Side.LEFT] == {2: not_chosen(150, "r", FIRST)}


@pytest.mark.parametrize("near", ["abs(l.m - r.n) < 5", "l.m < r.n"])
def test_however_many_rows_have_the_key_one_that_goes_with_all_conditions_is_found(
    tmp_path: Path, near: str
) -> None:
    count = 2_501
    left = {"id": [1, 2, 3], "k": ["x"] * 3, "m": [10, 10, 99], "cur": ["EUR", "EUR", "EUR"]}
    cur = ["USD"] * (count - 1) + ["EUR"]
    right = {"id": list(range(count)), "k": ["x"] * count, "n": [10, 11] * 1250 + [12], "cur": cur}

    sql = ONE_EACH.format(f" AND {near} AND l.cur LIKE r.cur")
    reasons = reasons_of(tmp_path, sql, left, right)

    assert reasons[Side.LEFT][2] == not_chosen(count - 1, "r", FIRST)
    assert reasons[Side.LEFT][3][0] == "predicate_failed"
    assert {code for code, _, _ in reasons[Side.RIGHT].values()} == {"predicate_failed"}


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        (
            f"{KEY} AND l.id > 0 "
            "WHERE NOT EXISTS (SELECT 1 FROM r o WHERE o.k = l.k AND o.id < r.id)",
            "NOT EXISTS, NOT IN or EXCEPT",
        ),
        (f"{KEY} AND l.id > 0 WHERE r.id = 11 ORDER BY l.id DESC LIMIT 1", "LIMIT"),
        (
            "SELECT DISTINCT ON (l.id) l.id AS lid, r.id AS rid FROM l JOIN r ON l.k = r.k "
            "ORDER BY l.id, r.id",
            "asks for DISTINCT ON",
        ),
    ],
)
def test_what_the_query_does_beyond_pairs_is_named(tmp_path: Path, sql: str, says: str) -> None:
    left = {"id": [1, 2], "k": ["x", "x"]}
    right = {"id": [11, 12], "k": ["x", "x"]}

    reasons = reasons_of(tmp_path, sql, left, right)

    told = {**reasons[Side.LEFT], **reasons[Side.RIGHT]}
    assert "not_chosen" in {code for code, _, _ in told.values()}
    assert all(d.endswith(f" {says}.") for code, d, _ in told.values() if code == "not_chosen")


def test_a_condition_that_fails_for_rows_that_another_puts_aside(tmp_path: Path) -> None:
    left = {"id": [1, 2], "k": ["A", "B"], "m": [10, 3]}
    right = {"id": [11, 12, 13], "k": ["A", "B", "B"], "n": [0, 1, 0]}

    reasons = reasons_of(
        tmp_path, f"{KEY} WHERE r.n <> 0 AND l.m / r.n < 2 AND l.m > 1", left, right
    )

    not_zero = "r.n != 0 does not hold: r.n = 0"
    ratio = "l.m / r.n < 2 does not hold: l.m = 3, r.n = 1"
    assert reasons[Side.LEFT] == {1: failed(11, "r", not_zero), 2: failed(12, "r", ratio)}
    assert reasons[Side.RIGHT] == {
        11: failed(1, "l", not_zero),
        12: failed(2, "l", ratio),
        13: failed(2, "l", not_zero),
    }


@pytest.mark.parametrize("width", [38, 76])
def test_numbers_with_more_digits_than_a_machine_word(tmp_path: Path, width: int) -> None:
    kind = pa.decimal128(width, 2) if width == 38 else pa.decimal256(width, 2)
    large = 10**30
    paid = [Decimal(-large), Decimal(large + 1)]
    left = {"id": [1], "k": ["A"], "amount": pa.array([Decimal(large)], kind)}
    right = {"id": [11, 12], "k": ["A"] * 2, "paid": pa.array(paid, kind)}

    reasons = reasons_of(tmp_path, f"{KEY} AND abs(l.amount - r.paid) < 0.5", left, right)

    assert reasons[Side.LEFT][1][2] == "12"
    assert f"r.paid = {large + 1}.00" in reasons[Side.LEFT][1][1]


@pytest.mark.parametrize(
    ("ours", "theirs", "said", "but_for"),
    [
        ("A1", "A1 ", "'A1␠'", "blanks"),
        ("A2", " a2", "'␠a2'", "blanks, case"),
        ("42", "00042", "'00042'", "leading zeros"),
        ("Caf\u00e9", "Cafe\u0301", "'Cafe<U+0301>'", "Unicode normal form"),
        ("A4", "A\u200b4", "'A<U+200B>4'", "invisible characters"),
    ],
)
def test_a_key_that_is_there_but_for_its_spelling_is_shown(
    tmp_path: Path, ours: str, theirs: str, said: str, but_for: str
) -> None:
    rest = [f"other {n}" for n in range(200)]
    left = {"id": list(range(201)), "k": [*rest, ours], "j": [7] * 201}
    right = {"id": [1, 13, 12, 14], "k": ["else", theirs, theirs, theirs], "j": [7, 7, 7, 8]}

    reasons = reasons_of(tmp_path, f"{KEY} AND l.j = r.j", left, right)

    code, detail, closest = reasons[Side.LEFT][200]
    assert (code, closest) == ("key_not_found", "12")
    assert detail == (
        f"No row of r has k = '{ours}', j = 7. "
        f"Near in r: 12, which has k = {said}, j = 7, the same but for {but_for}."
    )
    assert reasons[Side.RIGHT][12][2] == "200"
    assert reasons[Side.RIGHT][14][2] is None
    assert reasons[Side.LEFT][0] == not_found("r has k = 'other 0', j = 7")


@pytest.mark.parametrize(
    ("key", "texts", "there", "missing"),
    [
        (
            "to_date(x.k) = to_date(r.k)",
            ["2026-01-02", "2026-02-03", "n/a"],
            "2026-01-02",
            "2026-02-03",
        ),
        (
            "to_date(x.k, '%d.%m.%Y') = to_date(r.k, '%Y%m%d')",
            ["2.1.2026", "3.2.2026", "31.2.2026"],
            "20260102",
            "2026-02-03",
        ),
        ("CAST(840 / CAST(x.k AS INT) AS VARCHAR) = r.k", ["2", "3", "0"], "420", "280"),
        (
            "lpad(CAST(CAST(x.k AS INT) AS VARCHAR), 5, '0') = r.k",
            ["42", "7", "n/a"],
            "00042",
            "00007",
        ),
    ],
)
def test_a_key_by_a_conversion_that_fails_for_rows_left_out(
    tmp_path: Path, key: str, texts: list[str], there: str, missing: str
) -> None:
    left = {"id": [1, 2, 3], "k": texts, "on": [True, True, False]}
    right = {"id": [11], "k": [there], "n": [5]}
    cte = "WITH x AS (SELECT * FROM l WHERE l.on)"

    reasons = reasons_of(
        tmp_path, f"{cte} SELECT x.id, r.id rid FROM x JOIN r ON {key} AND r.n < 5", left, right
    )

    says = "r.n < 5 does not hold: r.n = 5"
    assert reasons[Side.LEFT][1] == failed(11, "r", says)
    assert reasons[Side.LEFT][2][0] == "key_not_found"
    assert missing in reasons[Side.LEFT][2][1]
    assert reasons[Side.LEFT][3][0] == "key_null"
    assert reasons[Side.RIGHT][11][0] == "predicate_failed"
