"""Why rows are unmatched by a UNION: judged branch by branch, the same whatever the way."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from kalla_core.matching.sql.query import Side
from tests.support.runs import AMPLE
from tests.support.spread import Layout, spread
from tests.support.tables import Reconciliation

TINY = replace(AMPLE, whole_bytes=1, join_bytes=2000, run_bytes=500)
NEXT_TO_NONE = replace(AMPLE, whole_bytes=1, join_bytes=200, run_bytes=100, threads=1)
WIDE_BYTES = 100_000
NARROW = replace(AMPLE, whole_bytes=WIDE_BYTES * 9 // 10)
"""So little that the columns the SQL names fit into memory, but not the wide one beside them."""
SPREAD = Layout(executors=2, joins=2, buckets=3)
PAIR = "SELECT l.id, r.id rid FROM l JOIN r ON"
Told = tuple[str, str, str | None]


def told(folder: Path, sql: str, left: dict[str, Any], right: dict[str, Any]) -> list[Told]:
    """Run in every way, assert that it is the same, and return why rows of the left are left."""
    books = Reconciliation(folder, sql)
    rows = len(left["id"]) + len(right["id"])
    for name, columns in (("left", left), ("right", right)):
        wide = ["w" * (WIDE_BYTES // rows)] * len(columns["id"])
        books.put(name, pa.table({**columns, "wide": wide}))
    whole = books.run()
    late = books.run(NARROW)
    ways = {
        "late": late,
        "buckets": books.run(TINY, partitions=2),
        "a cluster with next to no memory": spread(books.recipe(), folder, SPREAD, NEXT_TO_NONE),
    }
    assert late.joins == {"late": 1}
    for name, ran in ways.items():
        assert ran.matched.equals(whole.matched), name
        for side in Side:
            assert ran.unmatched[side].equals(whole.unmatched[side]), (name, side)
    return [reason for _, reason in sorted(whole.reasons(Side.LEFT).items())]


def failed(branch: int, candidate: int, *conditions: str) -> Told:
    said = f"Branch {branch} of the UNION: Closest in r: {candidate}. {'; '.join(conditions)}"
    return "predicate_failed", said, str(candidate)


def below(m: int, n: int) -> str:
    return f"l.m < r.n does not hold: l.m = {m}, r.n = {n}, which differ by {abs(m - n)}"


LEFT = {
    "id": [1, 2, 3, 4, 5, 6],
    "k": ["a", "b", None, "c", "d", "z"],
    "ref": ["R1", "R2", "R3", None, "R5", "r 3"],
    "m": [1, 9, 9, 9, 9, 9],
}
RIGHT = {
    "id": [11, 12, 13, 14],
    "k": ["a", "b", "y", "d"],
    "ref": ["X", "X", "R3", "R5"],
    "n": [5, 5, 5, 8],
}
BY_KEY = f"{PAIR} l.k = r.k AND l.m < r.n"
BY_REF = f"{PAIR} l.ref = r.ref AND l.m < r.n"


@pytest.mark.parametrize("union", ["UNION ALL", "UNION"])
def test_each_branch_has_a_key_of_its_own_and_the_nearest_tells(tmp_path: Path, union: str) -> None:
    reasons = told(tmp_path, f"{BY_KEY} {union} {BY_REF}", LEFT, RIGHT)

    nobody = "Branch 1 of the UNION: No row of r has k = 'c'."
    spelled = (
        "Branch 2 of the UNION: No row of r has ref = 'r 3'. "
        "Near in r: 13, which has ref = 'R3', the same but for blanks, case."
    )
    assert reasons == [
        failed(1, 12, below(9, 5)),
        failed(2, 13, below(9, 5)),
        ("key_not_found", nobody, None),
        failed(1, 14, below(9, 8)),
        ("key_not_found", spelled, "13"),
    ]


def test_branches_of_one_key_tell_their_own_conditions(tmp_path: Path) -> None:
    other = f"{PAIR} l.k = r.k AND l.ref = r.ref AND l.m > 100 AND r.n > 100"

    reasons = told(tmp_path, f"{other} UNION {BY_KEY}", LEFT, RIGHT)

    assert reasons == [
        failed(2, 12, below(9, 5)),
        ("key_null", "k is null, and null equals nothing.", None),
        ("key_not_found", "No row of r has k = 'c'.", None),
        failed(2, 14, below(9, 8)),
        ("key_not_found", "No row of r has k = 'z'.", None),
    ]


def test_a_branch_without_a_key_leaves_the_word_to_the_others(tmp_path: Path) -> None:
    loose = f"{PAIR} l.m < r.n - 7"

    reasons = told(tmp_path, f"{loose} UNION ALL {BY_KEY}", LEFT, {**RIGHT, "n": [5, 5, 5, 8]})

    assert [(code, detail.split(":")[0]) for code, detail, _ in reasons] == [
        ("predicate_failed", "Branch 2 of the UNION"),
        ("key_null", "Branch 2 of the UNION"),
        ("key_not_found", "Branch 2 of the UNION"),
        ("predicate_failed", "Branch 2 of the UNION"),
        ("key_not_found", "Branch 2 of the UNION"),
    ]


def test_where_no_branch_has_a_key_there_is_none_to_tell_by(tmp_path: Path) -> None:
    sql = f"{PAIR} l.m < r.n - 4 UNION {PAIR} l.m > r.n + 4 AND l.k LIKE r.k"

    reasons = told(tmp_path, sql, LEFT, RIGHT)

    assert {code for code, _, _ in reasons} == {"no_match"}


def test_a_union_in_a_cte_is_judged_where_it_is_joined(tmp_path: Path) -> None:
    sql = (
        "WITH x AS (SELECT id, k AS key, n FROM r WHERE n < 8 UNION ALL SELECT id, ref, n FROM r) "
        "SELECT l.id, x.id rid FROM l JOIN x ON l.k = x.key WHERE l.m < x.n"
    )

    reasons = told(tmp_path, sql, {**LEFT, "k": ["a", "b", None, "R3", "d", "z"]}, RIGHT)

    assert reasons == [
        failed(1, 12, "x.n > l.m does not hold: l.m = 9, r.n = 5, which differ by 4"),
        ("key_null", "Branch 1 of the UNION: k is null, and null equals nothing.", None),
        failed(2, 13, "x.n > l.m does not hold: l.m = 9, r.n = 5, which differ by 4"),
        failed(
            1,
            14,
            "x.n > l.m does not hold: l.m = 9, r.n = 8, which differ by 1",
            "r.n < 8 does not hold: r.n = 8",
        ),
        ("key_not_found", "Branch 1 of the UNION: No row of r has k = 'z'.", None),
    ]


def test_alternatives_of_an_or_tell_like_branches(tmp_path: Path) -> None:
    sql = f"{PAIR} (l.k = r.k OR l.ref = r.ref) AND l.m < r.n"

    reasons = told(tmp_path, sql, LEFT, RIGHT)

    assert [detail.split(". ")[0] for _, detail, _ in reasons] == [
        "Alternative 1 of the OR: Closest in r: 12",
        "Alternative 2 of the OR: Closest in r: 13",
        "Alternative 1 of the OR: No row of r has k = 'c'.",
        "Alternative 1 of the OR: Closest in r: 14",
        "Alternative 2 of the OR: No row of r has ref = 'r 3'",
    ]


def test_a_branch_that_a_constant_rules_out_says_nothing(tmp_path: Path) -> None:
    reasons = told(tmp_path, f"{BY_KEY} UNION ALL {BY_REF} AND 1 = 2", LEFT, RIGHT)

    assert reasons[0] == ("predicate_failed", f"Closest in r: 12. {below(9, 5)}", "12")
    assert reasons[1] == ("key_null", "k is null, and null equals nothing.", None)


def test_a_window_above_a_union_leaves_out_what_fulfils_a_branch(tmp_path: Path) -> None:
    sql = (
        "SELECT id, rid FROM (SELECT id, rid, row_number() OVER (PARTITION BY rid ORDER BY id) n "
        f"FROM ({BY_KEY} UNION ALL {BY_REF}) u) w WHERE n = 1"
    )
    left = {**LEFT, "ref": ["R5", "R2", "R3", None, "R5", "R3"], "m": [1, 9, 2, 9, 2, 1]}

    reasons = told(tmp_path, sql, left, RIGHT)

    code, detail, closest = reasons[2]
    assert (code, closest) == ("not_chosen", "14")
    assert detail.startswith("Branch 1 of the UNION: Closest in r: 14. Its key is there")
    assert [one[0] for one in reasons] == ["predicate_failed", "key_not_found", "not_chosen",
                                           "not_chosen"]  # fmt: skip


def test_what_distinct_on_leaves_out_is_not_chosen(tmp_path: Path) -> None:
    sql = f"SELECT DISTINCT ON (rid) id, rid FROM ({BY_KEY} UNION ALL {BY_REF}) u ORDER BY rid, id"
    left = {**LEFT, "ref": ["R5", "R2", "R3", None, "R5", "R3"], "m": [1, 9, 2, 9, 2, 1]}

    reasons = told(tmp_path, sql, left, RIGHT)

    assert [code for code, _, _ in reasons] == ["predicate_failed", "key_not_found", "not_chosen",
                                                "not_chosen"]  # fmt: skip
    assert reasons[2][1].endswith("the match SQL asks for DISTINCT ON.")


def test_keys_that_many_rows_share_are_judged_in_pieces(tmp_path: Path) -> None:
    ids = list(range(60))
    left = {"id": ids, "k": ["hot"] * 40 + [str(n) for n in range(20)],
            "ref": [f"R{n % 7}" for n in ids], "m": [n % 9 + 1 for n in ids]}  # fmt: skip
    right = {"id": ids, "k": ["hot"] * 30 + [None] * 30,
             "ref": [f"R{n % 9}" for n in ids], "n": [n % 3 for n in ids]}  # fmt: skip

    reasons = told(tmp_path, f"{BY_KEY} AND l.id > 50 UNION {BY_REF} AND r.id < 0", left, right)

    assert len(reasons) == 60
    assert {code for code, _, _ in reasons} == {"predicate_failed"}
    assert {detail[:8] for _, detail, _ in reasons} == {"Branch 1", "Branch 2"}


@pytest.mark.parametrize(
    "key",
    [
        "to_timestamp(r.t, '%d/%b/%y %H:%M')",
        "CASE WHEN r.t LIKE '%/%' THEN to_timestamp(r.t, '%d/%b/%y %H:%M') END",
        "coalesce(to_timestamp(r.t, '%d/%b/%y %H:%M') + interval '0 days')",
    ],
)
def test_a_key_of_any_expression_below_a_filter_tells_reasons(tmp_path: Path, key: str) -> None:
    ids = list(range(60))
    at = [1_778_580_000_000_000, 1_778_580_000_000_000, 0, *[None] * 57]
    left = {"id": ids, "at": pa.array(at, pa.timestamp("us")), "m": [5, 6, 7, *[8] * 57]}
    right = {"id": ids, "t": ["12/May/26 10:00", *["n/a"] * 59], "n": [5] * 60}
    right |= {"kind": ["a", *["b"] * 59]}
    made = "(SELECT id, t, n FROM r WHERE kind = 'a') r"
    sql = f"SELECT l.id, r.id rid FROM l JOIN {made} ON l.at = {key} AND l.m <= r.n"

    reasons = told(tmp_path, sql, left, right)

    counts = Counter(reason for reason, *_ in reasons)
    assert counts == {"predicate_failed": 1, "key_not_found": 1, "key_null": 57}


def test_branches_too_many_to_tell_apart_are_not_said_to_have_no_key(tmp_path: Path) -> None:
    branches = [f"{PAIR} l.{'k' if n % 2 else 'ref'} = r.{'k' if n % 2 else 'ref'} AND r.n = {n}"
                for n in range(33)]  # fmt: skip
    books = Reconciliation(tmp_path, " UNION ALL ".join(branches))
    books.put("left", pa.table(LEFT))
    books.put("right", pa.table(RIGHT))

    reasons = books.run().reasons(Side.LEFT)

    assert {
        (code, "too many to tell them apart" in said) for code, said, _ in reasons.values()
    } == {("no_match", True)}
