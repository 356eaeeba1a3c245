import pytest
from datafusion import SessionConfig, SessionContext

from kalla_core.errors import ForbiddenSql, InvalidSql, KallaError
from kalla_core.matching.plans.prepare import prepare
from kalla_core.matching.sql import forbidden
from kalla_core.matching.sql.statement import check_statement
from tests.support.queries import query

TABLES = ("left_src", "right_src", "Invoices", "payments", "fx_rates")

ACCEPTED = """
SELECT l.id, r.id AS rid FROM left_src l JOIN right_src r ON l.id = r.id
select * from Invoices
select * from invoices i, payments p where i.id = p.id
select * from "Invoices" i join PAYMENTS p on i.ref = p.reference
(select id from left_src)
((select id from left_src) union all (select id from right_src));
select id from left_src;;
with a as (select id from left_src), b as (select id from a) select * from b, right_src
with left_src as (select * from right_src) select * from left_src
with recursive t as (select 1 as n union all select n + 1 from t where n < 5) select * from t
select * from (values (1, 'a'), (2, 'b')) v(a, b) join left_src l on l.id = v.a
select id from left_src except select id from right_src
select id from left_src intersect select id from right_src
select * from (left_src l join right_src r on l.id = r.id)
select id from left_src l where exists (select 1 from right_src r where r.id = l.id)
select id from left_src where id not in (select id from right_src where id is not null)
select (select max(paid) from right_src) as m from left_src
select l.id, x.paid from left_src l, lateral (select paid from right_src r where r.id = l.id) x
select unnest(tags) from left_src
select id, row_number() over (partition by ref order by id) from left_src
select "Odd Name", `Odd Name` as x from left_src
select id from left_src -- ; drop table left_src
select /* copy left_src to 'x' */ id from left_src
select 'drop table left_src; random()' as s from left_src
select id as "random()", ref as "drop" from left_src
select l.id as update, l.ref as copy from left_src l
select replace(ref, 'a', 'b'), left(ref, 2), truncate from (select ref, 1 as truncate from left_src)
select extract(year from due), substring(ref from 2 for 1), trim(both 'x' from ref) from left_src
select id from left_src where due is distinct from date '2026-01-01'
select case when id = 1 then 'a' else 'b' end, id::varchar, cast(amount as double) from left_src
select arrow_cast(amount, 'Decimal128(20, 4)') from left_src
select range(3), generate_series(1, 3) from left_src
select * exclude (id) from left_src
from left_src
select id from left_src order by id limit 5
select distinct on (ref) ref, id from left_src order by ref, id
select [1, 2][1:2], {a: 1} from left_src
select count(*) from left_src group by grouping sets ((ref), (id))
select sum(amount) filter (where id > 1) from left_src
select first_value(ref order by id) from left_src
select first_value(ref) over (partition by id order by due) from left_src
select array_agg(ref order by id) from left_src
select version() from left_src
select tolerance_match(amount, 1, 0.5), norm_ref(ref), date_within(due, due, 3) from left_src
"""

FORBIDDEN = """
drop table left_src
delete from left_src
insert into left_src values (1)
update left_src set id = 1
merge into left_src using right_src on true when matched then delete
truncate left_src
create table a as select 1
create external table a stored as csv location '/etc/passwd'
CREATE OR REPLACE VIEW a AS SELECT 1
alter table left_src add column a int
copy left_src to '/tmp/x.csv'
(copy left_src to 'x.csv')
explain select 1
explain analyze select 1
describe left_src
show tables
show all
set datafusion.execution.batch_size = 1
reset datafusion.execution.batch_size
prepare a as select 1
execute a
deallocate a
begin
start transaction
commit
use other
call f()
analyze left_src
grant select on left_src to x
vacuum
select 1; select 2
select id from left_src; drop table left_src
select * into foo from left_src
with a as (delete from left_src returning *) select * from a
with a as (copy left_src to 'x') select 1
with a as (insert into left_src select 1) select * from a
select * from left_src for update
select * from left_src tablesample 10
select * from left_src TABLESAMPLE BERNOULLI (10)
select * from 'x.csv'
select * from '/etc/passwd'
select * from "data/x.parquet"
select * from `s3://bucket/x.csv`
select * from left_src, 'https://example.org/x.csv'
select * from nope
select * from left_src l join nopes n on l.id = n.id
select * from information_schema.tables
select * from information_schema.df_settings
select * from other.public.left_src
select * from other.left_src
select * from public.left_src
select * from pg_catalog.pg_class
select id from left_src where id in (select a from secret)
select (select max(a) from secret) from left_src
with a as (select * from secret) select * from a
select * from generate_series(1, 10)
select * from left_src, generate_series(1, 10)
select * from left_src cross join range(5)
select * from read_csv('/etc/passwd')
select * from read_parquet('x')
select random() from left_src
select RANDOM ( ) from left_src
select "random"() from left_src
select ran/**/dom() , random/**/() from left_src
select {fn random()} from left_src
select uuid() from left_src
select gen_random_uuid() from left_src
select id from left_src where exists (select 1 from right_src where random() > 0.5)
select sum(random()) over () from left_src
select input_file_name() from left_src
select shuffle([1, 2]) from left_src
"""

INVALID = """
selct id from left_src
select
select id from left_src where
select (id from left_src
select id) from left_src
select 'abc from left_src
select "abc from left_src
select id from left_src /* open
select id from left_src where id = $1
select id from left_src where id = ?
select id from left_src where id = :x
select @@version from left_src
select N'a' from left_src
; select 1
select tolerance_match(id, 1) from left_src
select norm_ref() from left_src
select norm_ref(ref, 1) from left_src
select array_agg(id) from left_src
select string_agg(ref, ',') from left_src
select first_value(id) from left_src
select last_value(id) from left_src
select nth_value(id, 2) from left_src
select array_agg(distinct ref) from left_src
select array_agg(id) over (partition by ref) from left_src
select approx_median(id) from left_src
select approx_percentile_cont(0.5) within group (order by id) from left_src
select foo(id) from left_src
select id, sum(amount) from left_src
select id as a, ref as a from left_src
select * from left_src where id
select * from left_src l join right_src l on true
select id from left_src, right_src
"""


def lines(table: str) -> list[str]:
    return [line for line in table.splitlines() if line]


def refusal(sql: str) -> KallaError | None:
    try:
        prepare(query(sql))
    except KallaError as error:
        return error
    return None


@pytest.mark.parametrize("sql", lines(ACCEPTED))
def test_a_query_over_the_tables_of_the_job_is_accepted(sql: str) -> None:
    check_statement(sql, TABLES)

    assert refusal(sql) is None


@pytest.mark.parametrize("sql", lines(FORBIDDEN))
def test_what_does_more_than_read_the_tables_of_the_job_is_forbidden(sql: str) -> None:
    error = refusal(sql)

    assert isinstance(error, ForbiddenSql), error
    assert error.line == 1
    assert error.column is not None


@pytest.mark.parametrize("sql", lines(FORBIDDEN))
def test_it_is_forbidden_by_its_text_alone(sql: str) -> None:
    with pytest.raises(ForbiddenSql) as caught:
        check_statement(sql, TABLES)

    assert caught.value.line == 1


@pytest.mark.parametrize("sql", lines(INVALID))
def test_what_cannot_be_read_or_is_not_determined_is_invalid(sql: str) -> None:
    error = refusal(sql)

    assert isinstance(error, InvalidSql), error
    assert error.code == "invalid_sql"


@pytest.mark.parametrize("sql", ["", "  \n", "-- nothing", ";"])
def test_an_empty_statement_says_so(sql: str) -> None:
    with pytest.raises(InvalidSql, match="empty"):
        check_statement(sql, TABLES)


def test_a_name_that_only_an_inner_with_defines_is_no_table_outside_of_it() -> None:
    sql = "with a as (with b as (select 1 x) select * from b) select * from b"

    error = refusal(sql)

    assert isinstance(error, ForbiddenSql)


def test_a_refusal_says_where_and_names_the_thing() -> None:
    with pytest.raises(ForbiddenSql) as caught:
        check_statement("select id\nfrom left_src,\n     Invoice x", TABLES)

    assert (caught.value.line, caught.value.column) == (3, 6)
    assert "invoice" in str(caught.value)
    assert "Invoices" in str(caught.value)


@pytest.mark.parametrize(
    "sql",
    [
        "select * from left_src l left anti join right_src r on l.id = r.id",
        "select {fn abs(id)} from left_src",
        "select id from left_src qualify row_number() over (order by id) = 1",
        "select `id` from left_src",
    ],
)
def test_what_only_datafusion_can_read_is_not_refused_for_that(sql: str) -> None:
    check_statement(sql, TABLES)

    assert refusal(sql) is None


def test_every_function_that_is_not_determined_by_its_arguments_is_known() -> None:
    session = SessionContext(SessionConfig().with_information_schema(True))
    session.enable_spark_functions()

    rows = session.sql("select routine_name, is_deterministic from information_schema.routines")

    unsure = {row["routine_name"] for row in rows.to_pylist() if not row["is_deterministic"]}
    known = (
        forbidden.VOLATILE
        | forbidden.FILE_FUNCTIONS
        | forbidden.SESSION_FUNCTIONS
        | forbidden.CLOCK
        | forbidden.TABLE_FUNCTIONS
    )
    assert unsure
    assert unsure <= known


def test_a_session_of_prepared_sql_cannot_call_what_is_forbidden() -> None:
    session = SessionContext()
    session.enable_spark_functions()

    forbidden.take_away(session)

    gone = forbidden.VOLATILE | forbidden.FILE_FUNCTIONS | forbidden.CLOCK
    assert not gone & set(session.udfs())
    with pytest.raises(ValueError, match="table function 'generate_series' not found"):
        session.sql("select * from generate_series(1, 2)")


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT FROM WHERE", r"missing between FROM and WHERE \(line 1, column 13\)"),
        ("SELECT l.id FROM WHERE l.id = 1", r"missing between FROM and WHERE \(line 1, col.* 18\)"),
        ("SELECT l.id FROM l JOIN\nON l.id = 1", r"between JOIN and ON \(line 2, column 1\)"),
        ("SELECT l.id FROM l, WHERE l.id = 1", r"between the comma and WHERE \(line 1, col.* 21\)"),
        ("SELECT l.id, FROM l", r"between the comma and FROM \(line 1, column 14\)"),
    ],
)
def test_a_clause_in_the_place_of_a_table_or_a_value_is_told_with_its_place(
    sql: str, says: str
) -> None:
    with pytest.raises(InvalidSql, match=says):
        check_statement(sql, ("l",))


def test_what_is_called_like_a_clause_in_quotes_is_a_table() -> None:
    check_statement('SELECT extract(day FROM l.d), "from" FROM "where" JOIN "on" ON 1 = 1',
                    ("l", "where", "on"))  # fmt: skip
