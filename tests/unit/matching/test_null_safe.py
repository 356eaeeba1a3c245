from __future__ import annotations

import pytest

from kalla_core.errors import InvalidSql, TypesNotComparable
from kalla_core.matching.plans.prepare import prepare
from kalla_core.matching.strategy.planned import Strategy
from tests.support.queries import query
from tests.unit.matching.running import planned

JOIN = "select l.id, r.id rid from left_src l join right_src r on"


def test_same_counts_as_a_key_and_keeps_nulls_together() -> None:
    plan = planned(f"{JOIN} same(l.k, r.k) and same(l.ref, r.ref)")

    assert plan.strategy is Strategy.COPARTITION
    assert len(plan.reason_keys) == 2
    assert plan.nulls_together


def test_same_may_stand_wherever_a_condition_may() -> None:
    sql = f"{JOIN} not same(lower(l.ref), nullif(r.reference, '')) or case when SAME(l.id, 1.5)"

    text = prepare(query(f"{sql} then true end")).text

    assert "not ((lower(l.ref)) IS NOT DISTINCT FROM ( nullif(r.reference, '')))" in text
    assert "when ((l.id) IS NOT DISTINCT FROM ( 1.5)) then" in text


def test_values_of_unlike_types_are_not_the_same_but_refused() -> None:
    with pytest.raises(TypesNotComparable, match=r"l\.ref is text and r\.paid is a decimal"):
        prepare(query(f"{JOIN} same(l.ref, r.paid)"))


@pytest.mark.parametrize("arguments", ["", "l.id", "l.id, r.id, 1"])
def test_same_takes_two_arguments(arguments: str) -> None:
    with pytest.raises(InvalidSql, match=r"same takes 2 arguments.*line 1, column 59"):
        prepare(query(f"{JOIN} same({arguments})"))


def test_its_name_is_among_those_that_are_proposed() -> None:
    with pytest.raises(InvalidSql, match="`same`"):
        prepare(query(f"{JOIN} sames(l.id, r.id)"))


def test_an_equality_in_where_does_not_become_null_safe_beside_a_null_safe_join() -> None:
    with pytest.raises(InvalidSql, match="Write the equality into the ON"):
        planned(f"{JOIN} same(l.k, r.k) where l.grp = r.grp")

    plan = planned(f"{JOIN} same(l.k, r.k) and l.grp = r.grp where l.cur = 'EUR'")

    assert plan.strategy is Strategy.COPARTITION
    assert not plan.nulls_together
