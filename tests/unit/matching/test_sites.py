import pytest

from kalla_core.matching.sql.lexer import tokenize
from kalla_core.matching.sql.sites import call_sites, is_ordered


def calls(sql: str) -> list[tuple[str, list[str]]]:
    tokens = tokenize(sql)
    return [
        (
            site.name.value,
            [sql[tokens[a].start : tokens[b - 1].end] if a < b else "" for a, b in site.arguments],
        )
        for site in call_sites(tokens)
    ]


def test_arguments_end_at_commas_that_are_in_no_bracket() -> None:
    found = calls("select f(a, g(b, c), [d, e], 'x,y') /* h(z) */")

    assert found == [
        ("f", ["a", "g(b, c)", "[d, e]", "'x,y'"]),
        ("g", ["b", "c"]),
    ]


def test_a_comment_may_stand_between_a_name_and_its_bracket() -> None:
    assert calls("select f /* x */ ()") == [("f", [])]


@pytest.mark.parametrize(
    "sql", ["with f(a, b) as (select 1, 2) select 1", "select 1 from t as f(a, b)"]
)
def test_a_definition_is_no_call(sql: str) -> None:
    assert ("f", ["a", "b"]) not in calls(sql)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("array_agg(x)", False),
        ("array_agg(x order by y)", True),
        ("array_agg(f(x order by y))", False),
        ("array_agg(x) filter (where y > 1)", False),
        ("array_agg(x) filter (where y in (select z from t order by z))", False),
        ("f(x) within group (order by y)", True),
        ("f(x) over (partition by y)", False),
        ("f(x) filter (where y) over (partition by y order by z)", True),
        ("f(x) ignore nulls over (order by z)", True),
        ("f(x) over w from t window w as (order by y)", True),
        ("f(x) over w from t window w as (partition by y)", False),
        ("f(x), g(y) over (order by z)", False),
    ],
)
def test_a_call_is_ordered_by_its_own_clauses_only(sql: str, expected: bool) -> None:
    tokens = tokenize("select " + sql)

    site = next(iter(call_sites(tokens)))

    assert is_ordered(tokens, site) is expected


@pytest.mark.parametrize(
    "sql", ["f(", "f(a", "f(a,", "f((a)", "f(a) filter (", "f() over", "f()))"]
)
def test_brackets_that_do_not_match_are_no_trouble(sql: str) -> None:
    found = calls(sql)

    assert found[0][0] == "f"
