"""Unlike values do not meet where no plan of the whole statement shows that they do."""

import pytest

from kalla_core.errors import TypesNotComparable
from kalla_core.matching.plans.prepare import prepare
from tests.support.queries import query


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("l.id > (select count(*) from right_src where paid = reference)", "text"),
        ("l.id = (select max(id) from (select id from right_src where id > reference) t)", "text"),
        ("l.id in (select id from right_src where paid < reference)", "text"),
        ("l.id > (select max(id) from right_src where exists (select 1 from fx_rates where "
         "ccy = factor))", "text"),
    ],
)  # fmt: skip
def test_unlike_values_do_not_meet_inside_a_sub_query(condition: str, words: str) -> None:
    sql = (
        f"select l.id, r.id as rid from left_src l join right_src r on l.id = r.id and {condition}"
    )

    with pytest.raises(TypesNotComparable, match=words):
        prepare(query(sql))


@pytest.mark.parametrize(
    "condition",
    [
        "l.id = (select max(reference) from right_src)",
        "(select max(reference) from right_src) > l.id",
        "l.id between (select min(reference) from right_src) and 5",
        "l.id in (1, (select max(reference) from right_src))",
        "(select max(id) from right_src) = (select max(reference) from right_src)",
        "coalesce((select max(reference) from right_src), l.id) = 5",
        "l.booked = (select max(reference) from right_src)",
        "l.due < (select max(received) from right_src)",
        "l.id in (select reference from right_src)",
        "l.booked in (select received from right_src)",
        "received - booked > interval '1 hour'",
        "nvl(l.id, ref) = ref",
    ],
)
@pytest.mark.parametrize("clause", ["on", "where"])
def test_unlike_values_meet_neither_around_a_sub_query_nor_where_they_would_become_text(
    condition: str, clause: str
) -> None:
    join = "on" if clause == "on" else "on l.id = r.id where"

    with pytest.raises(TypesNotComparable, match="cannot be"):
        prepare(query(f"select l.id from left_src l join right_src r {join} {condition}"))


@pytest.mark.parametrize(
    "condition",
    [
        "l.due > all (select 5)",
        "l.due >= some (select id from right_src)",
        "l.id <= all (select 'a')",
        "l.id >= any (select fx from right_src)",
        "l.ref = any (select id from right_src)",
        "l.booked <> all (select received from right_src)",
        "exists (select 1 from payments p where p.paid_on > all (select 5))",
    ],
)
def test_any_and_all_compare_no_unlike_values_either(condition: str) -> None:
    sql = f"select l.id from left_src l join right_src r on l.id = r.id where {condition}"

    with pytest.raises(TypesNotComparable, match="cannot be compared"):
        prepare(query(sql))


@pytest.mark.parametrize(
    "condition",
    [
        "array_has(tags, fx)",
        "fx = any(tags)",
        "array_position(tags, rate) = 1",
        "array_has_any(tags, make_array(rate))",
        "array_remove(tags, fx) = tags",
        "tags = make_array(fx)",
        "array_has(make_array(ref), l.id)",
        "array_has(make_array(booked), received)",
    ],
)
def test_values_in_lists_are_compared_as_others_are(condition: str) -> None:
    sql = f"select l.id from left_src l join right_src r on l.id = r.id where {condition}"

    with pytest.raises(TypesNotComparable, match=r"a list, each .* cannot be compared"):
        prepare(query(sql))


@pytest.mark.parametrize(
    "clause",
    [
        "having sum(l.id) filter (where l.ref = r.id) > 1",
        "having count(*) filter (where received > booked) > 1",
        "having count(*) filter (where due = received) > 1",
        "having array_agg(l.ref order by l.ref = r.id, l.id) is not null",
        "having max(l.ref) = max(l.id)",
        "having max(l.id) > (select max(reference) from right_src)",
        "order by max(l.ref) = max(l.id)",
    ],
)
def test_unlike_values_do_not_meet_inside_of_aggregates_or_beside_them(clause: str) -> None:
    sql = "select l.id, r.id as rid from left_src l join right_src r on l.id = r.id group by 1, 2"

    with pytest.raises(TypesNotComparable, match="cannot be compared"):
        prepare(query(f"{sql} {clause}"))


@pytest.mark.parametrize(
    "condition",
    [
        "l.ref = (select max(reference) from right_src)",
        "l.id in (select id from right_src where reference = 'a')",
        "l.due = (select max(received at time zone 'UTC')::date from right_src)",
        "l.due > (select max(paid_on) from right_src where paid_on > '2026-01-01')",
        "l.booked > (select max(booked) from left_src where booked > now())",
        "l.amount = (select max(paid) from right_src where paid > 1)",
        "l.due >= all (select booked from left_src)",
        "l.amount > any (select paid from right_src)",
        "l.id <> all (select 5)",
        "array_has(tags, 1) or array_has_any(tags, make_array(r.id)) or tags = make_array(1, 2)",
    ],
)
def test_like_values_do_meet_around_a_sub_query(condition: str) -> None:
    prepare(query(f"select l.id from left_src l join right_src r on l.id = r.id where {condition}"))
