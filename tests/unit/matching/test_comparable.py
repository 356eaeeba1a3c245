import math
import random
import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest

from kalla_core.errors import InvalidSql, TypesNotComparable
from kalla_core.matching.plans.prepare import prepare, register_calls
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.sql.query import MatchQuery, TableShape
from kalla_core.matching.sql.tables import register_tables
from tests.support.queries import INVOICES, PAYMENTS, RATES, STARTED_AT, query


def plain(marked: str) -> str:
    """Return SQL as a user writes it: `D(0.5)` is 0.5."""
    return re.sub(r"D\((.*?)\)", r"\1", marked)


def doubled(marked: str) -> str:
    """Return SQL as it has to become: `D(0.5)` is a double."""
    return re.sub(r"D\((.*?)\)", r"CAST('\1' AS DOUBLE)", marked)


BESIDE_FLOATS = (
    "rate = D(0.5)",
    "D(0.5) != rate",
    "single = D(0.5)",
    "rate * 2 = D(0.5)",
    "-rate = -D(0.5)",
    "rate between D(0.1) and D(0.9)",
    "rate between D(0.1) and 2",
    "rate in (D(0.5), 1, D(2.5))",
    "rate not in (D(0.5))",
    "coalesce(rate, D(0.0)) = 1",
    "nullif(rate, D(0.0)) is null",
    "case when id = 1 then rate else D(0.0) end = 1",
    "greatest(rate, D(0.5)) = 1",
    "rate is distinct from D(0.5)",
    "rate = D(0.5) and amount = 0.5",
    "amount = 0.5 or rate = D(0.5) or amount in (0.5, 1.5)",
    "rate = D(1.5e3) and amount = 1500.0",
    "cast(amount as double) = D(0.5)",
    "sqrt(amount) = D(0.5)",
    "rate + amount = D(0.5)",
    "exists (select 1 from right_src r where r.fx = D(0.5))",
    "id in (select r.id from right_src r where r.fx = D(0.5) and r.paid = 0.5)",
    "rate = (select max(r.fx) from right_src r where r.fx != D(0.5))",
    "id = (select max(r.id) from right_src r where r.fx != D(0.5) and r.id = l.id)",
    "tolerance_match(coalesce(rate, D(0.5)), amount, 0.5)",
    "tolerance_match(rate, amount, 0.5)",
    "tolerance_match(rate, 0.5, 0.5) and rate = D(0.5)",
)
GO_TOGETHER = (
    "cast(l.rate as decimal(12, 2)) = r.paid",
    "cast(l.rate * 2 as decimal(12, 2)) = r.paid",
    "l.rate::decimal(30, 15) = r.paid",
    "l.rate = cast(r.paid as double)",
    "arrow_cast(l.rate, 'Decimal128(20, 4)') = r.paid",
    "exists (select 1 from fx_rates x where cast(l.rate as decimal(12, 2)) = x.factor)",
    "l.amount = r.paid and l.id = 5",
    "l.amount between 0.5 and r.paid",
    "l.rate = r.fx and l.rate > 5 and l.single = l.rate",
    "cast(l.ref as bigint) = r.id",
    "l.ref = cast(r.id as varchar) and l.ref || r.id = 'x'",
    "l.due = '2026-01-01' and l.id = '5' and r.received > '2026-01-01'",
    "l.booked > timestamp(6) '2026-01-01' and r.received > timestamp(6) '2026-01-01'",
    "l.id in ('1', '2') and l.due between '2026-01-01' and '2026-02-01'",
    "exists (select 1 from payments p where cast(l.ref as bigint) = p.id)",
    "case when l.id = 1 then l.ref else l.id::varchar end = r.reference",
)


@pytest.mark.parametrize("condition", BESIDE_FLOATS)
def test_a_literal_beside_a_float_is_a_double_and_others_stay_decimals(condition: str) -> None:
    sql = f"select l.id from left_src l where {condition}"

    assert prepare(query(plain(sql))).text == doubled(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "select coalesce(rate, D(0.0)) as a from left_src group by coalesce(rate, D(0.0))",
        "select count(*) filter (where rate > D(0.5)) as n from left_src",
        "select array_agg(id order by rate > D(0.5)) as a from left_src",
        "select max(id) over (partition by rate > D(0.5) order by rate = D(1.5)) from left_src",
        "select rate from left_src union all select D(0.5)",
        "select id from left_src order by rate > D(0.5)",
        "select l.id from left_src l join right_src r on l.rate = r.fx and l.rate > D(0.5)",
        "select id from left_src group by id having sum(rate) > D(0.5)",
        "select amount * 1.5 as a, rate > D(0.5) as b from left_src",
    ],
)
def test_that_holds_wherever_an_expression_may_stand(sql: str) -> None:
    assert prepare(query(plain(sql))).text == doubled(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "select l.id from left_src l join right_src r on l.rate = r.paid",
        "select l.id from left_src l, right_src r where l.rate between 0.1 and r.paid",
        "select coalesce(rate, amount) as a from left_src",
        "select rate from left_src union all select paid from right_src",
        "select rate from left_src intersect select paid from right_src",
        "select id from left_src where rate in (select paid from right_src)",
        "select id from left_src l where exists (select 1 from right_src r where r.paid = l.rate)",
        "select l.id from left_src l join right_src r on l.rate * 2 > r.paid + 0.5",
        "select count(*) filter (where rate > amount) as n from left_src",
        "select l.id from left_src l, fx_rates x where l.single = x.factor",
    ],
)
def test_a_float_beside_a_decimal_that_is_no_literal_is_refused(sql: str) -> None:
    with pytest.raises(InvalidSql, match=r"floating-point .* CAST\(.* AS DECIMAL") as caught:
        prepare(query(sql))

    assert caught.value.line == 1


@pytest.mark.parametrize("condition", GO_TOGETHER)
def test_what_goes_together_or_was_cast_by_the_user_is_left_alone(condition: str) -> None:
    sql = f"select l.id from left_src l, right_src r where {condition}"

    assert prepare(query(sql)).text == sql


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("l.id = r.reference", ("r.reference is text", "l.id is an integer")),
        ("r.reference = l.id", ("r.reference is text", "l.id is an integer")),
        ("l.ref = r.paid", ("l.ref is text", "r.paid is a decimal")),
        ("l.ref = r.paid_on", ("l.ref is text", "r.paid_on is a date")),
        ("l.ref < r.received", ("l.ref is text", "r.received is a timestamp")),
        ("l.due = r.id", ("r.id is an integer", "l.due is a date")),
        ("l.ref > 5", ("l.ref is text", "5 is an integer")),
        ("l.ref in (1, 2)", ("l.ref is text", "1 is an integer")),
        ("lower(l.ref) = r.id", ("lower(l.ref) is text", "r.id is an integer")),
        ("l.id is not distinct from r.reference", ("r.reference is text",)),
        ("exists (select 1 from payments p where p.id = l.ref)", ("l.ref is text",)),
        ("l.id in (select reference from payments)", ("payments.reference is text",)),
        ("l.ref in (select id from payments)", ("l.ref is text", "id is an integer")),
        ("coalesce(l.ref, l.id) = 1", ("l.ref is text", "l.id is an integer")),
        ("l.id = coalesce(r.id, l.ref)", ("l.ref is text", "r.id is an integer")),
        ("l.ref = 1 + r.id", ("l.ref is text", "1 + r.id is an integer")),
    ],
)
def test_unlike_types_are_not_compared_in_silence(condition: str, words: tuple[str, ...]) -> None:
    with pytest.raises(TypesNotComparable) as caught:
        prepare(query(f"select l.id from left_src l, right_src r where {condition}"))

    assert all(word in str(caught.value) for word in words)
    assert "CAST one of them" in str(caught.value)
    assert caught.value.details["line"] == 1


@pytest.mark.parametrize(
    "condition",
    [
        "l.due > 20260131",
        "20260131 = l.due",
        "l.due in (date '2026-01-31', 20260131)",
        "l.due between 20260101 and 20260131",
        "l.due is distinct from 0",
        "nullif(l.due, 0) = r.paid_on",
        "case when l.id = 1 then l.due else 0 end = r.paid_on",
    ],
)
def test_a_number_is_no_date_in_silence(condition: str) -> None:
    with pytest.raises(TypesNotComparable, match=r"is an integer and .* is a date.*DATE '2026-"):
        prepare(query(f"select l.id from invoices l join payments r on {condition}"))


def test_text_that_meets_another_type_in_a_list_is_told_with_that_type() -> None:
    with pytest.raises(TypesNotComparable, match=r"l.ref is text and what .* is an integer"):
        prepare(query("select l.id from invoices l join payments r on l.ref in ('a', 5)"))


@pytest.mark.parametrize(
    "condition",
    [
        "l.id = r.fx",
        "r.fx > l.id + 1",
        "coalesce(l.id, l.rate) = 1",
        "l.id in (r.fx)",
        "l.id between r.fx and 5",
        "case when l.id = 1 then l.id else l.rate end = 2",
        "case l.id when r.fx then true end",
        "l.id in (select fx from payments)",
        "nullif(l.id, l.rate) = 1",
        "exists (select 1 from payments p where p.fx = l.id)",
        "l.id = (select max(p.fx) from payments p)",
        "1 = (select max(p.id) from payments p where p.fx = p.id)",
        "1 = (select count(*) filter (where p.fx in (p.id)) from payments p)",
    ],
)
def test_an_integer_meets_no_float_which_might_stand_for_several(condition: str) -> None:
    with pytest.raises(TypesNotComparable, match=r"integer .* AS DECIMAL.* AS DOUBLE"):
        prepare(query(f"select l.id from left_src l, right_src r where {condition}"))


@pytest.mark.parametrize(
    "condition",
    [
        "l.booked = r.received",
        "r.received between l.booked and l.booked",
        "l.due = r.received",
        "r.received in (l.booked)",
        "coalesce(l.booked, r.received) is null",
        "case when l.id = 1 then l.booked else r.received end is null",
        "exists (select 1 from payments p where p.received = l.booked)",
        "date_within(l.booked, r.received, 1)",
    ],
)
def test_a_time_without_a_zone_meets_none_with_one(condition: str) -> None:
    with pytest.raises(TypesNotComparable, match="with a time zone"):
        prepare(query(f"select l.id from left_src l, right_src r where {condition}"))


@pytest.mark.parametrize(
    "sql",
    [
        "select due from left_src union all select ref from left_src",
        "select id from left_src intersect select ref from left_src",
        "select l.id from left_src l natural join (select ref as id from Invoices) r",
    ],
)
def test_unlike_columns_do_not_meet_in_silence_either(sql: str) -> None:
    with pytest.raises(TypesNotComparable, match=r"(ref|id) is text"):
        prepare(query(sql))


@pytest.mark.parametrize(
    "sql",
    [
        "select id from left_src union all select ref from left_src",
        "select id from left_src union all select paid from right_src",
        "select due from left_src union all select booked from left_src",
        "select case when id = 1 then ref else id end as c from left_src",
        "select extract(year from ref) as y, concat(id, ref) as c from left_src",
        "select coalesce(amount, id, 0) as c, nullif(ref, 'x') as n from left_src",
    ],
)
def test_what_loses_nothing_may_meet(sql: str) -> None:
    assert prepare(query(sql)).text == sql


def test_floats_that_no_decimal_could_hold_are_compared_without_an_error() -> None:
    values = [math.nan, math.inf, -math.inf, 1e300, 0.1, None]
    left = pa.RecordBatch.from_pydict({"id": list(range(6)), "rate": values})
    tables = MatchQuery(
        "select id from left_src where rate >= 0.1 or coalesce(rate, 0.1) = 0.1",
        TableShape("l", left.schema, ("id",)),
        TableShape("r", left.schema, ("id",)),
        (),
        STARTED_AT,
    )
    prepared = prepare(tables)
    session = new_session()
    register_tables(session, tables, [left], [], {})
    register_calls(session, prepared)

    ids = {row["id"] for row in session.sql(prepared.text).to_pylist()}

    assert ids == {0, 1, 3, 4, 5}


def rows_of(schema: pa.Schema, seed: int) -> pa.Table:
    rng = random.Random(seed)
    pools = {
        "id": range(1, 9), "ref": ("1", "2", "3", None), "reference": ("1", "2", "x"),
        "amount": (Decimal("0.50"), Decimal("1.50"), Decimal(1500), None),
        "paid": (Decimal("0.500"), Decimal("2.005"), Decimal("1.000")),
        "rate": (0.5, 0.1, 0.9, 2.5, 1500.0, 0.0, None), "fx": (0.5, 2.5, 1.0, 6.0, None),
        "single": (0.5, 6.0), "due": (date(2026, 1, 1), date(2026, 2, 3), None),
        "booked": (datetime(2026, 1, 1, 12), None), "received": (datetime(2026, 1, 2), None),
        "factor": (Decimal("0.5"), Decimal("2.5")),
    }  # fmt: skip
    rows = [
        {name: rng.choice(pool) for name, pool in pools.items() if name in schema.names}
        for _ in range(30)
    ]
    return pa.Table.from_pylist(rows, schema=schema)


UNKNOWN_TO_DUCKDB = re.compile(r"tolerance_match|arrow_cast|timestamp\(6\)")
READ_BY_DUCKDB = [
    (source, condition)
    for source, conditions in (
        ("left_src l", map(plain, BESIDE_FLOATS)),
        ("left_src l, right_src r", GO_TOGETHER),
    )
    for condition in conditions
    if not UNKNOWN_TO_DUCKDB.search(condition)
]


@pytest.mark.parametrize(("source", "condition"), READ_BY_DUCKDB)
def test_rows_compare_as_in_duckdb(source: str, condition: str) -> None:
    right = rows_of(PAYMENTS, 2)
    tables = {"left_src": rows_of(INVOICES, 1), "right_src": right, "payments": right}
    tables["fx_rates"] = rows_of(RATES, 3)
    sql = f"select l.id, l.rate, l.amount from {source} where {condition}"

    found = rows_by_kalla(sql, tables)

    assert found == rows_by_duckdb(sql, tables)


def test_most_of_these_conditions_hold_for_some_rows_and_not_for_others() -> None:
    left, right = rows_of(INVOICES, 1), rows_of(PAYMENTS, 2)
    tables = {
        "left_src": left,
        "right_src": right,
        "payments": right,
        "fx_rates": rows_of(RATES, 3),
    }
    counts = [
        len(rows_by_duckdb(f"select l.id, 1, 1 from {source} where {condition}", tables))
        for source, condition in READ_BY_DUCKDB
    ]

    telling = [each for each in counts if 0 < each < len(left) * len(right)]

    assert len(READ_BY_DUCKDB) > 35
    assert len(telling) > 0.6 * len(counts)


def rows_by_kalla(sql: str, tables: Mapping[str, pa.Table]) -> list[str]:
    asked = query(sql)
    prepared = prepare(asked)
    session = new_session()
    left, right, fx = (tables[name].to_batches() for name in ("left_src", "right_src", "fx_rates"))
    register_tables(session, asked, left, right, {"fx_rates": fx})
    register_calls(session, prepared)
    return sorted(map(str, session.sql(prepared.text).to_arrow_table().to_pylist()))


def rows_by_duckdb(sql: str, tables: Mapping[str, pa.Table]) -> list[str]:
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        for name, table in tables.items():
            database.register(name, table)
        return sorted(map(str, database.sql(sql).to_arrow_table().to_pylist()))
