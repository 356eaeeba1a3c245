"""Passes that add amounts up: sets of rows that make one row, and groups that balance."""

import random
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pyarrow as pa
import pytest

from kalla_core.matching.sql.query import Side
from tests.support.best_by_hand import sums_by_hand
from tests.support.reconciled import TwoTables, table
from tests.support.runs import AMPLE

SPOOLED = replace(AMPLE, whole_bytes=3_000, join_bytes=2_000, run_bytes=4_000)
COLUMNS = {"id": pa.int64(), "who": pa.string(), "amount": pa.decimal128(12, 2), "day": pa.date32()}
SUMS = {
    "name": "batches",
    "kind": "subset_sum",
    "one": "right",
    "block": [["who", "who"]],
    "amount": ["amount", "amount"],
}


def tables(folder, left, right) -> TwoTables:
    """Tables of (id, who, amount, day of January)."""

    def made(side):
        return table(
            [(n, who, Decimal(str(a)), date(2026, 1, 1 + day)) for n, who, a, day in side],
            **COLUMNS,
        )

    return TwoTables(folder).put(made(left), made(right))


def test_one_payment_of_several_invoices_is_matched_with_all_of_them(tmp_path):
    two = tables(
        tmp_path,
        [(1, "A", "10.00", 0), (2, "A", "20.50", 0), (3, "A", "70.00", 0), (4, "B", "30.50", 0)],
        [(7, "A", "30.50", 5), (8, "A", "999.00", 5)],
    )

    wrote = two.run({"passes": [SUMS]})

    assert wrote.pairs() == [("1", "7"), ("2", "7")]
    assert len(set(wrote.tables["matched"].column("match_group").to_pylist())) == 1
    assert wrote.reasons(Side.LEFT) == {"3": "predicate_failed", "4": "key_not_found"}
    assert wrote.reasons(Side.RIGHT) == {"8": "predicate_failed"}
    assert "no set of rows" in wrote.details(Side.RIGHT)["8"]
    assert wrote.told.passes[0].kind == "subset_sum"


def test_of_several_sets_none_is_taken(tmp_path):
    two = tables(tmp_path, [(1, "A", 10, 0), (2, "A", 20, 0), (3, "A", 20, 0)], [(7, "A", 30, 0)])

    wrote = two.run({"passes": [SUMS]})

    assert wrote.pairs() == []
    assert wrote.pairs("ambiguous") == [("1", "7"), ("2", "7"), ("3", "7")]
    assert set(wrote.reasons(Side.LEFT).values()) == {"sum_ambiguous"}
    assert "2 sets of 2 rows" in wrote.details(Side.RIGHT)["7"]


def test_sets_that_share_a_row_are_held_both(tmp_path):
    two = tables(
        tmp_path,
        [(1, "A", 10, 0), (2, "A", 20, 0), (3, "A", 40, 0)],
        [(7, "A", 30, 0), (8, "A", 50, 0)],
    )

    wrote = two.run({"passes": [SUMS]})

    assert wrote.pairs() == []
    assert set(wrote.reasons(Side.RIGHT).values()) == {"sum_ambiguous"}
    assert "share a row" in wrote.details(Side.RIGHT)["7"]


def test_more_rows_than_are_tried_say_so(tmp_path):
    two = tables(tmp_path, [(n, "A", n, 0) for n in range(1, 7)], [(7, "A", 6, 0)])

    wrote = two.run({"passes": [{**SUMS, "max_candidates": 5}]})

    assert wrote.reasons(Side.RIGHT) == {"7": "sum_budget_exceeded"}
    assert "more than the 5" in wrote.details(Side.RIGHT)["7"]


def test_only_rows_within_the_window_of_days_add_up(tmp_path):
    two = tables(
        tmp_path,
        [(1, "A", 10, 0), (2, "A", 20, 8), (3, "A", 20, 9), (4, "A", 10, 20)],
        [(7, "A", 30, 10)],
    )
    window = {"columns": ["day", "day"], "between": [2, 10]}

    wrote = two.run({"passes": [{**SUMS, "days": window}]})

    assert wrote.pairs() == [("1", "7"), ("2", "7")]


@pytest.mark.parametrize("one", ["left", "right"])
def test_exactly_the_unique_sets_are_accepted_whichever_way_a_run_is_carried_out(tmp_path, one):
    chosen = random.Random(5)
    blocks = [f"B{n}" for n in range(12)]
    items = [(n, chosen.choice(blocks), chosen.randrange(1, 300), 0) for n in range(90)]
    targets = []
    for n in range(25):
        who = chosen.choice(blocks)
        some = [a for _, w, a, _ in items if w == who]
        targets.append((n, who, sum(chosen.sample(some, 2)) + chosen.randrange(3), 0))
    sides = (items, targets) if one == "right" else (targets, items)
    two = tables(tmp_path, *sides)
    rule = {**SUMS, "one": one, "tolerance": "1.00", "max_items": 3, "max_candidates": 14}

    held, spooled = (
        two.run({"passes": [rule]}, share, **options)
        for share, options in ((AMPLE, {}), (SPOOLED, {"buckets": 5, "partitions": 2}))
    )

    told = sums_by_hand(items, targets, 1, 3, 14)
    for output, sets in (("matched", told.accepted), ("ambiguous", told.held)):
        expected = {(str(i), str(n)) for n, some in sets.items() for i in some}
        found = {pair if one == "right" else pair[::-1] for pair in held.pairs(output)}
        assert found == expected
    assert (len(told.accepted) > 3, len(told.held) > 3, told.rounds > 1) == (True, True, True)
    assert spooled.same_as(held)


def test_a_set_that_another_row_took_leaves_one_that_fits_alone(tmp_path):
    two = tables(
        tmp_path,
        [(1, "A", 10, 0), (2, "A", 20, 0), (3, "A", 25, 0), (4, "A", 5, 0), (5, "A", 99, 0)],
        [(7, "A", 109, 0), (8, "A", 30, 0)],
    )

    wrote = two.run({"passes": [{**SUMS, "max_items": 2}]})

    # 109 is 10 + 99 alone; 30 was 10 + 20 or 25 + 5 before.
    assert wrote.pairs() == [("1", "7"), ("3", "8"), ("4", "8"), ("5", "7")]
    assert wrote.pairs("ambiguous") == []


def test_rows_that_sets_took_no_longer_count_among_those_that_are_tried(tmp_path):
    two = tables(
        tmp_path,
        [(n, "A", 100 + n, n) for n in range(4)] + [(9, "A", 7, 4)],
        [(20, "A", 201, 0), (21, "A", 7, 4)],
    )
    window = {"columns": ["day", "day"], "between": [-1, 4]}

    wrote = two.run({"passes": [{**SUMS, "days": window, "max_candidates": 4}]})

    assert wrote.pairs() == [("0", "20"), ("1", "20"), ("9", "21")]


def test_groups_that_hang_together_are_accepted_if_they_balance(tmp_path):
    two = tables(
        tmp_path,
        [(1, "A", "10.00", 0), (2, "A", "20.05", 0), (3, "B", 5, 0)],
        [(7, "A", 25, 0), (8, "A", 5, 0), (9, "B", "6.00", 0)],
    )
    rule = {
        "name": "group",
        "match_sql": "SELECT l.who FROM l JOIN r ON l.who = r.who",
        "group_by": "component",
        "balance": {"left": "amount", "right": "amount", "tolerance": "0.05"},
    }

    wrote = two.run({"passes": [rule]})

    assert wrote.pairs() == [("1", "7"), ("1", "8"), ("2", "7"), ("2", "8")]
    assert len(set(wrote.tables["matched"].column("match_group").to_pylist())) == 1
    assert wrote.reasons(Side.LEFT) == {"3": "unbalanced"}
    assert "left less right is -1.00" in wrote.details(Side.RIGHT)["9"]


def test_matches_by_sums_have_the_amounts_that_were_added_up(tmp_path):
    two = tables(tmp_path, [(1, "A", "10.00", 0), (2, "A", "20.50", 0)], [(7, "A", "30.50", 5)])

    matched = two.run({"passes": [SUMS]}).tables["matched"]

    names = ("amount_left", "amount_right")
    assert [sorted(str(n) for n in matched.column(name).to_pylist()) for name in names] == [
        ["10.00", "20.50"],
        ["30.50", "30.50"],
    ]


def test_amounts_that_another_pass_has_as_text_are_left_out_of_matches_by_sums(tmp_path):
    two = tables(tmp_path, [(1, "A", "10.00", 0), (2, "A", "20.50", 0)], [(7, "A", "30.50", 5)])
    other = {
        "name": "same",
        "match_sql": "SELECT CAST(l.amount AS VARCHAR) || ' EUR' AS amount_left FROM l JOIN r "
        "ON l.amount = r.amount",
        "cardinality": "1:1",
    }

    wrote = two.run({"passes": [SUMS, other]})

    assert wrote.pairs() == [("1", "7"), ("2", "7")]
    assert wrote.tables["matched"].column("amount_left").null_count == 2
