"""Recipes with passes, from files to evidence, against a plain model and in every way."""

import random
from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pyarrow as pa
import pytest

from kalla_core.engine.progress import Stage
from kalla_core.errors import CardinalityViolated, InvalidSql
from kalla_core.inspection.explain import explain_recipe
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.parse import parse_recipe
from kalla_core.validate import validate_recipe
from tests.support.best_by_hand import ByHand, Pair
from tests.support.reconciled import TwoTables, Wrote, table
from tests.support.runs import AMPLE

SPOOLED = replace(AMPLE, whole_bytes=6_000, join_bytes=4_000, run_bytes=8_000)
MONEY = pa.decimal128(12, 2)
BY_REF = (
    "SELECT l.ref, abs(l.amount - r.amount) AS diff FROM l JOIN r"
    " ON l.ref = r.ref AND abs(l.amount - r.amount) <= 3"
)
BY_AMOUNT = "SELECT l.amount, l.day - r.day AS lag FROM l JOIN r ON l.amount = r.amount"
COLUMNS = {
    "id": pa.int64(),
    "ref": pa.string(),
    "amount": MONEY,
    "day": pa.int64(),
    "note": pa.string(),
}
PASSES = [
    {"name": "ref", "match_sql": BY_REF.replace("<= 3", "<= 0.5"), "cardinality": "1:1",
     "rank": ["diff"]},
    {"name": "many", "match_sql": BY_REF, "cardinality": "1:N", "rank": ["diff"]},
    {"name": "amount", "match_sql": BY_AMOUNT, "cardinality": "1:1", "rank": ["lag"],
     "on_tie": "first"},
    {"name": "maybe", "match_sql": BY_REF.replace("<= 3", "<= 9"), "cardinality": "N:1",
     "rank": ["diff"],
     "accept": "suggest", "confidence": 0.7},
]  # fmt: skip


def rows(seed: int, count: int) -> pa.Table:
    chosen = random.Random(seed)
    return table(
        [
            (n, f"R{chosen.randrange(count // 3)}", Decimal(chosen.randrange(900, 1500)) / 100,
             chosen.randrange(5), "x" * chosen.randrange(60))
            for n in range(count)
        ],
        **COLUMNS,
    )  # fmt: skip


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> TwoTables:
    return TwoTables(tmp_path_factory.mktemp("passes")).put(rows(1, 300), rows(2, 320))


@pytest.fixture(scope="module")
def held(two) -> Wrote:
    return two.run({"passes": PASSES})


def small(folder, left, right) -> TwoTables:
    """Two tables of (id, ref, amount)."""
    some = {"id": pa.int64(), "ref": pa.string(), "amount": MONEY}
    as_money = [[(n, ref, Decimal(amount)) for n, ref, amount in side] for side in (left, right)]
    return TwoTables(folder).put(*(table(side, **some) for side in as_money))


def near(rule, a, b) -> bool:
    if rule["name"] == "amount":
        return bool(a["amount"] == b["amount"])
    most = {"ref": Decimal("0.5"), "many": 3, "maybe": 9}[rule["name"]]
    return a["ref"] == b["ref"] and abs(a["amount"] - b["amount"]) <= most


def candidates(rule, left, right) -> list[Pair]:
    pairs = [(a, b) for a in left for b in right if near(rule, a, b)]
    by_lag = rule["rank"] == ["lag"]
    values = [a["day"] - b["day"] if by_lag else abs(a["amount"] - b["amount"]) for a, b in pairs]
    ranks = {value: rank for rank, value in enumerate(sorted(set(values)))}
    return [
        Pair(a["id"], b["id"], ranks[value], ranks[value], a["id"] * 1000 + b["id"])
        for (a, b), value in zip(pairs, values, strict=True)
    ]


def keyed(pairs, name=None):
    return sorted((name, str(p.left), str(p.right)) for p in pairs)


def test_passes_accept_and_hold_what_the_definition_says(two, held):
    left, right = rows(1, 300).to_pylist(), rows(2, 320).to_pylist()

    for rule in PASSES:
        cardinality, hold = rule["cardinality"], rule.get("on_tie") != "first"
        by_hand = ByHand(cardinality in ("1:1", "N:1"), cardinality in ("1:1", "1:N"), hold)
        accepted, ties = by_hand.settle(candidates(rule, left, right))
        output = "suggested" if rule.get("accept") == "suggest" else "matched"
        assert held.of_pass(output, rule["name"]) == keyed(accepted, rule["name"])
        held_pairs = [pair for tie in ties for pair in tie] if hold else []
        assert held.of_pass("ambiguous", rule["name"]) == keyed(held_pairs, rule["name"])
        assert accepted
        if output == "matched":
            left = [a for a in left if a["id"] not in {p.left for p in accepted}]
            right = [b for b in right if b["id"] not in {p.right for p in accepted}]
    assert held.tables["ambiguous"].num_rows


@pytest.mark.parametrize(
    ("share", "options"),
    [
        (AMPLE, {"partitions": 5}),
        (AMPLE, {"buckets": 1}),
        (SPOOLED, {"buckets": 7, "partitions": 3}),
        (SPOOLED, {"buckets": 16, "partitions": 8}),
    ],
)
def test_evidence_is_the_same_however_a_run_is_carried_out(two, held, share, options):
    assert two.run({"passes": PASSES}, share, **options).same_as(held)


def test_no_row_is_in_more_matches_than_it_may_be(held):
    matched = held.tables["matched"].to_pylist()

    for rule in PASSES[:3]:
        mine = [r for r in matched if r["rule_name"] == rule["name"]]
        lefts, rights = (Counter(r[key] for r in mine) for key in ("left_key", "right_key"))
        assert rule["cardinality"] != "1:1" or max(lefts.values()) == 1
        assert max(rights.values()) == 1
    for key in ("left_key", "right_key"):
        by_row = {}
        for r in matched:
            by_row.setdefault(r[key], set()).add(r["rule_name"])
        assert all(len(rules) == 1 for rules in by_row.values())


def test_the_waterfall_adds_up(held):
    left = {"left": 300, "right": 320}

    for figures in held.told.passes:
        left = {side: left[side] - figures.rows[side] for side in left}
        assert figures.left_over == left
    assert len(held.tables["unmatched_left"]) == left["left"]
    assert len(held.tables["unmatched_right"]) == left["right"]
    assert held.told.passes[0].accepted + held.told.passes[1].accepted > 0


def test_rows_of_one_group_share_its_id(held):
    many = [r for r in held.tables["matched"].to_pylist() if r["rule_name"] == "many"]

    by_left = {}
    for row in many:
        by_left.setdefault(row["left_key"], set()).add(row["match_group"])
    assert all(len(groups) == 1 for groups in by_left.values())
    groups = [next(iter(groups)) for groups in by_left.values()]
    assert len(set(groups)) == len(groups)


def test_a_tie_is_held_and_its_rows_say_so(tmp_path):
    two = small(tmp_path, [(1, "A", 10), (2, "A", 10), (3, "B", 5)], [(1, "A", 10), (2, "B", 5)])

    wrote = two.run({"match_sql": BY_REF, "cardinality": "1:1", "rank": ["diff"]})

    assert wrote.pairs() == [("3", "2")]
    assert wrote.pairs("ambiguous") == [("1", "1"), ("2", "1")]
    ties = wrote.tables["ambiguous"].column("tie").to_pylist()
    assert len(set(ties)) == 1
    assert wrote.reasons(Side.LEFT) == {"1": "ambiguous", "2": "ambiguous"}
    assert ties[0] in wrote.details(Side.RIGHT)["1"]


def test_a_row_whose_best_candidate_went_elsewhere_says_with_whom_and_by_what(tmp_path):
    two = small(tmp_path, [(1, "A", 10), (2, "A", 11)], [(1, "A", 10)])

    wrote = two.run({"match_sql": BY_REF, "cardinality": "1:1", "rank": ["diff"]})

    assert wrote.reasons(Side.LEFT) == {"2": "taken"}
    detail = wrote.details(Side.LEFT)["2"]
    assert detail == (
        "Its best candidate in the pass `match_sql` is 1, which is matched with 1 by rank "
        "(diff 0.00 against 1.00)."
    )


def test_a_row_whose_only_candidate_an_earlier_pass_consumed_is_taken(tmp_path):
    two = small(tmp_path, [(1, "A", 10), (2, "B", 10), (3, "C", 1)], [(7, "A", 10)])
    by_amount = "SELECT l.amount FROM l JOIN r ON l.amount = r.amount"
    passes = [
        {"name": "ref", "match_sql": BY_REF, "cardinality": "1:1"},
        {"name": "amount", "match_sql": by_amount, "cardinality": "1:1"},
    ]

    wrote = two.run({"passes": passes})

    assert wrote.reasons(Side.LEFT) == {"2": "taken", "3": "key_not_found"}
    assert "amount" in wrote.details(Side.LEFT)["2"]
    attempted = wrote.tables["unmatched_left"].column("attempted_rules").to_pylist()
    assert attempted == ['["ref", "amount"]'] * 2


def test_without_a_rank_every_competition_is_a_tie(tmp_path):
    two = small(tmp_path, [(1, "A", 10), (2, "A", 11)], [(1, "A", 10)])

    wrote = two.run({"match_sql": BY_REF, "cardinality": "1:1"})

    assert wrote.pairs() == []
    assert set(wrote.reasons(Side.LEFT).values()) == {"ambiguous"}


def test_who_takes_the_first_of_a_tie_takes_it_by_key_and_notes_it(tmp_path):
    two = small(tmp_path, [(10, "A", 10), (9, "A", 10)], [(5, "A", 10), (40, "A", 10)])

    wrote = two.run({"match_sql": BY_REF, "cardinality": "1:1", "on_tie": "first"})

    assert wrote.pairs() == [("10", "40"), ("9", "5")]
    assert set(wrote.tables["matched"].column("match_note").to_pylist()) == {"tie decided by key"}


def test_a_best_that_is_not_better_by_the_margin_is_held(tmp_path):
    two = small(tmp_path, [(1, "A", 10)], [(1, "A", "10.10"), (2, "A", "10.30")])
    rules = {"match_sql": BY_REF, "cardinality": "1:1", "rank": ["diff"]}

    clear, near = (two.run({**rules, "margin": margin}) for margin in ("0.20", "0.21"))

    assert clear.pairs() == [("1", "1")]
    assert near.pairs() == []
    assert near.pairs("ambiguous") == [("1", "1"), ("1", "2")]


def test_a_pair_that_comes_out_twice_is_one_candidate(tmp_path):
    two = small(tmp_path, [(1, "A", 10)], [(1, "A", 10)])
    twice = f"{BY_REF} UNION ALL SELECT l.ref, 9.00 AS diff FROM l JOIN r ON l.ref = r.ref"

    wrote = two.run({"match_sql": twice, "cardinality": "1:1", "rank": ["diff"]})

    assert wrote.tables["matched"].column("diff").to_pylist() == [Decimal("0.00")]
    assert wrote.told.passes[0].candidates == 1


def test_who_takes_all_fails_where_a_row_has_too_many_partners(tmp_path):
    two = small(tmp_path, [(1, "A", 10), (2, "A", 10)], [(1, "A", 10)])

    with pytest.raises(CardinalityViolated, match="1 has 2"):
        two.run({"match_sql": BY_REF, "cardinality": "1:N", "choose": "all"})


def test_control_totals_and_compared_columns_are_exact(tmp_path):
    two = small(
        tmp_path,
        [(1, "A", "10.10"), (2, "B", "20.20"), (3, "C", "0.01")],
        [(1, "A", "10.00"), (2, "B", "20.20"), (4, "D", "7.07")],
    )

    wrote = two.run(
        {
            "match_sql": "SELECT l.ref FROM l JOIN r ON l.ref = r.ref",
            "amounts": {"left": "amount", "right": "amount"},
            "compare": [{"left": "amount", "right": "amount", "tolerance": "0.05"},
                        {"left": "ref", "right": "ref"}],
        }
    )  # fmt: skip

    assert wrote.told.control_totals["bridge"] == [
        {"currency": None, "left_total": "30.31", "right_total": "37.27", "left_unmatched": "0.01",
         "right_unmatched": "7.07", "differences": "0.10"}
    ]  # fmt: skip
    assert wrote.told.passes[0].amounts == ({"currency": None, "left": "30.30", "right": "30.20"},)
    amount, ref = wrote.told.compared
    assert (amount["equal"], amount["different"], amount["largest_difference"]) == (1, 1, "0.10")
    assert (ref["equal"], ref["different"]) == (2, 0)
    differences = wrote.tables["matched"].column("differences").to_pylist()
    assert differences == [[{"column": "amount", "left": "10.10", "right": "10.00"}], []]


def test_a_recipe_that_reconciles_is_checked_with_everything_else(tmp_path):
    two = small(tmp_path, [(1, "A", 10)], [(1, "A", 10)])
    document = two.document(
        {
            "passes": [
                {"name": "a", "match_sql": BY_REF, "cardinality": "1:1", "rank": ["dif"]},
                {"name": "b", "match_sql": "SELECT l.reff FROM l JOIN r ON l.ref = r.ref"},
                {"name": "c", "match_sql": "SELECT 'x' AS diff FROM l JOIN r ON l.ref = r.ref",
                 "cardinality": "1:1", "rank": ["diff"], "margin": 1},
            ],
            "amounts": {"left": "ref", "right": "total"},
            "compare": [{"left": "ref", "right": "amount"}],
        }
    )  # fmt: skip

    faults = {f.path: f for f in validate_recipe(parse_recipe(document)).faults}

    assert {path: fault.code for path, fault in faults.items()} == {
        "amounts.left": "types_not_comparable",
        "amounts.right": "unknown_column",
        "compare[0]": "types_not_comparable",
        "passes[0].rank[0]": "unknown_column",
        "passes[1].match_sql": "unknown_column",
        "passes[2].margin": "types_not_comparable",
    }
    assert "`diff`" in faults["passes[0].rank[0]"].message


def test_an_assignment_of_the_largest_total_leaves_the_single_best_pair_for_two_good_ones(tmp_path):
    two = small(tmp_path, [(1, "A", 10), (2, "A", 12), (5, "B", 1)],
                [(7, "A", 11), (8, "A", 14), (9, "B", 1), (10, "B", 1)])  # fmt: skip
    sql = "SELECT l.ref, 9 - abs(l.amount - r.amount) AS score FROM l JOIN r ON l.ref = r.ref"
    rules = {"match_sql": sql, "cardinality": "1:1", "rank": ["score desc"], "choose": "assign"}

    wrote = two.run(rules)

    # 1-7 and 2-8 are 8 + 7, 2-7 and 1-8 are 8 + 5; 5 goes as well with 9 as with 10.
    assert wrote.pairs() == [("1", "7"), ("2", "8")]
    assert wrote.pairs("ambiguous") == [("5", "10"), ("5", "9")]
    assert wrote.reasons(Side.LEFT) == {"5": "ambiguous"}
    assert "in assignments of equal total" in wrote.details(Side.LEFT)["5"]


def test_an_assignment_says_which_candidates_it_did_not_look_at_or_decided_otherwise(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("kalla_core.assignment.assign.MOST_ROWS", 1)
    two = small(tmp_path, [(1, "A", 10), (2, "A", 12)], [(7, "A", 11), (8, "A", 14), (9, "A", 99)])
    sql = "SELECT l.ref, 9 - abs(l.amount - r.amount) AS score FROM l JOIN r ON l.ref = r.ref"
    rules = {"match_sql": sql, "cardinality": "1:1", "rank": ["score desc"], "choose": "assign"}

    wrote = two.run(rules)

    below, otherwise = wrote.told.passes[0].notes
    assert below.startswith("2 candidates have no `score` above zero")
    assert otherwise.startswith("4 candidates hang together")
    assert wrote.pairs("ambiguous") == [("1", "7"), ("2", "7")]


def test_an_explanation_tells_what_each_pass_does(two):
    recipe = parse_recipe(two.document({"passes": PASSES}))

    why = explain_recipe(recipe, 1 << 30, 2).planned.why

    assert [line for line in why if line.startswith("Pass")] == [
        "Pass 1, ref: 1:1, best by diff, ties hold; consumes rows; rows are cut by copartition.",
        "Pass 2, many: 1:N, best by diff, ties hold; consumes rows; rows are cut by copartition.",
        "Pass 3, amount: 1:1, best by lag, ties first; consumes rows; rows are cut by copartition.",
        "Pass 4, maybe: N:1, best by diff, ties hold; proposes matches; rows are cut by "
        "copartition.",
    ]


def test_progress_names_the_pass_that_looks_for_matches(two):
    reports = []

    two.run({"passes": PASSES}, on_progress=reports.append)

    named = [one.source for one in reports if one.stage is Stage.MATCHING]
    assert list(dict.fromkeys(named)) == ["ref", "many", "amount", "maybe"]


def test_a_value_on_which_a_later_pass_fails_is_named_with_its_row(tmp_path):
    two = small(tmp_path, [(1, "5", 10), (2, "B", 10)], [(7, "5", 10), (8, "C", 10)])
    fails = "SELECT CAST(l.ref AS INT) AS n FROM l JOIN r ON l.amount = r.amount"
    passes = [
        {"name": "ref", "match_sql": BY_REF, "cardinality": "1:1"},
        {"name": "amount", "match_sql": fails, "cardinality": "1:1"},
    ]

    with pytest.raises(InvalidSql) as failed:
        two.run({"passes": passes})

    assert "id = 2" in failed.value.message
    assert "'B'" in failed.value.message


def test_what_each_pass_made_of_each_open_row_is_told_with_its_candidates(two, held):
    left, right = rows(1, 300).to_pylist(), rows(2, 320).to_pylist()
    told = held.tables["attempts"].to_pylist()
    by = {(r["side"], r["record_key"], r["rule_name"]): r for r in told}

    for rule in PASSES:
        pairs = candidates(rule, left, right)
        for side in Side:
            counted = Counter(getattr(pair, side.word) for pair in pairs)
            for key in held.reasons(side):
                assert by[side.word, key, rule["name"]]["candidates"] == counted[int(key)]
        used = {
            name: {r[f"{name}_key"] for r in held.tables["matched"].to_pylist()
                   if r["rule_name"] == rule["name"]}
            for name in ("left", "right")
        }  # fmt: skip
        left = [a for a in left if str(a["id"]) not in used["left"]]
        right = [b for b in right if str(b["id"]) not in used["right"]]
    assert len(told) == len(PASSES) * (len(left) + len(right))
    assert {r["rejection_reason"] for r in told} >= {"ambiguous", "taken", "suggested"}


def test_who_took_the_best_candidate_is_told_with_both_ranks(tmp_path):
    two = small(tmp_path, [(1, "A", "10.00"), (2, "A", "10.50")], [(7, "A", "10.10")])

    wrote = two.run({"passes": PASSES[:1]})

    (row,) = (r for r in wrote.tables["attempts"].to_pylist() if r["side"] == "left")
    assert (row["record_key"], row["match_key"], row["candidates"]) == ("2", "ref = 'A'", 1)
    assert (row["rejection_reason"], row["closest_candidate"], row["taken_by"]) == (
        "taken",
        "7",
        "1",
    )
    assert row["ranks"] == [{"column": "diff", "value": "0.40", "taken": "0.10"}]


def test_a_recipe_that_only_compares_has_no_passes_to_tell_of(tmp_path):
    two = small(tmp_path, [(1, "A", "10.00")], [(7, "A", "10.10")])
    compare = [{"left": "amount", "right": "amount"}]

    wrote = two.run({"match_sql": BY_REF, "compare": compare})

    assert "attempts" not in wrote.tables


def test_a_column_that_is_a_whole_number_in_one_pass_and_a_decimal_in_another_keeps_both(tmp_path):
    two = small(
        tmp_path,
        [(1, "A", "10.00"), (2, "B", "7.00")],
        [(7, "A", "10.25"), (8, "C", "7.00")],
    )
    passes = [
        {**PASSES[0], "match_sql": BY_REF, "cardinality": "1:1"},
        {**PASSES[0], "name": "amount", "rank": ["diff"],
         "match_sql": "SELECT CAST(4000000000000000000 AS BIGINT) AS diff FROM l JOIN r"
         " ON l.amount = r.amount"},
    ]  # fmt: skip

    wrote = two.run({"passes": passes})

    found = {row["rule_name"]: row["diff"] for row in wrote.tables["matched"].to_pylist()}
    assert found == {"ref": Decimal("0.25"), "amount": Decimal(4 * 10**18)}
