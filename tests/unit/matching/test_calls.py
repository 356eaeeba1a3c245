import pytest

from kalla_core.errors import InvalidSql, TypesNotComparable
from kalla_core.functions import FUNCTIONS
from kalla_core.matching.plans.prepare import prepare
from tests.support.queries import query


@pytest.mark.parametrize(
    ("sql", "column", "message"),
    [
        ("select tolerance_match(id, 1) from left_src", 8, "takes 3 arguments, not 2"),
        ("select id, norm_ref() from left_src", 12, "takes 1 argument, not 0"),
        ("select 1,\n  norm_ref(ref, (1, 2)) from left_src", 3, "takes 1 argument, not 2"),
    ],
)
def test_a_wrong_number_of_arguments_is_said_with_its_place(
    sql: str, column: int, message: str
) -> None:
    with pytest.raises(InvalidSql, match=message) as caught:
        prepare(query(sql))

    assert caught.value.column == column


@pytest.mark.parametrize(
    "sql",
    [
        "select tolerance_match(ref, 1, 2) from left_src",
        "select tolerance_match(cast(amount as varchar), 1, 2) from left_src",
        "select norm_ref(id) from left_src",
        "select norm_ref(tags) from left_src",
        "select norm_name(id) from left_src",
        "select jaro_winkler(ref, id) from left_src",
        "select days_between(ref, booked) from left_src",
        "select days_between(booked, received) from left_src, right_src",
        "select refs_match(ref, tags) from left_src",
        "select date_within(booked, received, 1) from left_src, right_src",
    ],
)
def test_arguments_that_make_no_sense_are_refused_with_their_place(sql: str) -> None:
    with pytest.raises(TypesNotComparable, match=r"line 1, column 8") as caught:
        prepare(query(sql))

    assert caught.value.details["column"] == 8


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select extract_refs(ref, ref) from left_src", "pattern .* is a text in single quotes"),
        ("select extract_refs(ref, 'a' || 'b') from left_src", "is a text in single quotes"),
        ("select extract_refs(ref, '(') from left_src", "no regular expression"),
        ("select parse_amount(ref, lower(ref)) from left_src", "locale .* is a text in single"),
        ("select parse_amount(ref, 'germany') from left_src", "does not know how amounts"),
    ],
)
def test_what_has_to_be_known_beforehand_is_a_literal_that_makes_sense(
    sql: str, message: str
) -> None:
    with pytest.raises(InvalidSql, match=message) as caught:
        prepare(query(sql))

    assert (caught.value.line, caught.value.column) == (1, sql.index("(ref, ") + 7)


def test_every_function_can_be_prepared() -> None:
    samples = {
        "tolerance_match": "amount, id, 1",
        "tolerance_pct": "amount, rate, 0.01",
        "date_within": "due, booked, 2",
        "days_between": "due, booked",
        "norm_ref": "ref",
        "norm_name": "ref",
        "jaro_winkler": "ref, upper(ref)",
        "token_sort_ratio": "ref, 'a'",
        "token_set_ratio": "ref, null",
        "parse_amount": "ref, 'de'",
        "extract_refs": "ref, '[0-9]+'",
        "refs_match": "extract_refs(ref, 'a'), make_array('a')",
    }

    calls = {
        name: prepare(query(f"select {name}({samples[name]}) as x from left_src")).calls
        for name in FUNCTIONS
    }

    assert all(calls.values())
