from __future__ import annotations

import pytest

from kalla_core.errors import InvalidSql, UnknownColumn
from kalla_core.matching.plans.prepare import prepare
from tests.support.queries import query
from tests.unit.matching.groupings import settled


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("a is distinct from b and c", "(a is distinct from b) and c"),
        ("a is not distinct from b + 1", "a is not distinct from (b + 1)"),
        (
            "a is distinct from b or c is distinct from d",
            "(a is distinct from b) or (c is distinct from d)",
        ),
        ("x = a like 'z' escape '!' and y", "x = (a like 'z' escape '!') and y"),
        *(
            (
                f"a is not distinct from b {word} c {end}",
                f"(a is not distinct from b) {word} c {end}",
            )
            for word in ("and", "or")
            for end in ("is null", "is not true", "in (1, 2)", "> any (d)")
        ),
        (
            "case when a is not distinct from b and c is null then d is null end",
            "case when (a is not distinct from b) and c is null then d is null end",
        ),
        ("a + b || c", "(a + b) || c"),
        ("a = b in (1, 2)", "a = (b in (1, 2))"),
        (
            "case when a = b in (1) then 1 + 2 || 'x' end = 3 like 'y'",
            "case when a = (b in (1)) then (1 + 2) || 'x' end = (3 like 'y')",
        ),
        (
            "sum(x) filter (where a = b like c) over (order by a | b & c)",
            "sum(x) filter (where a = (b like c)) over (order by (a | b) & c)",
        ),
        (
            "a::timestamp(6) with time zone is null = b::double precision like c",
            "(a::timestamp(6) with time zone is null) = (b::double precision like c)",
        ),
        (
            "timestamp with time zone '2026-01-01' || 'x' like b = c",
            "(timestamp with time zone '2026-01-01' || 'x' like b) = c",
        ),
        ("interval '1' day to second + a || b", "(interval '1' day to second + a) || b"),
        ("a = any(b) = c", "a = any(b) = c"),
        (
            "not exists (select 1 from t where a = b like c)",
            "not exists (select 1 from t where a = (b like c))",
        ),
        ("a between 1 and 2 and b between 3 and 4", "a between 1 and 2 and b between 3 and 4"),
        ("a[1 + b || c] || d.e like f", "a[(1 + b) || c] || d.e like f"),
        ("-a * -b + 1 = 2 and not c or d", "-a * -b + 1 = 2 and not c or d"),
    ],
)
def test_brackets_are_put_in_where_they_are_needed(written: str, read: str) -> None:
    assert settled(f"select {written} from t") == f"select {read} from t"
    assert settled(f"select 1 from t where {written}") == f"select 1 from t where {read}"


@pytest.mark.parametrize(
    "sql",
    [
        "select * from a join b on a.k = b.k and (a.x is null or b.y > 1 + 2) order by a.k desc",
        "select a.*, -b x, count(*) over (order by c rows between 1 preceding and current row)"
        " from a left join b using (k) where not c group by all having sum(d) > -1 limit 1 + 1",
        "select extract(year from d), trim(both ' ' from e), position('a' in f) from a, b",
        "with t(a, b) as (values (1, 2)), u as (select 1) select distinct t.a - -t.b from t, u",
    ],
)
def test_all_else_stays_as_it_was_written(sql: str) -> None:
    assert settled(sql) == sql


@pytest.mark.parametrize(
    ("condition", "column", "remedy"),
    [
        ("l.id ^ 2 = r.id", 54, "power(a, b)"),
        ("l.id = 1 xor r.id = 2", 58, "a <> b"),
        ("l.id = r.id = true", 61, "brackets"),
        ("l.ref like r.reference like 'x'", 72, "brackets"),
        ("l.id is distinct from r.id is null", 76, "brackets"),
        ("(l.id, l.ref) = (r.id, r.reference)", 49, "(a, b) = (c, d) as a = c"),
        ("((l.id), upper(l.ref)) <> (r.id, r.reference)", 49, "(a, b) = (c, d) as a = c"),
        ("l.id = (r.id, r.reference)", 56, "(a, b) = (c, d) as a = c"),
        ("(l.id, l.ref) in ((1, 'x'))", 49, "(a, b) = (c, d) as a = c"),
    ],
)
def test_what_has_no_one_meaning_is_refused_with_its_place(
    condition: str, column: int, remedy: str
) -> None:
    sql = f"select l.id from left_src l join right_src r on {condition}"

    with pytest.raises(InvalidSql) as refusal:
        prepare(query(sql))

    assert f"(line 1, column {column}); write {remedy}" in refusal.value.message


def test_an_error_behind_brackets_that_were_put_in_is_told_at_its_own_place() -> None:
    sql = "select id from left_src where id is distinct from 1 and ref is distinct from reff"

    with pytest.raises(UnknownColumn) as refusal:
        prepare(query(sql))

    assert f"column {sql.index('reff') + 1}" in refusal.value.message


def test_a_hundred_null_safe_conditions_are_not_nested_too_deeply() -> None:
    conditions = " and ".join(
        f"l.ref is not distinct from r.reference || '{n}'" for n in range(100)
    )

    text = prepare(query(f"select l.id from left_src l join right_src r on {conditions}")).text

    assert text.count("(l.ref is not distinct from (r.reference || ") == 100
