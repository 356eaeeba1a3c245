"""Passes whose blocks, amounts or candidates are beyond what can be tried or held."""

import random
import re
from dataclasses import replace
from datetime import datetime, timedelta

import pyarrow as pa
import pytest

from kalla_core.engine.budget import BASE_BYTES, MIB
from kalla_core.engine.keys import pair_bound
from kalla_core.errors import InvalidSql, OutOfMemory, TooManyPairs
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.parse import parse_recipe
from tests.support.reconciled import TwoTables, table
from tests.support.runs import AMPLE
from tests.support.spread import spread

SPOOLED = replace(AMPLE, whole_bytes=3_000, join_bytes=2_000, run_bytes=4_000)
COLUMNS = {"id": pa.int64(), "who": pa.string(), "amount": pa.int64(), "at": pa.timestamp("us")}
SUMS = {
    "name": "batches",
    "kind": "subset_sum",
    "one": "right",
    "block": [["who", "who"]],
    "amount": ["amount", "amount"],
    "max_candidates": 6,
}
WINDOWS = [[-3, 9], [2, 9], [-9, -2], [0, 6]]
START = datetime(2026, 1, 1)
UNREACHED = 10**9


@pytest.fixture
def low_bound(monkeypatch):
    """Let small runs be stopped for their pairs."""
    monkeypatch.setattr(pair_bound, "ALWAYS_ALLOWED", 300)


def tables(folder, left, right) -> TwoTables:
    return TwoTables(folder).put(table(left, **COLUMNS), table(right, **COLUMNS))


def wide_and_narrow(folder, one: str) -> TwoTables:
    """A wide block of 60 rows on either side that nothing makes, and a narrow one with a match."""
    chosen = random.Random(3)
    sides = [
        [
            (n, "wide", most, START + timedelta(minutes=chosen.randrange(12 * 24 * 60)))
            for n in range(60)
        ]
        for most in (1, UNREACHED)
    ]
    day = START + timedelta(days=5)
    sides[0] += [(100, "narrow", 30, day), (101, "narrow", 12, day), (102, None, 30, day)]
    sides[1] += [(100, "narrow", 42, day), (101, None, 30, day)]
    return tables(folder, *(sides if one == "right" else sides[::-1]))


def counted(details: dict[str, str]) -> dict[str, int]:
    """Return of which rows it is said how many could be added up, and how many that were."""
    found = {key: re.search(r"(\d+) rows could be added up", said) for key, said in details.items()}
    return {key: int(some[1]) for key, some in found.items() if some}


@pytest.mark.parametrize("share", [AMPLE, SPOOLED], ids=["held", "spooled"])
def test_a_block_too_wide_is_said_to_be_and_the_run_goes_on(tmp_path, low_bound, share):
    two = wide_and_narrow(tmp_path, "right")

    wrote = two.run({"passes": [SUMS]}, share, max_pairs_per_row=1)

    assert wrote.pairs() == [("100", "100"), ("101", "100")]
    for side, other in ((Side.LEFT, "102"), (Side.RIGHT, "101")):
        reasons = wrote.reasons(side)
        assert reasons.pop(other) == "key_null"
        assert reasons == {str(n): "sum_budget_exceeded" for n in range(60)}
        assert counted(wrote.details(side)) == {str(n): 60 for n in range(60)}
    told = wrote.told.passes[0]
    assert (told.candidates, "3600 pairs were not made" in told.notes[0]) == (2, True)
    recipe = parse_recipe(two.document({"passes": [SUMS]}, max_pairs_per_row=1))
    assert wrote.same_as(spread(recipe, tmp_path, share=share))


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("one", ["left", "right"])
def test_rows_within_a_window_are_counted_as_they_would_be_paired(
    tmp_path, monkeypatch, one, window
):
    two = wide_and_narrow(tmp_path, one)
    rule = {**SUMS, "one": one, "days": {"columns": ["at", "at"], "between": window}}
    side = Side.LEFT if one == "left" else Side.RIGHT

    paired = two.run({"passes": [rule]})
    monkeypatch.setattr(pair_bound, "ALWAYS_ALLOWED", 350)
    left_out = two.run({"passes": [rule]}, max_pairs_per_row=1)

    expected = counted(paired.details(side))
    assert counted(left_out.details(side)) == expected
    assert len(set(expected.values())) > 3
    assert [left_out.reasons(s) for s in Side] == [paired.reasons(s) for s in Side]
    assert left_out.pairs() == paired.pairs()
    assert (paired.told.passes[0].notes, len(left_out.told.passes[0].notes)) == ((), 1)


def test_only_as_many_blocks_are_left_out_as_it_takes(tmp_path, low_bound):
    rows = [
        (100 * size + n, f"of {size}", most, START)
        for most in (1, UNREACHED)
        for size in (7, 16, 20)
        for n in range(size)
    ]
    two = tables(tmp_path, rows[:43], rows[43:])

    wrote = two.run({"passes": [SUMS]}, max_pairs_per_row=1)

    # Of 49 + 256 + 400 pairs those of the last are not made, and then 5 are still too many.
    assert wrote.told.passes[0].candidates == 49
    assert "656 pairs were not made" in wrote.told.passes[0].notes[0]


def test_many_narrow_blocks_of_too_many_pairs_stop_the_run(tmp_path, low_bound):
    rows = [(n, f"B{n // 5}", 1, START) for n in range(100)]
    two = tables(tmp_path, rows, rows)

    with pytest.raises(TooManyPairs, match="more than 300 pairs of 200 rows"):
        two.run({"passes": [SUMS]}, max_pairs_per_row=1)


def test_amounts_are_added_up_as_long_as_any_sum_of_them_has_room(tmp_path):
    most = (1 << 62) // 7
    left = [(1, "A", most, START), (2, "A", most - 1, START)]

    wrote = tables(tmp_path, left, [(7, "A", 2 * most - 1, START)]).run({"passes": [SUMS]})

    assert wrote.pairs() == [("1", "7"), ("2", "7")]


@pytest.mark.parametrize("sign", [1, -1])
def test_amounts_whose_sum_may_have_no_room_are_refused(tmp_path, sign):
    most = sign * ((1 << 62) // 7 + 1)
    two = tables(tmp_path, [(1, "A", most, START)], [(7, "A", 1, START)])

    with pytest.raises(InvalidSql, match="`amount` have too many digits to be added up") as refused:
        two.run({"passes": [SUMS]})

    assert refused.value.details["column_name"] == "amount"


def test_more_candidates_than_memory_can_decide_over_end_the_run_and_name_the_pass(tmp_path):
    ids = range(40)
    one = table([(n, "x") for n in ids], id=pa.int64(), ref=pa.string())
    two = TwoTables(tmp_path).put(one, one)
    sql = "SELECT l.id - r.id AS gap FROM l JOIN r ON l.ref = r.ref"
    rule = {"name": "near", "match_sql": sql, "cardinality": "1:1", "rank": ["gap"]}
    small = replace(AMPLE, limit_bytes=BASE_BYTES + MIB // 8)

    with pytest.raises(OutOfMemory, match=r"`near` has 1,600 candidates") as refused:
        two.run({"passes": [rule]}, small)

    assert refused.value.details == {"rule": "near", "candidates": 1600}
