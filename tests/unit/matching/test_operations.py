import pytest

from kalla_core.matching.sql.lexer import tokenize
from kalla_core.matching.sql.operations import operations

CALLS = frozenset({"sum", "round"})


def found(sql: str) -> list[str]:
    """Return each operation as its name and the text of its operands."""
    tokens = tokenize(sql)
    return [
        " | ".join([one.name, *(sql[tokens[a].start : tokens[b - 1].end] for a, b in one.operands)])
        for one in operations(tokens, CALLS)
    ]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("a + b * c", ["* | b | c", "+ | a | b * c"]),
        ("a - b - c", ["- | a | b", "- | a - b | c"]),
        ("(a + b) * c", ["+ | a | b", "* | (a + b) | c"]),
        ("-a::int * 2", ["negate | a::int", "* | -a::int | 2"]),
        ("a - -3", ["negate | 3", "- | a | -3"]),
        ("a || b + c", ["|| | a | b", "+ | a || b | c"]),
        ("a -> 'b'", ["-> | a | 'b'"]),
        ("a <= b + 1", ["+ | b | 1", "<= | a | b + 1"]),
        ("a * 2 = b and not c <> d", ["* | a | 2", "= | a * 2 | b", "<> | c | d"]),
        ("a between b - 1 and b + 1", ["- | b | 1", "+ | b | 1", "between | a | b - 1 | b + 1"]),
        ("a not between b and c", ["between | a | b | c"]),
        ("a in (b, c + 1)", ["+ | c | 1", "in | a | b | c + 1"]),
        ("a in (select b - 1 from t)", ["- | b | 1", "in query | a | (select b - 1 from t)"]),
        ("a is not distinct from b - 1", ["- | b | 1", "is not distinct from | a | b - 1"]),
        ("x[i + 1] * 2", ["+ | i | 1", "* | x[i + 1] | 2"]),
        ("t at time zone 'UTC' - u", ["- | t at time zone 'UTC' | u"]),
        ("interval '1' day * 2", ["* | interval '1' day | 2"]),
        ("date '2026-01-01' + 1", ["+ | date '2026-01-01' | 1"]),
        ("a::decimal(9, 2) + 1", ["+ | a::decimal(9, 2) | 1"]),
        ("extract(year from d) - 1", ["- | extract(year from d) | 1"]),
        ("sum(distinct a order by b)", ["sum | a"]),
        ("sum(a) filter (where b > 1) over w - c", [
            "> | b | 1", "sum | a", "- | sum(a) filter (where b > 1) over w | c",
        ]),
        ("round(a * 1.19, 2)", ["* | a | 1.19", "round | a * 1.19 | 2"]),
        ("left(a, 2) || right(b, 1)", ["|| | left(a, 2) | right(b, 1)"]),
    ],
)  # fmt: skip
def test_operands_reach_as_far_as_they_do_for_the_planner(sql: str, expected: list[str]) -> None:
    assert found(sql) == expected


@pytest.mark.parametrize(
    "sql",
    [
        "select * from t",
        "select distinct * from t",
        "select a, t.* from t",
        "select count(*) from t",
        "select a as b, c d from t limit 3",
        "select case when a then b else c end from t",
    ],
)
def test_a_star_and_clauses_are_no_operations(sql: str) -> None:
    assert found(sql) == []


@pytest.mark.parametrize(
    "around", ["case when {} then 1 end", "f({})", "(select 1 where {})", "[{}]"]
)
def test_operations_are_found_wherever_they_stand(around: str) -> None:
    assert found(around.format("a + 1 > b")) == ["+ | a | 1", "> | a + 1 | b"]
