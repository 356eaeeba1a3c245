from __future__ import annotations

import pytest
from datafusion import SessionContext

from kalla_core.matching.plans import logical as lp
from kalla_core.matching.plans.lineage import Column, Reader, Symbol, Unseen
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.plans.trace import Tracer
from kalla_core.matching.plans.wording import spoken, worded
from kalla_core.matching.sql.query import Side
from kalla_core.matching.sql.tables import register_shapes
from kalla_core.matching.sql.written import Written
from tests.unit.matching.nasty import query


@pytest.fixture
def session() -> SessionContext:
    session = new_session()
    register_shapes(session, query(""))
    return session


def symbols(session: SessionContext, sql: str) -> tuple[Symbol, ...]:
    plan = session.sql(sql).optimized_logical_plan()
    return Tracer(Reader(session), {"left_src": Side.LEFT, "inv": Side.LEFT}).trace(plan).symbols


@pytest.mark.parametrize(
    "sql",
    [
        "select k, k as other from left_src",
        "select lower(trim(a.ref)), lower(b) from (select ref, trim(ref) b from left_src) a",
        "select k, cast(k as bigint) q from left_src",
        "select k + 1, q + 1 from (select k, k as q from left_src) t",
    ],
)
def test_the_same_value_under_two_names_is_one_symbol(session: SessionContext, sql: str) -> None:
    one, other = symbols(session, sql)

    assert one == other


@pytest.mark.parametrize(
    "sql",
    [
        "select k, grp from left_src",
        "select k + 1, k + 2 from left_src",
        "select k - grp, grp - k from left_src",
        "select lower(ref), upper(ref) from left_src",
        "select k, cast(k as varchar) q from left_src",
        "select substr(ref, 1, 2), substr(ref, 2, 1) from left_src",
        "select case when k = 1 then 2 else 3 end, case when k = 1 then 3 else 2 end from left_src",
        "select k in (1, 2), k not in (1, 2) from left_src",
        "select ref like 'a%', ref not like 'a%' from left_src",
        "select cast(d as timestamp), cast(d as varchar) q from left_src",
        "select a.k, b.k from left_src a join left_src b on a.id = b.grp",
        "select l.k, r.k from left_src l left join left_src r on l.k = r.k",
    ],
)
def test_unlike_values_are_unlike_symbols(session: SessionContext, sql: str) -> None:
    one, other = symbols(session, sql)

    assert one != other


def test_results_of_aggregates_and_windows_are_not_seen_through(session: SessionContext) -> None:
    key, total = symbols(session, "select k, sum(grp) from left_src group by k")
    *_, number = symbols(session, "select k, row_number() over (order by k) from left_src")

    assert isinstance(key, Column)
    assert isinstance(total, Unseen)
    assert isinstance(number, Unseen)


def test_both_names_of_a_table_are_its_side(session: SessionContext) -> None:
    (column,) = symbols(session, "select k from inv")

    assert isinstance(column, Column)
    assert column.table == Side.LEFT


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("k", "k"),
        ("lower(trim(ref))", "lower(btrim(ref))"),
        ("cast(k as varchar)", "k"),
        ("substr(sd, 1, 7)", "substr(sd, 1, 7)"),
        ("ref || '-''x'", "ref || '-''x'"),
        ("amount * 1.50", "amount * 1.5"),
    ],
)
def test_symbols_read_like_sql(session: SessionContext, sql: str, words: str) -> None:
    (symbol,) = symbols(session, f"select {sql} from left_src")

    assert spoken(symbol, Written()) == words


def test_expressions_read_like_sql(session: SessionContext) -> None:
    sql = "select id from left_src where d > date '2026-01-02' and cur = 'EUR' and amount > 1.50"
    node = lp.read(session.sql(sql).optimized_logical_plan().inputs()[0])

    assert isinstance(node, lp.Filtered)
    assert worded(node.predicate, Written()) == (
        "left_src.d > '2026-01-02' AND left_src.cur = 'EUR' AND left_src.amount > 1.5"
    )
