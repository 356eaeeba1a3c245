"""Pairs of rows of one key by sorted hashes, against every row tried with every other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pyarrow as pa
import pytest
from datafusion import Expr, lit
from hypothesis import given, settings
from hypothesis import strategies as st

from kalla_core.engine.joins import sorted_keys
from kalla_core.engine.joins.sorted_keys import pairs_of_one_key
from kalla_core.engine.rows import Rows
from kalla_core.engine.tasks import Stop
from kalla_core.matching.sql.query import Side, TableShape
from tests.support.chance import often

SCHEMA = pa.schema([("__k0", pa.string()), ("__k1", pa.date32())])
MANY = 1 << 20
SHAPE = TableShape("keys", SCHEMA, ())

Row = tuple[str | None, int | None]
texts = st.none() | st.sampled_from(["", "a", "b", "A", "ä" * 40])
some = st.lists(st.tuples(texts, st.none() | st.integers(0, 2)), max_size=30)


def _rows(side: Side, keys: Sequence[Row], cut: int) -> Rows:
    """Return rows with these keys, in batches of `cut` rows."""
    columns = [[text for text, _ in keys], [day for _, day in keys]]
    arrays = [pa.array(one, kind) for one, kind in zip(columns, SCHEMA.types, strict=True)]
    return Rows(side, SHAPE, tuple(pa.table(arrays, schema=SCHEMA).to_batches(cut)))


def _found(left: Sequence[Row], right: Sequence[Row], threads: int = 1) -> set[tuple[int, int]]:
    found = pairs_of_one_key(
        _rows(Side.LEFT, left, 4), _rows(Side.RIGHT, right, 7), MANY, threads, Stop()
    )
    assert found is not None
    assert all(len(at_right) for _, at_right in found)
    rights = [at for _, at_right in found for at in at_right.tolist()]
    assert sorted(rights) == rights
    lefts = [at for at_left, _ in found for at in at_left.tolist()]
    pairs = list(zip(lefts, rights, strict=True))
    assert len(set(pairs)) == len(pairs)
    return set(pairs)


def _wanted(left: Sequence[Row], right: Sequence[Row]) -> set[tuple[int, int]]:
    return {
        (n, m)
        for (n, ours), (m, theirs) in product(enumerate(left), enumerate(right))
        if ours == theirs and None not in ours
    }


@given(
    some,
    some,
    st.sampled_from([1, 2, 5, 1 << 14]),
    st.sampled_from([1, 3, 1 << 17]),
    st.sampled_from([1, 3]),
)
@settings(max_examples=often(200), deadline=None)
def test_pairs_are_those_that_every_row_tried_with_every_other_gives(
    left: list[Row], right: list[Row], at_once: int, pairs_at_once: int, threads: int
) -> None:
    wanted = _wanted(left, right)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorted_keys, "_HASHES_AT_ONCE", at_once)
        patch.setattr(sorted_keys, "_HASHED_IN_A_QUERY", 6)
        patch.setattr(sorted_keys, "_PAIRS_AT_ONCE", pairs_at_once)
        assert _found(left, right, threads) == wanted


def test_pairs_that_are_too_many_are_not_told() -> None:
    rows = _rows(Side.LEFT, [("a", 1)] * 3, 4), _rows(Side.RIGHT, [("a", 1)] * 2, 7)

    assert pairs_of_one_key(*rows, 5, 1, Stop()) is None
    assert pairs_of_one_key(*rows, 6, 1, Stop()) is not None


def test_rows_whose_hashes_are_alike_come_as_pairs_for_whoever_looks_at_their_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def same(_: object) -> Expr:
        return lit(7)

    monkeypatch.setattr(sorted_keys, "digest", same)

    assert _found([("a", 1), ("b", 1)], [("a", 1)]) == {(0, 0), (1, 0)}


def test_rows_of_only_nulls_and_no_rows_have_no_pairs() -> None:
    assert _found([(None, 1)] * 3, [("a", None)] * 2) == set()
    assert _found([], [("a", 1)]) == set()
    assert _found([("a", 1)], []) == set()
