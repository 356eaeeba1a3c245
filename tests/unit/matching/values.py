"""Expressions of match SQL over every family of functions, and three engines that evaluate them."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa

from kalla_core.engine.failures import query_errors
from kalla_core.errors import KallaError
from kalla_core.matching.plans.prepare import prepare, register_calls
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.sql.query import MatchQuery, TableShape
from kalla_core.matching.sql.tables import register_tables
from tests.support.postgres import new_database, shared_server
from tests.support.queries import STARTED_AT

_DAYS = [dt.date(2024, 2, 29), dt.date(2025, 12, 31), dt.date(2026, 1, 1), dt.date(1999, 7, 4)]
_TIMES = [
    dt.datetime(2024, 2, 29, 23, 59, 59), dt.datetime(2025, 12, 31, 0, 0, 0),
    dt.datetime(2026, 1, 1, 12, 30, 15, 500000), dt.datetime(1999, 7, 4, 1, 2, 3, 4),
]  # fmt: skip
TABLE = pa.table(
    {
        "id": pa.array([1, 2, 3, 4, 5], pa.int64()),
        "g": pa.array([1, 1, 2, 2, 2], pa.int64()),
        "n": pa.array([7, -7, 0, 3, None], pa.int64()),
        "m": pa.array([2, 3, -3, 1, 5], pa.int32()),
        "p": pa.array([12, 5, 255, 1, 4], pa.int64()),
        "d": pa.array([Decimal(x) for x in ("2.50", "-2.50", "0.49", "1000.01")] + [None],
                      pa.decimal128(12, 2)),
        "e": pa.array([Decimal(x) for x in ("3.125", "-0.001", "7.000", "12.345", "0.500")],
                      pa.decimal128(8, 3)),
        "f": pa.array([2.6, -2.4, 0.1, 1234.5678, None], pa.float64()),
        "h": pa.array([0.25, 0.5, 0.75, 1.0, 0.125], pa.float64()),
        "s": pa.array(["Ab-12", "hello world", " pad ", "", None], pa.string()),
        "t": pa.array(["b", "o", "d", "x", "a"], pa.string()),
        "u": pa.array(["Straße", "ÉCOLE", "naïve", "日本語", "ab\u0301"], pa.string()),
        "w": pa.array(["12", "-3", "007", "40", "1"], pa.string()),
        "z": pa.array(["100%", "a_b", "a\\b", "A.B", "50% off"], pa.string()),
        "day": pa.array([*_DAYS, None], pa.date32()),
        "ts": pa.array([*_TIMES, None], pa.timestamp("us")),
        "b": pa.array([True, False, None, True, False], pa.bool_()),
    }
)  # fmt: skip

# Written once for all engines, or for Kalla, DuckDB and PostgreSQL with => between, the last two
# in one where they agree.
FAMILIES: Mapping[str, str] = {
    "arithmetic": """
        n + m ; n - m ; n * m ; n / m ; n % m ; -n ; -n / m ; -n % m ; n / 2.0 ; d + e ; d - e ; d
        * e ; d / 3 ; d / e ; e / d ; d % 2 ; e % 0.7 ; d / m ; n / 3.0 ; 1 / 3.0 ; 100 * d / 7 ;
        d / 7 / 3 ; (d + e) / 7 ; cast(d as decimal(38, 2)) / 7 ; 1 / d ; d + 1 ; f + 1 ; f * 2 ;
        f / 3 ; d * 1.19 ; -d ; -f ; m / h ; p & 6 ; p | 8 ; p << 2 ; p >> 1
    """,
    "math": """
        abs(n) ; abs(d) ; abs(f) ; round(d) ; round(d, 1) ; round(e, 2) ; round(f) ; round(f, 1)
        => round(f::numeric, 1) ; round(e * 2.5, 2) ; round(d, -1) ; ceil(d) ; ceil(f) ; floor(d)
        ; floor(f) ; ceil(e) ; trunc(f) ; trunc(d) ; trunc(e, 1) ; signum(f) => sign(f) ; sqrt(p)
        ; sqrt(h) ; cbrt(h) ; power(m, 2) ; power(h, 3) ; exp(h) ; ln(p) ; log(p) ; log(2, p) ;
        log10(p) ; log2(p) ; sin(h) ; cos(h) ; tan(h) ; asin(h) ; acos(h) ; atan(h) ; atan2(h, 2)
        ; cot(h) ; degrees(h) ; radians(f) ; pi() ; gcd(n, m) ; lcm(n, m) ; factorial(m + 3) ;
        greatest(n, m) ; least(n, m) ; greatest(d, e) ; least(d, e, 1) ; isnan(h) ; sinh(h) ;
        cosh(h) ; tanh(h)
    """,
    "text": """
        upper(s) ; lower(s) ; upper(u) ; lower(u) ; initcap(s) ; length(s) ; length(u) ;
        char_length(u) ; octet_length(u) ; bit_length(s) ; trim(s) ; ltrim(s) ; rtrim(s) ;
        btrim(s, ' A') ; ltrim(s, ' A') ; rtrim(s, '2 ') ; trim(both 'A' from s) ; trim(leading '
        ' from s) ; left(s, 2) ; left(s, -1) ; right(s, 2) ; right(s, -1) ; left(u, 2) ; substr(s,
        2) ; substr(s, 2, 3) ; substr(s, 0, 3) ; substr(s, -1, 3) ; substring(s from 2 for 2) ;
        substring(u, 2, 2) ; strpos(s, 'l') ; position('l' in s) ; replace(s, 'l', 'L') ;
        replace(s, '', 'x') ; reverse(s) ; reverse(u) ; repeat(s, 2) ; repeat(s, 0) ; lpad(s, 7,
        '*') ; lpad(s, 3, '*') ; rpad(s, 7, 'xy') ; lpad(s, 7) ; rpad(s, 2) ; lpad(u, 8, 'é') ;
        split_part(s, '-', 1) ; split_part(s, '-', 2) ; split_part(s, '-', 9) ; split_part(s, 'l',
        -1) ; concat(s, '-', t) ; concat(s, n) ; concat_ws('-', s, t, w) ; concat_ws('-', t, n, d)
        ; s || t ; t || n ; t || d ; t || b ; starts_with(s, 'he') ; ends_with(s, 'd') ;
        contains(s, 'lo') ; ascii(t) ; chr(64 + m) ; chr((p + 100)::int) ; translate(s, 'abl',
        'XY') ; translate(u, 'é日', 'e') ; md5(s) ; encode(sha256(s), 'hex') => sha256(s) =>
        encode(sha256(s::bytea), 'hex') ; to_hex(p) ; to_hex(n) ; overlay(s placing 'ZZ' from 2
        for 1) ; levenshtein(t, w) ; s = '' ; s < 'b' ; t < u ; s > 'A' ; coalesce(s, 'none') ;
        nullif(s, '') ; t like u ; encode('ab', 'hex') ; string_to_array(s, '-') ;
        array_to_string(string_to_array(s, 'l'), '+') ; length('') ; trim('') ; t in ('a', 'b')
    """,
    "dates": """
        date_part('year', day) ; date_part('month', ts) ; date_part('dow', day) ; date_part('doy',
        day) ; date_part('week', day) ; date_part('quarter', day) ; date_part('epoch', ts) ;
        date_part('isodow', day) ; date_part('hour', ts) ; date_part('minute', ts) ;
        date_part('second', ts) ; date_part('millisecond', ts) ; date_part('microsecond', ts) ;
        extract(year from ts) ; extract(day from day) ; extract(month from day) ;
        date_trunc('month', ts) ; date_trunc('year', ts) ; date_trunc('week', ts) ;
        date_trunc('quarter', ts) ; date_trunc('day', ts) ; date_trunc('hour', ts) ;
        date_trunc('minute', ts) ; date_trunc('second', ts) ; day + 1 ; day - 1 ; day + m ; day -
        date '2024-01-01' ; day + interval '1 month' ; day - interval '1 year' ; ts + interval '1
        day' ; ts - interval '90 minutes' ; ts + interval '1 month' ; day + interval '1 day' ; day
        + interval '36 hours' ; day - interval '1 second' ; ts - interval '1 hour' < day +
        interval '1 hour' ; date '2024-01-31' + interval '1 month' ; day = ts ; day < ts ; ts >
        '2025-01-01' ; day > '2025-01-01' ; ts::date ; cast(ts as timestamp) ; make_date(2024, m +
        5, 3) ; to_char(day, '%Y-%m') => strftime(day, '%Y-%m') => to_char(day, 'YYYY-MM') ;
        to_char(ts, '%d.%m.%Y %H:%M') => strftime(ts, '%d.%m.%Y %H:%M') => to_char(ts, 'DD.MM.YYYY
        HH24:MI') ; to_date('2024-02-29') => date '2024-02-29' ; to_date('29.02.2024', '%d.%m.%Y')
        => strptime('29.02.2024', '%d.%m.%Y')::date => to_date('29.02.2024', 'DD.MM.YYYY') ;
        to_timestamp(p) => to_timestamp(p)::timestamp => to_timestamp(p) at time zone 'UTC' ;
        date_bin(interval '15 minutes', ts, timestamp '2000-01-01') => time_bucket(interval '15
        minutes', ts, timestamp '2000-01-01') ; day between '2024-01-01' and '2025-12-31' ; ts
        between timestamp '2024-01-01' and timestamp '2025-12-31' ; date '2024-02-29' ; timestamp
        '2024-02-29 12:00:00' ; coalesce(day, date '2000-01-01') ; greatest(day, date
        '2025-01-01') ; least(ts, timestamp '2025-01-01') ; date_trunc('day', ts) = ts ; ts::time
        ; date_part('day', ts - timestamp '2024-01-01') ; ts - timestamp '2024-01-01' = interval
        '59 days' ; extract(epoch from day) ; extract(second from ts) ; extract(dow from ts) ;
        extract(isodow from ts) ; extract(week from ts) ; date_trunc('month', day)::date ; (day +
        interval '1 month')::date
    """,
    "casts": """
        d::int ; cast(d as bigint) ; cast(e as smallint) ; try_cast(d as int) ; f::int ; cast(h as
        int) ; cast(n as varchar) ; cast(d as varchar) ; cast(e as varchar) ; cast(f as varchar) ;
        cast(h as varchar) ; cast(b as varchar) ; cast(day as varchar) ; cast(ts as varchar) ;
        ts::text ; day::text ; upper(ts::text) ; cast(w as int) ; cast(w as decimal(8, 2)) ;
        cast(w as double) ; cast(d as decimal(8, 1)) ; cast(e as decimal(8, 2)) ; cast(e as
        decimal(8, 0)) ; cast(f as decimal(10, 2)) ; cast(n as decimal(10, 2)) ; cast(d as double)
        ; cast(n as double) ; cast(n as boolean) ; cast(b as int) ; cast('true' as boolean) ;
        cast('t' as boolean) ; cast('2024-02-29' as date) ; cast('2024-02-29 01:02:03' as
        timestamp) ; cast('2024-02-29T01:02:03' as timestamp) ; cast(ts as date) ; cast(day as
        timestamp) ; try_cast(s as int) ; try_cast('x' as date) ; try_cast('2024-02-30' as date) ;
        cast(' 12 ' as int) ; cast('1e3' as double) ; cast(1.5 as int) ; cast(2.5 as int) ;
        cast(-2.5 as int) ; cast(0.5 as bigint) ; cast(d * 2 as int) ; cast(sum(d) over () as int)
        ; cast(m as varchar) || 'x' ; cast('12.345' as decimal(8, 2)) ; cast(d as varchar(4)) ;
        cast(s as char(2)) ; cast(100000 as varchar) ; cast(cast('2024-01-01 10:00:00.120' as
        timestamp) as varchar) ; try_cast(f as int) ; cast(f * 10 as bigint) ; length(ts::text) ;
        ts || '' ; concat(ts, 'x') ; concat_ws('|', day, ts) ; cast(1e10 as varchar) ; cast(null
        as int) ; 1::boolean ; cast('12' as bigint) + 1
    """,
    "conditions": """
        case when n > 0 then 'p' when n < 0 then 'm' else 'z' end ; case m when 2 then 'two' when
        3 then 'three' end ; coalesce(n, m) ; coalesce(d, e) ; coalesce(d, 0) ; nullif(n, 0) ;
        nullif(d, 2.5) ; n is null ; n is not null ; b is true ; b is not true ; b is false ; b is
        unknown ; not b ; b and n > 0 ; b or n > 0 ; n in (7, 3) ; n not in (7, 3) ; n in (7,
        null) ; n not in (7, null) ; n between 0 and 7 ; n not between 0 and 7 ; n = null ; n is
        distinct from 7 ; n is not distinct from null ; d = 2.5 ; d = 2.50 ; d > e ; n = d ; m <
        2.5 ; f > 2 ; f = 2.6 ; s is null or t = 'b' ; case when b then d else e end ; case when b
        then n else 0.5 end ; greatest(s, t) ; least(s, t) ; greatest(n, null) ; nvl(n, 0) =>
        coalesce(n, 0) ; ifnull(n, 0) => coalesce(n, 0) ; nvl2(n, 1, 0) => case when n is not null
        then 1 else 0 end ; n <> 7 ; n != 7 ; (n = 7) = b ; case when 1 = 0 then 1 / 0 else 1 end
        ; b = true ; coalesce(b, false) ; b is distinct from true
    """,
    "patterns": r"""
        s like 'h%' ; s like '%o_w%' ; s not like 'A%' ; s ilike 'AB%' ; z like '100\%' ; z like
        'a\_b' ; z like 'a!_b' escape '!' ; z like '%!%%' escape '!' ; z not like 'a!_b' escape
        '!' ; z ilike 'A!_B' escape '!' ; z like 'a\b' escape '' ; z like 'a@\b' escape '@' ; s
        not similar to 'h%' ; z similar to 'a!_b' escape '!' ; z similar to 'A|B' ; w similar to
        '(1|4)[[:digit:]]' ; z similar to '[^a-z]+.B' ; z like 'a\\b' ; z like 'A.B' ; z like
        '%\%%' ; u like '___' ; u like 'Stra_e' ; u ilike 'école' ; u ilike 'STRASSE' ; s like ''
        ; s like '%' ; s similar to '(hello|Ab)%' ; s similar to '%[0-9]+' ; z similar to 'A.B' ;
        z similar to 'A_B' ; z similar to '[a-z]_[a-z]' ; t similar to '(a|b)' ; s similar to
        'hello' ; z similar to 'a\_b' ; z similar to 'a.b' ; z similar to '%\%%' ; w similar to
        '[0-9]{2}' ; w similar to '-?[0-9]*' ; s ~ 'l+' => regexp_matches(s, 'l+') => s ~ 'l+' ; s
        ~ '^h' => regexp_matches(s, '^h') => s ~ '^h' ; s ~* 'AB' => regexp_matches(s, 'AB', 'i')
        => s ~* 'AB' ; s !~ 'l' => not regexp_matches(s, 'l') => s !~ 'l' ; s !~* 'L' => not
        regexp_matches(s, 'L', 'i') => s !~* 'L' ; regexp_like(s, 'l+') => regexp_matches(s, 'l+')
        ; regexp_replace(s, 'l', 'L') ; regexp_replace(s, 'l', 'L', 'g') ; regexp_replace(s,
        '(h)(e)', '\2\1') ; regexp_replace(s, '[^0-9]', '', 'g') ; regexp_replace(s, 'L', 'x',
        'i') ; regexp_replace(s, 'L', 'x', 'gi') ; regexp_replace(s, '^\s+|\s+$', '', 'g') ;
        regexp_replace(w, '^0+', '') ; regexp_replace(s, '(l+)', '<\1>', 'g') ; regexp_count(s,
        'l') ; regexp_instr(s, 'l') ; regexp_replace(s, 'x*', '-', 'g') ; regexp_replace(s, '$',
        '!') ; s like t || '%' ; t like '_' ; s like '%\\%' ; s like 'hello\ world'
    """,
    "aggregates": """
        sum(n) ; sum(m) ; sum(d) ; sum(f) ; sum(distinct g) ; count(*) ; count(n) ; count(distinct
        g) ; count(distinct s) ; min(n) ; max(n) ; min(d) ; max(d) ; min(s) ; max(s) ; min(u) ;
        max(u) ; min(day) ; max(ts) ; avg(n) ; avg(m) ; avg(d) ; avg(e) ; avg(f) ; avg(h) ;
        stddev(n) ; stddev_pop(n) ; stddev_samp(h) ; var_pop(n) ; var_samp(n) ; median(h) =>
        median(h) => percentile_cont(0.5) within group (order by h) ; median(n) => median(n) =>
        percentile_cont(0.5) within group (order by n) ; median(d) => median(d) =>
        percentile_cont(0.5) within group (order by d) ; corr(n, m) ; covar_pop(n, m) ;
        covar_samp(n, m) ; regr_slope(n, m) ; regr_intercept(n, m) ; regr_r2(n, m) ; regr_count(n,
        m) ; bool_and(b) ; bool_or(b) ; bit_and(p) ; bit_or(p) ; bit_xor(p) ; string_agg(t, ','
        order by id) ; string_agg(s, ',' order by id) ; string_agg(t, '' order by t desc) ;
        array_agg(n order by id) ; array_agg(t order by t) ; array_agg(distinct g order by g) ;
        sum(d) filter (where n > 0) ; count(*) filter (where b) ; sum(n) filter (where n > 100) ;
        sum(case when b then d end) ; sum(d * m) ; sum(d) / count(*) ; sum(d) / 3 ; avg(d * 2) ;
        avg(e * d) ; avg(d) filter (where n <> 0) ; avg(distinct e) ; round(avg(d), 2) ;
        round(sum(d) / 3, 2) ; max(n) - min(n) ; sum(n) / count(n) ; sum(n) / 2 ; coalesce(sum(d)
        filter (where id > 100), 0) ; percentile_cont(0.25) within group (order by h) ;
        first_value(t order by id) => first(t order by id) => (array_agg(t order by id))[1] ;
        last_value(t order by id) => last(t order by id) => (array_agg(t order by id desc))[1] ;
        min(b) => bool_and(b) ; max(b) => bool_or(b) ; sum(n) is null ; count(distinct n) +
        count(*) ; sum(-d) ; avg(distinct m) ; sum(distinct d)
    """,
    "windows": """
        row_number() over (order by id) ; rank() over (order by g) ; dense_rank() over (order by
        g) ; percent_rank() over (order by g) ; cume_dist() over (order by g) ; ntile(2) over
        (order by id) ; ntile(3) over (order by id) ; lag(n) over (order by id) ; lag(n, 2) over
        (order by id) ; lag(m, 1, 0) over (order by id) ; lead(n) over (order by id) ; lead(t, 1,
        'z') over (order by id) ; first_value(t) over (partition by g order by id) ; last_value(t)
        over (partition by g order by id) ; nth_value(t, 2) over (order by id) ; last_value(t)
        over (partition by g order by id rows between unbounded preceding and unbounded following)
        ; sum(n) over (partition by g) ; sum(d) over (order by id) ; sum(d) over (order by g) ;
        avg(d) over (partition by g) ; avg(m) over (order by id rows between 1 preceding and 1
        following) ; count(*) over (partition by g) ; count(n) over (order by id) ; min(d) over
        (order by id) ; max(ts) over (partition by g) ; row_number() over (partition by g order by
        id desc) ; row_number() over (order by n, id) ; row_number() over (order by n desc, id) ;
        row_number() over (order by n nulls first, id) ; row_number() over (order by s, id) ;
        row_number() over (order by u) ; row_number() over (order by b, id) ; sum(m) over (order
        by id rows between unbounded preceding and current row) ; sum(m) over (order by id rows 1
        preceding) ; sum(m) over (order by m range between 1 preceding and current row) ; sum(n)
        filter (where m > 1) over (order by id) ; string_agg(t, ',') over (order by id) ; sum(d)
        over (order by id) / 3 ; d / sum(d) over () ; round(100 * d / sum(d) over (), 2) ; rank()
        over (order by d) ; lag(day) over (order by id) ; bool_or(b) over (partition by g)
    """,
    "arrays": """
        make_array(1, 2, 3) => [1, 2, 3] => array[1, 2, 3] ; array_length(make_array(n, m)) =>
        len([n, m]) => cardinality(array[n, m]) ; cardinality(make_array(n, m)) => len([n, m]) =>
        cardinality(array[n, m]) ; make_array(n, m)[1] => [n, m][1] => (array[n, m])[1] ;
        make_array(1, 2)[3] => [1, 2][3] => (array[1, 2])[3] ; array_append(make_array(1), 2) =>
        list_append([1], 2) => array_append(array[1], 2) ; array_concat(make_array(1),
        make_array(2)) => list_concat([1], [2]) => array[1] || array[2] ; array_has(make_array(1,
        2), m) => list_contains([1, 2], m) => m = any(array[1, 2]) ; array_position(make_array(1,
        2, 3), m) => list_position([1, 2, 3], m) => array_position(array[1, 2, 3], m) ;
        array_remove(make_array(1, 2, 2), 2) => list_filter([1, 2, 2], lambda x: x <> 2) =>
        array_remove(array[1, 2, 2], 2) ; array_to_string(make_array(1, 2), ',') =>
        array_to_string([1, 2], ',') => array_to_string(array[1, 2], ',') ;
        array_sort(make_array(3, 1, 2)) => list_sort([3, 1, 2]) => array[1, 2, 3] ;
        array_distinct(make_array(1, 1)) => list_distinct([1, 1]) => array[1] ;
        array_reverse(make_array(1, 2)) => list_reverse([1, 2]) => array[2, 1] ;
        array_slice(make_array(1, 2, 3), 1, 2) => [1, 2, 3][1:2] => (array[1, 2, 3])[1:2] ;
        range(1, 4) => range(1, 4) => array[1, 2, 3] ; array_max(make_array(n, m)) => list_max([n,
        m]) => greatest(n, m) ; m = any(make_array(2, 3)) => list_contains([2, 3], m) => m =
        any(array[2, 3])
    """,
}


class Unable(Exception):
    """An engine does not evaluate an expression."""


Values = list[Any]
Engine = Callable[[str, bool], Values]
"""Returns the values of an expression over all rows, of an aggregate over all together."""


def expressions(family: str) -> Iterator[tuple[str, str, str]]:
    """Yield each expression as Kalla, DuckDB and PostgreSQL write it."""
    for written in " ".join(FAMILIES[family].split()).split(" ; "):
        ours, *others = written.split(" => ")
        yield ours, (others or [ours])[0], (others or [ours])[-1]


def kalla(expression: str, total: bool) -> Values:
    """Evaluate as a run does."""
    shapes = (TableShape("l", TABLE.schema, ("id",)), TableShape("r", TABLE.schema, ("id",)))
    query = MatchQuery(_select(expression, total), *shapes, (), STARTED_AT)
    try:
        prepared = prepare(query)
        session = new_session()
        register_tables(session, query, TABLE.to_batches(), TABLE.to_batches(), {})
        register_calls(session, prepared)
        with query_errors():
            found = session.sql(prepared.text).to_arrow_table()
    except KallaError as refusal:
        raise Unable from refusal
    return list(found.column(0).to_pylist())


@cache
def duckdb_engine() -> Engine:
    """Return what evaluates by DuckDB."""
    database = duckdb.connect()
    database.register("l", TABLE)

    def evaluate(expression: str, total: bool) -> Values:
        try:
            found = database.execute(_select(expression, total)).fetchall()
        except duckdb.Error as error:
            raise Unable from error
        return [row[0] for row in found]

    return evaluate


@contextmanager
def postgres_engine() -> Iterator[Engine]:
    """Make what evaluates by PostgreSQL."""
    database = new_database(shared_server())
    database.put("l", TABLE)
    with database.connection() as connection, connection.cursor() as cursor:

        def evaluate(expression: str, total: bool) -> Values:
            values = (
                f"SELECT pg_typeof(x)::text, to_json(x)::text FROM ({_select(expression, total)}) q"
            )
            try:
                cursor.execute(values)
            except connection.Error as error:
                raise Unable from error
            found = cursor.fetchall()
            return [None if text is None else _read(kind, text) for kind, text in found]

        yield evaluate


def same(one: Any, other: Any) -> bool:
    """Whether two engines mean the same value; floats may differ in their last digits."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    numbers = (int, float, Decimal)
    if isinstance(one, bool) or not isinstance(one, numbers) or not isinstance(other, numbers):
        return type(one) is type(other) and bool(one == other)
    return one == other or math.isclose(one, other, rel_tol=1e-11, abs_tol=1e-11)


def _select(expression: str, total: bool) -> str:
    columns = f"{expression} AS x"
    return f"SELECT {columns} FROM l" if total else f"SELECT {columns}, id FROM l ORDER BY id"


def _read(kind: str, text: str) -> Any:
    value = json.loads(text, parse_float=Decimal)
    if kind == "date":
        return dt.date.fromisoformat(value)
    return dt.datetime.fromisoformat(value) if kind.startswith("timestamp") else value
