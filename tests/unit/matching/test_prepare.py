import time

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalla_core.errors import ForbiddenSql, InvalidSql
from kalla_core.matching.plans.prepare import PreparedSql, prepare
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.sql.query import MatchQuery, TableShape
from kalla_core.matching.sql.tables import register_tables
from tests.support.machine import least
from tests.support.queries import INVOICES, PAYMENTS, STARTED_AT, query, session_for

AMOUNT, PAID, CENTS = pa.decimal128(12, 2), pa.decimal128(14, 3), pa.decimal128(2, 2)


def prepared(sql: str) -> PreparedSql:
    return prepare(query(sql))


def types_of(sql: str) -> list[tuple[pa.DataType, ...]]:
    return [call.argument_types for call in prepared(sql).calls]


def test_sql_without_anything_special_stays_as_it_is() -> None:
    sql = "SELECT l.id,\n\tr.id AS rid -- now()\nFROM left_src  l JOIN right_src r ON l.id = r.id"

    assert prepared(sql) == PreparedSql(sql, (), ("id", "rid"))


def test_a_call_is_typed_exactly_and_keeps_its_name() -> None:
    sql = "SELECT l.id FROM left_src l JOIN right_src r ON Tolerance_Match (l.amount, r.paid, 0.02)"

    result = prepared(sql)

    assert result.text == sql
    (call,) = result.calls
    assert (call.name, call.function) == ("tolerance_match", "tolerance_match")
    assert call.argument_types == (AMOUNT, PAID, CENTS)


def test_calls_on_other_types_are_renamed_in_place() -> None:
    sql = (
        "SELECT l.id FROM left_src l JOIN right_src r ON tolerance_match(l.id, r.id, 0)"
        " AND Tolerance_Match /* cents */ (l.amount, r.paid, 0.02) -- tolerance_match(1, 2, 3)"
    )

    result = prepared(sql)

    assert result.text == sql.replace("Tolerance_Match", "tolerance_match__1")
    assert [call.name for call in result.calls] == ["tolerance_match", "tolerance_match__1"]


def test_a_column_is_called_as_the_user_wrote_its_expression() -> None:
    result = prepared("select norm_ref(ref) from left_src")

    assert session_for(result).sql(result.text).schema().names == ["norm_ref(left_src.ref)"]


@pytest.mark.parametrize(
    "sql",
    [
        "select l.id from left_src l join right_src r on {call}",
        "select l.id from left_src l, right_src r where not {call} and l.id = r.id",
        "select {call} as m from left_src l, right_src r",
        "select case when {call} then 1 else 0 end as m from left_src l, right_src r",
        "select max(case when {call} then 1 end) as n from left_src l, right_src r",
        "select count(*) filter (where {call}) as n from left_src l, right_src r",
        "select array_agg(l.id order by {call}) as a from left_src l, right_src r",
        "select count(*) over (partition by {call}) as n from left_src l, right_src r",
        "select rank() over (order by {call}) as n from left_src l, right_src r",
        "select count(*) as n from left_src l, right_src r group by {call}",
        "select {call}, count(*) as n from left_src l, right_src r group by {call}",
        "select {call} as m, count(*) as n from left_src l, right_src r group by 1 having {call}",
        "select l.id from left_src l, right_src r order by {call}",
        "select l.id from left_src l where exists (select 1 from right_src r where {call})",
        "select l.id from left_src l where l.id in (select r.id from right_src r where {call})",
        "select (select max(r.id) from right_src r, left_src l where {call}) from left_src x",
        "with m as (select {call} as ok from left_src l, right_src r) select 1 as x from m",
        "select 1 as x from (select {call} as ok from left_src l, right_src r) where ok",
        "select l.id from left_src l left join right_src r on l.id = r.id and {call}",
        "select l.id from left_src l full join right_src r on l.id = r.id and {call}",
        "select coalesce({call}, false) as m from left_src l, right_src r",
        "select l.id from left_src l, right_src r where ({call}) is not true",
        "select id from left_src l union all select l.id from left_src l, right_src r where {call}",
        "select l.id from left_src l, right_src r qualify rank() over (order by l.id, {call}) = 1",
    ],
)
def test_a_call_is_typed_wherever_an_expression_may_stand(sql: str) -> None:
    filled = sql.replace("{call}", "tolerance_match(l.amount, r.paid, 0.02)")

    result = prepared(filled)

    assert [call.argument_types for call in result.calls] == [(AMOUNT, PAID, CENTS)]
    assert result.text == filled
    assert session_for(result).sql(result.text).count() >= 0


@pytest.mark.parametrize(
    ("arguments", "types"),
    [
        ("l.id, r.id, 1", (pa.int64(), pa.int32(), pa.int64())),
        ("l.rate, r.paid, 0.5", (pa.float64(), PAID, pa.decimal128(1, 1))),
        ("l.single, l.rate, 1", (pa.float32(), pa.float64(), pa.int64())),
        ("-l.amount, abs(r.paid), -0.5", (AMOUNT, PAID, pa.decimal128(1, 1))),
        ("l.amount * 2, r.paid, 1e-2", (pa.decimal128(33, 2), PAID, CENTS)),
        ("null, r.paid, null", (pa.null(), PAID, pa.null())),
        ("null, null, null", (pa.null(), pa.null(), pa.null())),
        ("coalesce(l.rate, 0.5), r.fx, 1", (pa.float64(), pa.float64(), pa.int64())),
    ],
)
def test_types_are_those_before_any_cast(arguments: str, types: tuple[pa.DataType, ...]) -> None:
    assert types_of(f"select tolerance_match({arguments}) as m from left_src l, right_src r") == [
        types
    ]


def test_dates_and_timestamps_keep_their_unit_and_zone() -> None:
    (types,) = types_of("select date_within(due, received, 3) as m from left_src, right_src")

    assert types == (pa.date32(), pa.timestamp("us", "UTC"), pa.int64())


def test_calls_within_calls_are_typed_from_the_inside() -> None:
    result = prepared(
        "select tolerance_match(case when norm_ref(ref) = norm_ref(upper(norm_ref(reference)))"
        " then amount else 0.5 end, paid, 1) as m from left_src, right_src"
    )

    assert [call.name for call in result.calls] == ["tolerance_match", "norm_ref"]
    assert session_for(result).sql(result.text).count() == 0


def test_calls_on_unlike_types_get_names_of_their_own() -> None:
    result = prepared(
        "select id from left_src where tolerance_match(amount, amount, 1) "
        "and tolerance_match(id, id, 1) and tolerance_match(amount, amount, 2)"
    )

    assert result.text.count("tolerance_match(amount") == 2
    assert result.text.count("tolerance_match__1(id") == 1
    assert [call.argument_types[0] for call in result.calls] == [AMOUNT, pa.int64()]


def test_the_same_words_in_two_places_may_mean_unlike_types() -> None:
    call = "tolerance_match(l.amount, r.paid, 0.02)"
    result = prepared(
        f"select l.id from left_src l join right_src r on {call} union all select l.id from "
        "left_src l join (select reference, sum(paid) as paid from right_src group by reference) r "
        f"on l.ref = r.reference and {call}"
    )

    assert [call.argument_types[1] for call in result.calls] == [PAID, pa.decimal128(24, 3)]


def test_text_in_strings_comments_and_quoted_names_is_no_call() -> None:
    sql = (
        "select 'tolerance_match(1, 2, 3)' as \"now()\" /* norm_ref(1) */ from left_src"
        " -- date_within(1)\n where ref <> 'now()' or \"Odd Name\" = '1e3'"
    )

    assert prepared(sql).text == sql


def test_a_column_may_be_called_like_a_function() -> None:
    sql = "select norm_ref, now from (select ref as norm_ref, id as now from left_src)"

    assert prepared(sql).text == sql


@pytest.mark.parametrize(
    ("written", "meant", "data_type"),
    [
        ("now()", "TIMESTAMP(6) '2026-03-04T05:06:07.000089'", pa.timestamp("us")),
        ("NOW ( )", "TIMESTAMP(6) '2026-03-04T05:06:07.000089'", pa.timestamp("us")),
        ("current_timestamp", "TIMESTAMP(6) '2026-03-04T05:06:07.000089'", pa.timestamp("us")),
        ("current_timestamp()", "TIMESTAMP(6) '2026-03-04T05:06:07.000089'", pa.timestamp("us")),
        ("Current_Date", "DATE '2026-03-04'", pa.date32()),
        ("current_date()", "DATE '2026-03-04'", pa.date32()),
        ("today()", "DATE '2026-03-04'", pa.date32()),
        ("current_time", "TIME '05:06:07.000089'", pa.time64("ns")),
        ('"now"()', "TIMESTAMP(6) '2026-03-04T05:06:07.000089'", pa.timestamp("us")),
    ],
)
def test_the_clock_is_the_start_of_the_run(
    written: str, meant: str, data_type: pa.DataType
) -> None:
    result = prepared(f"select {written} as t from left_src where {written} is not null")

    assert result.text == f"select {meant} as t from left_src where {meant} is not null"
    assert session_for(result).sql(result.text).schema().field("t").type == data_type


def test_a_name_of_the_clock_may_be_an_alias_or_a_column() -> None:
    sql = (
        'select l.current_date, "current_time", id current_timestamp from '
        "(select due as current_date, 1 as current_time, id from left_src) l"
    )

    assert prepared(sql).text == sql


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1.5e3", "1500.0"),
        ("1E3", "1000.0"),
        ("1e-2", "0.01"),
        ("2.50e-1", "0.250"),
        (".5e1", "5.0"),
        ("1e300", "CAST('1e300' AS DOUBLE)"),
        ("1e-50", "CAST('1e-50' AS DOUBLE)"),
        ("1.5", "1.5"),
        ("0x1e3", "0x1e3"),
    ],
)
def test_scientific_numbers_are_written_out(written: str, meant: str) -> None:
    assert (
        prepared(f"select {written} as x from left_src").text
        == f"select {meant} as x from left_src"
    )


@given(st.decimals(min_value="1e-12", max_value="1e12", allow_nan=False, places=6))
@settings(max_examples=25, deadline=None)
def test_a_scientific_number_keeps_its_value(number: object) -> None:
    result = prepared(f"select {number:e} as x")

    (row,) = session_for(result).sql(result.text).to_pylist()

    assert row["x"] == number


def test_sums_of_floats_are_warned_of_and_those_of_decimals_are_not() -> None:
    result = prepared(
        "select sum(rate) as a, sum(amount) as b, avg(single) over () as c, sum(left_src.id) as d, "
        "sum(cast(fx as decimal(12, 2))) as e, max(rate) as f from left_src, right_src "
        "group by single"
    )

    assert [warning.split(" adds")[0] for warning in result.warnings] == [
        "avg(left_src.single)",
        "sum(left_src.rate)",
    ]


PIECES = [
    "l.id",
    "'now() tolerance_match(1)'",
    '"Odd Name"',
    "/* norm_ref( */",
    "l.amount + 1.50",
    "-- now()\n",
    "upper(l.ref)",
    "'it''s'",
]


@given(st.lists(st.sampled_from(PIECES), max_size=6), st.data())
@settings(max_examples=40, deadline=None)
def test_all_but_the_spliced_tokens_is_byte_for_byte_the_same(
    pieces: list[str], data: st.DataObject
) -> None:
    spliced = {
        "now()": "TIMESTAMP(6) '2026-03-04T05:06:07.000089'",
        "norm_ref(null)": "norm_ref__1(null)",
        "2e1": "20.0",
        "(l.rate > 0.5)": "(l.rate > CAST('0.5' AS DOUBLE))",
    }
    chosen = [*pieces, *data.draw(st.lists(st.sampled_from(list(spliced)), max_size=4))]
    mixed = data.draw(st.permutations(chosen))
    comments = [piece for piece in mixed if piece.startswith(("/*", "--"))]
    values = [piece for piece in mixed if piece not in comments]
    columns = [f"{value}  as c{n}" for n, value in enumerate(values)]
    sql = "select norm_ref(l.ref) as n" + "".join(f",\t{column}" for column in columns)
    sql = sql + " " + " ".join(comments) + "\nfrom left_src l"

    result = prepared(sql)

    expected = [f"{spliced.get(value, value)}  as c{n}" for n, value in enumerate(values)]
    assert result.text == sql.replace(
        "".join(f",\t{column}" for column in columns),
        "".join(f",\t{column}" for column in expected),
    )


def test_prepared_sql_runs_over_real_rows() -> None:
    left = pa.RecordBatch.from_pylist(
        [{"id": 1, "amount": "100.00", "rate": 1.5}, {"id": 2, "amount": "200.00", "rate": None}],
        schema=pa.schema([("id", pa.int64()), ("amount", pa.string()), ("rate", pa.float64())]),
    )
    amounts = left.column("amount").cast(AMOUNT)
    left = left.set_column(1, pa.field("amount", AMOUNT), amounts)
    right = pa.RecordBatch.from_pydict(
        {"id": [1, 2], "paid": pa.array(["100.020", "200.021"]).cast(PAID)}
    )
    tables = MatchQuery(
        "select l.id from left_src l join Right r on l.id = r.id"
        " and tolerance_match(l.amount, r.paid, 0.02)",
        TableShape("Left", left.schema, ("id",)),
        TableShape("Right", right.schema, ("id",)),
        (),
        STARTED_AT,
    )
    result = prepare(tables)
    session = session_for(result, tables)
    for name in session.catalog().schema().names():
        session.deregister_table(f'"{name}"')
    register_tables(session, tables, [left], [right], {})

    rows = session.sql(result.text).to_pylist()

    assert rows == [{"id": 1}]


def test_a_session_without_the_calls_does_not_plan_prepared_sql() -> None:
    result = prepared("select norm_ref('a') as n")
    session = new_session()

    with pytest.raises(ValueError, match="norm_ref"):
        session.sql(result.text)


def test_an_alias_of_two_tables_is_refused_before_anything_is_planned() -> None:
    clash = MatchQuery(
        "select 1",
        TableShape("a", INVOICES, ("id",)),
        TableShape("A", PAYMENTS, ("id",)),
        (),
        STARTED_AT,
    )

    with pytest.raises(InvalidSql, match="Two tables have the alias"):
        prepare(clash)


@pytest.mark.parametrize(
    "sql",
    [
        "select " + "(" * 60 + "1" + ")" * 60,
        "select " + " + ".join(["1"] * 2_000),
        " union all ".join(["select id from left_src"] * 500),
        "select 1 from left_src l" + "".join(f" join left_src t{n} on true" for n in range(200)),
        "select " + "- " * 500 + "1",
        "select " + "not " * 500 + "true",
        "select '" + "x" * 60_000 + "'",
        "select " + ", ".join(f"norm_ref('{n}') as c{n}" for n in range(150)),
        "with c0 as (select id from left_src)"
        + "".join(f", c{n + 1} as (select * from c{n}, c{n})" for n in range(40))
        + " select * from c40",
    ],
    ids=["brackets", "plus", "union", "join", "minus", "not", "long", "calls", "with"],
)
def test_what_would_choke_the_planner_is_refused_at_once(sql: str) -> None:
    def spend() -> float:
        begun = time.process_time()
        with pytest.raises(InvalidSql):
            prepared(sql)
        return time.process_time() - begun

    assert least(spend, 2.0) < 2.0


def test_a_statement_of_ordinary_size_is_not_refused_for_its_size() -> None:
    columns = ", ".join(f"case when id = {n} then 'n{n}' else ref end as c{n}" for n in range(60))
    chain = "".join(f", q{n + 1} as (select * from q{n} where id > {n})" for n in range(12))
    sql = f"with q0 as (select id, {columns} from left_src){chain} select q12.* from q12, q0"

    assert prepared(sql).text == sql


def test_the_typical_recipe_is_prepared_in_a_few_milliseconds() -> None:
    sql = (
        "SELECT l.id, r.id AS rid, l.amount, r.paid FROM left_src l JOIN right_src r "
        "ON l.ref = r.reference AND tolerance_match(l.amount, r.paid, 0.02)"
    )
    prepared(sql)

    def spend() -> float:
        begun = time.process_time()
        prepared(sql)
        return time.process_time() - begun

    assert least(spend, 0.02) < 0.02


def test_forbidden_sql_is_also_invalid_sql() -> None:
    with pytest.raises(ForbiddenSql) as caught:
        prepared("drop table left_src")

    assert isinstance(caught.value, InvalidSql)
    assert caught.value.code == "forbidden_sql"
