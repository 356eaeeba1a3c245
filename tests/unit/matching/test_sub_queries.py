"""Sub-queries in conditions: the rows that DuckDB gives, or a refusal that says what to write."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kalla_core.errors import InvalidSql, KallaError
from tests.unit.matching.nasty import Tables, tables
from tests.unit.matching.running import original_rows, planned
from tests.unit.matching.test_second_oracle import duckdb_rows

CORRELATED = {
    "none": "o.k > 2",
    "nulls": "o.id >= 0",
    "left": "o.k = l.k",
    "left_less": "o.id < l.id",
    "right": "o.k = r.k",
    "both": "o.k = l.k and o.id < r.id",
}
BARE = [
    "{exists}", "not {exists}", "{i}", "{n}", "not ({i})", "r.grp = 1 or {i}", "r.grp = 1 or {n}",
    "r.grp = 1 or not ({i})", "not (r.grp = 1 and {i})", "not (not ({i}))", "({i}) is null",
    "({i}) is not true", "case when {i} then false else true end", "({i}) = false",
    "coalesce({i}, true)", "r.grp = 1 and ({i} or r.grp = 2)", "not ((({i})))", "{n} and r.grp = 1",
    "r.grp = 1 or ({n} and r.grp = 2)", "not ({n})", "r.grp = 1 or {exists}", "{scalar} > 1",
    "r.grp = 1 or not {exists}", "({exists}) = (r.grp = 1)", "coalesce({scalar}, 9) > 1",
    "{any}", "{all}", "r.grp = 1 or {any}", "r.grp = 1 or {all}", "not (r.grp = 1 and {any})",
    "({any}) is null", "case when {all} then false else true end", "coalesce({all}, false)",
]  # fmt: skip
JOINS = ["join", "left join", "right join"]


KINDS = [
    "none",
    "both",
    *(
        pytest.param(kind, marks=pytest.mark.full)
        for kind in CORRELATED
        if kind not in ("none", "both")
    ),
]
"""What sub-queries may name: nothing from outside and columns of both sides, in the short run."""


def conditions(kind: str) -> Iterator[str]:
    rows = f"from right_src o where {CORRELATED[kind]}"
    parts = {
        "exists": f"exists (select 1 {rows})",
        "i": f"l.grp in (select o.grp {rows})",
        "n": f"l.grp not in (select o.grp {rows})",
        "any": f"l.grp = any (select o.grp {rows})",
        "all": f"l.grp <> all (select o.grp {rows})",
        "scalar": f"(select max(o.grp) {rows})",
    }
    yield from (bare.format(**parts) for bare in BARE)


def rows_that_differ(data: Tables, sqls: list[str]) -> tuple[list[str], int]:
    """Return the SQL whose rows DuckDB does not give, and how many were run."""
    differ, ran = [], 0
    for sql in sqls:
        try:
            plan = planned(sql)
        except KallaError:
            continue
        ran += 1
        if original_rows(plan, data) != duckdb_rows(sql, data):
            differ.append(sql)
    return differ, ran


@pytest.fixture(scope="module")
def data() -> Tables:
    return tables(seed=3, left_rows=12, right_rows=14)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sub_query_in_where_gives_the_rows_of_duckdb_or_is_refused(
    data: Tables, kind: str
) -> None:
    head = "select l.id, r.id as rid from left_src l join right_src r on l.k = r.k where"

    differ, ran = rows_that_differ(data, [f"{head} {each}" for each in conditions(kind)])

    assert differ == []
    assert ran >= 15


@pytest.mark.parametrize("kind", KINDS)
def test_a_sub_query_in_on_gives_the_rows_of_duckdb_or_is_refused(data: Tables, kind: str) -> None:
    heads = [f"select l.id, r.id as rid from left_src l {join} right_src r" for join in JOINS]

    differ, ran = rows_that_differ(
        data, [f"{head} on l.k = r.k and ({each})" for head in heads for each in conditions(kind)]
    )

    assert differ == []
    assert ran >= (20 if kind in ("none", "nulls") else 0)


@pytest.mark.parametrize("alias", ["l", "r", "o"])
@pytest.mark.parametrize("clause", ["and", "where"])
@pytest.mark.parametrize("operator", ["in", "not in", "= any", "<> all", "> all", "<= any"])
def test_a_sub_query_may_call_its_table_as_one_outside_is_called(
    alias: str, clause: str, operator: str, data: Tables
) -> None:
    rows = f"(select {alias}.k + 1 from right_src {alias} where {alias}.k is not null)"
    sqls = [f"{INNER} {clause} {side}.k {operator} {rows}" for side in "lr"]

    differ, ran = rows_that_differ(data, sqls)

    assert differ == []
    assert ran == (0 if clause == "and" and "in" not in operator else len(sqls))


INNER = "select l.id, r.id as rid from left_src l join right_src r on l.k = r.k"
LIST = "(select o.grp from right_src o"


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (
            "and not exists (select 1 from right_src o where o.k = l.k and o.id < r.id)",
            "in ON names a column from outside of it .line 1, column 87.; write .* into WHERE",
        ),
        (f"and r.grp = {LIST} where o.k = l.k)", "in ON names a column from outside"),
        (f"where r.grp = 1 or l.grp not in {LIST})", r"null would be taken for false.*<> ALL"),
        (f"where l.k not in {LIST}) and left(r.ref, 1) = 'A' or l.grp = 1", "for false.*<> ALL"),
        (f"and case when 1 = {LIST} where o.k = l.k) then true end", "in ON names a column"),
        (f"where (l.grp in {LIST})) is null", r"null would be taken for false.*= ANY"),
        (f"where l.grp not in {LIST} where o.id < l.id)", r"NOT IN names a column.*<> ALL"),
    ],
)
def test_what_datafusion_gets_wrong_is_refused_with_what_to_write(
    condition: str, message: str
) -> None:
    with pytest.raises(InvalidSql, match=message):
        planned(f"{INNER} {condition}")


@pytest.mark.parametrize(
    "sql",
    [
        f"{INNER} and l.cur in (select ccy from fx) and exists (select 1 from fx)",
        f"{INNER} and l.cur not in (select ccy from fx where ccy is not null)",
        f"{INNER} where (l.cur in (select ccy from fx) or l.grp = 1) and not (l.k in {LIST}))",
        f"with x as (select ccy from fx) {INNER} and l.cur in (select ccy from x)",
        f"{INNER} where l.grp in {LIST} where o.k = l.k) order by l.id limit 10",
    ],
)
def test_what_it_gets_right_runs(sql: str, data: Tables) -> None:
    assert original_rows(planned(sql), data) == duckdb_rows(sql, data)
