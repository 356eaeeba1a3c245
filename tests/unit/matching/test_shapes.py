"""Every shape of match SQL: its strategy, its rows, its pairs, whole and in pieces."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest

from kalla_core.errors import KallaError
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.planned import Strategy
from tests.unit.matching.nasty import Tables, numbered, tables
from tests.unit.matching.running import (
    Sides,
    bucketed,
    duckdb_rows,
    oracle_pairs,
    original_rows,
    pairs_and_rows,
    pieces,
    planned,
    result_rows,
)
from tests.unit.matching.shapes import BROADCAST, COPARTITION, KEYED, SHAPES, SINGLE, Shape

RUN = [shape for shape in SHAPES if shape.expected in (COPARTITION, BROADCAST, SINGLE)]
CUT = [shape for shape in RUN if shape.expected == COPARTITION]
TOLD = [shape for shape in RUN if shape.oracle]
# Where the SQL leaves the choice among equal rows to chance, DataFusion's own answer is one of
# many; the oracle says which one is to be given.
LEFT_TO_CHANCE = re.compile(r"_ties|^limit|lag|ntile|running|first_value|nth_of|best_candidate")
# Where primary keys take the place of row numbers only rows with both keys come out.
DETERMINED = [s for s in RUN if not LEFT_TO_CHANCE.search(s.name) and s not in KEYED]
UNKNOWN_TO_DUCKDB = re.compile(
    r"tolerance|norm_ref|date_within|same\(|(left|right) (semi|anti) join"
)
READ_BY_DUCKDB = [s for s in DETERMINED if not UNKNOWN_TO_DUCKDB.search(s.sql)]


@pytest.fixture(scope="module")
def data() -> Tables:
    return tables(seed=1)


@pytest.fixture(scope="module")
def sides(data: Tables) -> Sides:
    return {Side.LEFT: numbered(data.left), Side.RIGHT: numbered(data.right)}


def test_the_table_is_as_large_as_it_has_to_be() -> None:
    names = {shape.name for shape in SHAPES}

    assert len(names) == len(SHAPES) >= 120


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_shape_gets_its_strategy_or_its_refusal(shape: Shape) -> None:
    try:
        found = planned(shape.sql).strategy.value
    except KallaError as refusal:
        found = refusal.code

    assert found == shape.expected


@pytest.mark.parametrize("shape", DETERMINED, ids=str)
def test_row_numbers_change_no_row(shape: Shape, data: Tables, sides: Sides) -> None:
    plan = planned(shape.sql)

    rows = result_rows(plan, sides, data.fx)

    assert rows == original_rows(plan, data)


@pytest.mark.parametrize("shape", READ_BY_DUCKDB, ids=str)
def test_the_rows_are_those_that_duckdb_gives(shape: Shape, data: Tables) -> None:
    plan = planned(shape.sql)

    assert original_rows(plan, data) == duckdb_rows(shape.sql, data)


def test_nearly_all_shapes_are_read_by_duckdb_and_have_rows(data: Tables) -> None:
    with_rows = [shape for shape in READ_BY_DUCKDB if duckdb_rows(shape.sql, data)]

    assert len(READ_BY_DUCKDB) > 0.9 * len(DETERMINED)
    assert len(with_rows) > 0.9 * len(READ_BY_DUCKDB)


@pytest.mark.parametrize("shape", TOLD, ids=str)
def test_the_pairs_are_those_another_engine_finds(shape: Shape, data: Tables, sides: Sides) -> None:
    plan = planned(shape.sql)

    found = pairs_and_rows(plan, sides, data.fx)

    pairs = sorted((int(left), int(right)) for *_, left, right in found)
    assert pairs == oracle_pairs(shape.oracle, data)


@pytest.mark.parametrize("buckets", [1, 7])
@pytest.mark.parametrize("shape", CUT, ids=str)
def test_buckets_give_the_rows_and_pairs_of_the_whole(
    shape: Shape, buckets: int, data: Tables, sides: Sides
) -> None:
    plan = planned(shape.sql)
    whole = pairs_and_rows(plan, sides, data.fx)

    parts = [pairs_and_rows(plan, part, data.fx) for part in bucketed(plan, sides, buckets)]

    assert sorted(line for part in parts for line in part) == whole


@pytest.mark.parametrize("shape", RUN, ids=str)
def test_pieces_beside_a_copied_side_give_the_rows_and_pairs_of_the_whole(
    shape: Shape, data: Tables, sides: Sides
) -> None:
    plan = planned(shape.sql)
    whole = pairs_and_rows(plan, sides, data.fx)

    found = {
        side: [pairs_and_rows(plan, part, data.fx) for part in pieces(sides, side, 3)]
        for side in plan.replicable
    }

    assert bool(found) or plan.strategy is not Strategy.BROADCAST
    for parts in found.values():
        assert sorted(line for part in parts for line in part) == whole


@pytest.mark.parametrize("shape", RUN, ids=str)
def test_the_order_of_rows_and_the_number_of_threads_change_nothing(
    shape: Shape, data: Tables, sides: Sides
) -> None:
    plan = planned(shape.sql)
    whole = pairs_and_rows(plan, sides, data.fx)

    shuffled = {side: _shuffled(table) for side, table in sides.items()}
    found = pairs_and_rows(plan, shuffled, data.fx, threads=3)

    assert found == whole


def _shuffled(table: pa.Table) -> pa.Table:
    return table.take(pa.array(np.random.default_rng(5).permutation(len(table))))
