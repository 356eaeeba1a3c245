"""The first pass is searched while the passes after it are planned, and nobody can tell."""

from decimal import Decimal

import pyarrow as pa
import pytest

from kalla_core.errors import InvalidSql, RecipeInvalid
from tests.support.reconciled import TwoTables, table

BY_REF = "SELECT l.ref FROM l JOIN r ON l.ref = r.ref"
FAILS = "SELECT l.ref FROM l JOIN r ON CAST(l.ref AS BIGINT) = r.id"


@pytest.fixture
def two(tmp_path) -> TwoTables:
    kinds = {"id": pa.int64(), "ref": pa.string(), "amount": pa.decimal128(9, 2)}
    left = table([(1, "1", Decimal(10)), (2, "B", Decimal(20)), (3, "C", Decimal(5))], **kinds)
    right = table([(1, "1", Decimal(10)), (2, "B", Decimal(25)), (3, "D", Decimal(5))], **kinds)
    return TwoTables(tmp_path).put(left, right)


def test_a_pass_at_fault_is_told_of_though_the_first_fails_on_a_value(two):
    passes = [
        {"name": "fails", "match_sql": FAILS},
        {"name": "wrong", "match_sql": BY_REF.replace("r.ref", "r.nothing")},
    ]

    with pytest.raises(RecipeInvalid) as refused:
        two.run({"passes": passes})

    assert [fault.path for fault in refused.value.faults] == ["passes[1].match_sql"]
    assert "nothing" in refused.value.faults[0].message


def test_a_value_that_fails_in_the_first_pass_is_named_with_its_row(two):
    passes = [{"name": "fails", "match_sql": FAILS}, {"name": "ref", "match_sql": BY_REF}]

    with pytest.raises(InvalidSql, match="id = 2"):
        two.run({"passes": passes})


def test_sums_may_come_first_though_their_sql_is_planned_last(two):
    sums = {
        "name": "sums", "kind": "subset_sum", "one": "left", "block": [["ref", "ref"]],
        "amount": ["amount", "amount"], "max_items": 2,
    }  # fmt: skip
    rules = {"passes": [sums, {"name": "ref", "match_sql": BY_REF}]}

    wrote = two.run(rules)

    assert wrote.of_pass("matched", "sums") == [("sums", "1", "1")]
    assert wrote.of_pass("matched", "ref") == [("ref", "2", "2")]
