"""Buckets of computed keys: a row's bucket is a matter of the row alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from kalla_core.engine.keys.keying import Keying
from kalla_core.errors import UserError
from kalla_core.matching.sql.query import MatchQuery, Side, TableShape
from kalla_core.matching.strategy.planned import Planned, plan_match
from tests.support.key_expressions import SHAPES, KeyCase, key_cases, some

ALL = list(key_cases())
BUCKETS = 7


def planned(case: KeyCase) -> Planned:
    schema = case.table("values").schema
    left, right = (TableShape(alias, schema, ("id",)) for alias in "lr")
    return plan_match(MatchQuery(case.sql, left, right, (), datetime(2026, 1, 1, tzinfo=UTC)))


def the_bucket_of_a_row_is_its_own(case: KeyCase) -> None:
    try:
        keying = Keying(planned(case))
    except UserError:
        return  # not for columns of this type

    for side in Side:
        for shape in SHAPES:
            table = case.table(shape)
            batches = table.to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)]
            together = keying.buckets(side, batches, BUCKETS)
            alone = [
                keying.buckets(side, table.slice(row, 1).to_batches(), BUCKETS)
                for row in range(table.num_rows)
            ]

            assert len(together) == table.num_rows
            assert together.tolist() == np.concatenate([*alone, []]).astype(int).tolist(), shape


@pytest.mark.parametrize("case", some(ALL, 50), ids=str)
def test_a_row_gets_the_same_bucket_alone_and_among_others(case: KeyCase) -> None:
    the_bucket_of_a_row_is_its_own(case)


@pytest.mark.full
@pytest.mark.parametrize("case", ALL, ids=str)
def test_a_row_of_any_type_under_any_form_gets_the_same_bucket(case: KeyCase) -> None:
    the_bucket_of_a_row_is_its_own(case)


@pytest.mark.parametrize(
    "cases", [some(ALL, 80), pytest.param(ALL, marks=pytest.mark.full)], ids=["some", "all"]
)
def test_most_forms_are_keys(cases: Sequence[KeyCase]) -> None:
    keys = 0
    for case in cases:
        try:
            keys += bool(planned(case).reason_keys)
        except UserError:
            continue

    assert keys > len(cases) // 3
