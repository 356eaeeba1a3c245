"""Match SQL that nobody thought of: pieces give what the whole gives."""

from __future__ import annotations

import pytest

from kalla_core.errors import InvalidSql, SidesNotIdentified
from kalla_core.matching.sql.query import Side
from tests.unit.matching.generated import random_sql
from tests.unit.matching.nasty import Tables, numbered, tables
from tests.unit.matching.running import (
    Sides,
    bucketed,
    original_rows,
    pairs_and_rows,
    pieces,
    planned,
    result_rows,
)

QUICK, ALL = 60, 1500


@pytest.fixture(scope="module")
def data() -> Tables:
    return tables(seed=3)


@pytest.fixture(scope="module")
def sides(data: Tables) -> Sides:
    return {Side.LEFT: numbered(data.left), Side.RIGHT: numbered(data.right)}


@pytest.mark.parametrize("seed", range(QUICK))
def test_pieces_of_random_sql_give_the_whole(seed: int, data: Tables, sides: Sides) -> None:
    check(random_sql(seed), data, sides)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(QUICK, ALL))
def test_pieces_of_much_random_sql_give_the_whole(seed: int, data: Tables, sides: Sides) -> None:
    check(random_sql(seed), data, sides)


REFUSED = ("their join is null-safe", "sub-query")
"""What DataFusion would answer wrong, and is refused with what to write."""


def check(sql: str, data: Tables, sides: Sides) -> None:
    try:
        plan = planned(sql)
    except SidesNotIdentified:
        return
    except InvalidSql as refused:
        if any(words in refused.message for words in REFUSED):
            return
        raise
    whole = pairs_and_rows(plan, sides, data.fx)
    ways = [pieces(sides, side, 3) for side in plan.replicable]
    if plan.copartition is not None:
        ways.append(bucketed(plan, sides, 3))

    assert result_rows(plan, sides, data.fx) == original_rows(plan, data)
    for way in ways:
        found = [line for part in way for line in pairs_and_rows(plan, part, data.fx)]
        assert sorted(found) == whole
