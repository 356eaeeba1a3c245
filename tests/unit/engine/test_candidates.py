"""The first of rows by primary key, against sorting them all."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalla_core.engine.reasons import candidates
from kalla_core.engine.reasons.candidates import Coded, by_primary_key, first_by_primary_key
from kalla_core.engine.rows import Rows
from kalla_core.matching.sql.query import Side, TableShape
from tests.support.chance import often

Key = tuple[str | None, int | None]
keys = st.tuples(st.none() | st.sampled_from(["", "a", "ä", "b"]), st.none() | st.integers(0, 2))


def _rows(found: list[Key], kind: pa.DataType) -> Rows:
    schema = pa.schema([("name", pa.string()), ("number", kind)])
    names, numbers = zip(*found, strict=True)
    table = pa.table([pa.array(names), pa.array(numbers, kind)], schema=schema)
    return Rows(
        Side.LEFT, TableShape("rows", schema, ("name", "number")), tuple(table.to_batches())
    )


@given(
    st.lists(keys, min_size=1, max_size=8),
    st.data(),
    st.sampled_from([pa.int64(), pa.float64()]),
    st.sampled_from([1, 32]),
)
@settings(max_examples=often(200), deadline=None)
def test_the_first_of_each_code_is_that_of_all_in_their_order(
    found: list[Key], data: st.DataObject, kind: pa.DataType, most: int
) -> None:
    at = st.tuples(st.integers(0, 3), st.integers(0, len(found) - 1))
    pairs = sorted(data.draw(st.sets(at, min_size=1)))
    codes, positions = (np.array(one, dtype=np.int64) for one in zip(*pairs, strict=True))
    rows = _rows(found, kind)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "_MOST_ROUNDS", most)
        first = first_by_primary_key(rows, Coded(positions, codes))

    ranked = by_primary_key(rows, Coded(positions, codes))
    known, places = np.unique(ranked.codes, return_index=True)
    assert first.codes.tolist() == known.tolist()
    assert first.positions.tolist() == ranked.positions[places].tolist()
