"""What DataFusion answers, DuckDB answers too: DataFusion is not its own oracle.

Left out are queries that are refused; few of the random ones are.
"""

from __future__ import annotations

import pytest

from kalla_core.errors import InvalidSql, SidesNotIdentified
from tests.unit.matching.generated import random_sql
from tests.unit.matching.nasty import Tables, tables
from tests.unit.matching.running import duckdb_rows, original_rows, planned

QUICK, ALL = 100, 1500
MOST_REFUSED = 0.05


@pytest.fixture(scope="module")
def data() -> Tables:
    return tables(seed=3)


@pytest.mark.parametrize("seed", range(QUICK))
def test_random_sql_gives_the_rows_that_duckdb_gives(seed: int, data: Tables) -> None:
    check(random_sql(seed), data)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(QUICK, ALL))
def test_much_random_sql_gives_the_rows_that_duckdb_gives(seed: int, data: Tables) -> None:
    check(random_sql(seed), data)


@pytest.mark.parametrize("seeds", [range(QUICK), pytest.param(range(ALL), marks=pytest.mark.full)])
def test_few_random_queries_are_refused_and_few_find_nothing(seeds: range, data: Tables) -> None:
    taken = [sql for sql in map(random_sql, seeds) if not is_refused(sql)]

    answered = [sql for sql in taken[:QUICK] if original_rows(planned(sql), data)]

    assert len(taken) >= (1 - MOST_REFUSED) * len(seeds)
    assert len(answered) >= 0.75 * len(taken[:QUICK])


def check(sql: str, data: Tables) -> None:
    if is_refused(sql):
        return

    assert original_rows(planned(sql), data) == duckdb_rows(sql, data)


def is_refused(sql: str) -> bool:
    try:
        planned(sql)
    except (InvalidSql, SidesNotIdentified):
        return True
    return False
