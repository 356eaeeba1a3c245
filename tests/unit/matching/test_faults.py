import pytest

from kalla_core.errors import (
    ForbiddenSql,
    InvalidSql,
    KallaError,
    TypesNotComparable,
    UnknownColumn,
)
from kalla_core.matching.plans.prepare import prepare
from tests.support.queries import query

JOIN = "select 1 from left_src l join right_src r on"
CASES = [
    # statement, error, line, column, what the message says
    ("select l.amout from left_src l", UnknownColumn, 1, 8, ('"l.amout"', "`amount`")),
    ("select\n  id,\n  amout from left_src", UnknownColumn, 3, 3, ("`amount`",)),
    ("select payd from left_src l, right_src r", UnknownColumn, 1, 8, ("`paid`",)),
    ("select id from left_src where x.id = 1", UnknownColumn, 1, 31, ("left_src.id",)),
    ("select left_src.id from left_src l", UnknownColumn, 1, 8, ("write l.id",)),
    ("select Invoices.id from Invoices i", UnknownColumn, 1, 8, ("write i.id",)),
    ("select odd from left_src", UnknownColumn, 1, 8, ('`"Odd Name"`',)),
    ('select "AMOUNT" from left_src', UnknownColumn, 1, 8, ("write amount", "as they stand")),
    ('select "odd name" from left_src', UnknownColumn, 1, 8, ('write "Odd Name"', "lower case")),
    ("select l.paid_on from left_src l, right_src r", UnknownColumn, 1, 8, ("name is in r",)),
    ("select l.id from left_src l join right_src r using (idd)", UnknownColumn, 1, 53, ("`id`",)),
    ("select g.s from (select id as k from left_src) g", UnknownColumn, 1, 8, ("`k`",)),
    ("select id from left_src l, right_src r", InvalidSql, 1, 8, ("Several tables", '"id"')),
    ("select tolerence_match(1, 2, 3) as x", InvalidSql, 1, 8, ("`tolerance_match`",)),
    ("select id,\n levenstein(ref, 'a') from left_src", InvalidSql, 2, 2, ("`levenshtein`",)),
    ("select now(1) from left_src", InvalidSql, 1, 8, ("now() takes no arguments",)),
    ("select * from Invoice", ForbiddenSql, 1, 15, ("`Invoices`",)),
    ("select * from 'a.csv'", ForbiddenSql, 1, 15, ("files", "a.csv")),
    ("select 1 from left_src where", InvalidSql, 1, 29, ("ends there",)),
    ("select (1 from left_src", InvalidSql, 1, 8, ("not closed", ") is missing")),
    ("select now(), id) from left_src", InvalidSql, 1, 17, ("closes nothing",)),
    ("select now(), 1 2 3 from left_src", InvalidSql, 1, 17, ("found 2",)),
    ("select id from left_src group ref", InvalidSql, 1, None, ("expected",)),
    (
        "select due + amount from left_src",
        TypesNotComparable,
        1,
        8,
        ("date", "decimal(12,2)", "in due + amount"),
    ),
    ("select sum(ref) from left_src", TypesNotComparable, 1, 8, ("sum", "(text)")),
    ("select abs(ref) from left_src", TypesNotComparable, 1, 8, ("abs",)),
    ("select ref like id from left_src", TypesNotComparable, 1, 8, ("text", "in ref like id")),
    ("select tags = id from left_src", TypesNotComparable, 1, 8, ("list", "integer")),
    (
        "select 1 from left_src l join right_src r on l.id = r.id and l.ref like r.id",
        TypesNotComparable,
        1,
        62,
        ("text", "integer", "in l.ref like r.id", "CAST"),
    ),
    (
        "select l.id as a, r.id as b from left_src l, right_src r "
        "except select l.id, r.id from left_src l, right_src r",
        InvalidSql,
        1,
        10,
        ("names of their own: AS",),
    ),
    ("select id, sum(amount) from left_src", InvalidSql, 1, 8, ("GROUP BY",)),
    ("select id as a, ref as a from left_src", InvalidSql, None, None, ('name "a"',)),
    ("select 1 from left_src l join right_src l on true", InvalidSql, 1, 24, ('name "l"',)),
    ("select 1 from left_src where id", InvalidSql, 1, 30, ("integer", "not true or false")),
    ("select 1 from left_src where due = '2026-99-01'", InvalidSql, 1, 36, ("valid date",)),
    ("select cast('x' as int)", InvalidSql, 1, 13, ("'x'", "integer")),
    ("select timestamp 'now'", InvalidSql, 1, 18, ("'now'", "timestamp")),
    ("select interval '1 x'", InvalidSql, 1, 17, ("1 x", "interval")),
    ("select * from left_src pivot (sum(id) for ref in ('a'))", InvalidSql, 1, 24, ("PIVOT",)),
    (
        "select id from left_src union select id, ref from left_src",
        InvalidSql,
        None,
        None,
        ("number",),
    ),
    (
        "select id from left_src where sum(id) > 1",
        InvalidSql,
        1,
        31,
        ("sum(id)", "WHERE", "HAVING"),
    ),
    (f"{JOIN} l.id = r.id and max(r.id) = 1", InvalidSql, 1, 62, ("max(r.id)", "GROUP BY")),
    (
        f"{JOIN} l.id = r.id and row_number() over (order by l.id) = 1",
        InvalidSql,
        1,
        62,
        ("row_number() over (order by l.id) looks at many rows", "sub-query"),
    ),
    (
        f"{JOIN} l.id = any (select 1)",
        InvalidSql,
        1,
        57,
        ("ANY", "ON", "write IN instead of = ANY"),
    ),
    (
        "select id = any (select 1) as a from left_src",
        InvalidSql,
        1,
        8,
        ("id = any (select 1) can stand in WHERE",),
    ),
    (
        "select l.id from left_src l semi join right_src r on true",
        InvalidSql,
        None,
        None,
        ("Semi",),
    ),
    (f"{JOIN} l.tags @> l.tags", InvalidSql, 1, 53, ("operator @>", "array_has_all(a, b)")),
    (f"{JOIN} l.tags <@ l.tags", InvalidSql, 1, 53, ("operator <@", "array_has_all(b, a)")),
    (f"{JOIN} l.tags && l.tags", InvalidSql, 1, 53, ("operator &&", "array_has_any(a, b)")),
    (f"{JOIN} l.ref ->> 'a' = 'b'", InvalidSql, 1, 52, ("operator ->>",)),
    (f"{JOIN} l.id = r.id and not l.id", InvalidSql, 1, 62, ("not l.id", "integer", "<> 0")),
    (f"{JOIN} l.id = r.id and l.id", InvalidSql, 1, 46, ("integer", "where conditions")),
    (
        f"{JOIN} l.id = r.id and l.id = true",
        TypesNotComparable,
        1,
        62,
        ("integer", "true/false", "in l.id = true"),
    ),
    (f"{JOIN} l.id in (values (1), (2))", InvalidSql, 1, 46, ("VALUES", "IN (1, 2)")),
    (f"{JOIN} cast(l.id as decimal(80, 2)) = 1", InvalidSql, 1, 46, ("DECIMAL(80, 2)", "76")),
    (f"{JOIN} cast(l.id as decimal(38, 39)) = 1", InvalidSql, 1, 46, ("DECIMAL(38, 39)", "76")),
    (f"{JOIN} l.ref::uuid = r.reference", InvalidSql, 1, 53, ("no type UUID",)),
    (f'{JOIN} l.ref collate "C" = r.reference', InvalidSql, 1, 52, ("COLLATE is not supported",)),
    (
        f"{JOIN} l.booked = '2026-03-29 01:00'",
        InvalidSql,
        1,
        57,
        ("seconds", "'2026-03-29 01:00:00'"),
    ),
    ("select id from left_src limit 'a'", InvalidSql, None, None, ("LIMIT",)),
    ("select id from left_src order by 7", InvalidSql, None, None, ("7",)),
    ("select (select id, ref from left_src)", InvalidSql, None, None, ("one column",)),
    ("with a as (select 1), a as (select 2) select 1", InvalidSql, None, None, ('"a"',)),
    ("select substr(ref) from left_src", InvalidSql, None, None, ("Substring",)),
    ("select 1 // 2", InvalidSql, None, None, ("DIV",)),
    ("select top 5 id from left_src", InvalidSql, None, None, ("Not supported: TOP",)),
    ("select * from table(range(3))", ForbiddenSql, 1, 15, ("read as tables",)),
]


@pytest.mark.parametrize(
    ("sql", "kind", "line", "column", "words"), CASES, ids=[case[0][:40] for case in CASES]
)
def test_a_refusal_says_what_where_and_what_to_write(
    sql: str, kind: type[KallaError], line: int | None, column: int | None, words: tuple[str, ...]
) -> None:
    with pytest.raises(KallaError) as caught:
        prepare(query(sql))

    error, message = caught.value, str(caught.value)
    assert type(error) is kind, message
    assert all(word in message for word in words), message
    place = error if isinstance(error, InvalidSql) else None
    found = (
        (place.line, place.column) if place else (error.details["line"], error.details["column"])
    )
    assert line in (found[0], None)
    assert column in (found[1], None)


@pytest.mark.parametrize("sql", [case[0] for case in CASES])
def test_no_refusal_speaks_the_language_of_programmers(sql: str) -> None:
    with pytest.raises(KallaError) as caught:
        prepare(query(sql))

    message = str(caught.value)
    assert message.endswith((".", "?"))
    assert "\n" not in message
    for word in (
        "Error",
        "error:",
        "datafusion",
        "Some(",
        "Utf8",
        "Int64",
        "Span",
        "{",
        "caused by",
        "Physical plan",
        "logical expression",
    ):
        assert word not in message


def test_an_unknown_column_carries_the_names_that_come_near() -> None:
    with pytest.raises(UnknownColumn) as caught:
        prepare(query("select l.amout from left_src l"))

    assert caught.value.details["name"] == "l.amout"
    assert caught.value.details["nearest"] == ("amount",)
