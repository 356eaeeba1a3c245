"""What DataFusion answers, DuckDB answers too: DataFusion is not its own oracle.

Left out are queries whose answer is not determined by the SQL.
"""

from __future__ import annotations

import duckdb
import pytest

from kalla_core.errors import InvalidSql, SidesNotIdentified
from tests.unit.matching.generated import random_sql
from tests.unit.matching.nasty import Tables, tables
from tests.unit.matching.running import Line, original_rows, planned

QUICK, ALL = 100, 1500


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


def check(sql: str, data: Tables) -> None:
    try:
        plan = planned(sql)
    except (InvalidSql, SidesNotIdentified):
        return

    assert original_rows(plan, data) == duckdb_rows(sql, data)


def duckdb_rows(sql: str, data: Tables) -> list[Line]:
    """Return, sorted, what DuckDB finds, as text."""
    with duckdb.connect() as database:
        for name in ("left_src", "inv"):
            database.register(name, data.left)
        for name in ("right_src", "pay"):
            database.register(name, data.right)
        database.register("fx", data.fx)
        return sorted(tuple(map(str, row)) for row in database.execute(sql).fetchall())
