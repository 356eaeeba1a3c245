"""What travels over Flight fits into the messages of clients that never heard of Kalla."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalla_coordinator.api.pieces import MESSAGE_BYTES, PIECE_BYTES, cut_small
from kalla_core.errors import RowTooLarge

SIZES = st.lists(st.integers(0, 3 << 20), max_size=12)


def batch_of(sizes: list[int]) -> pa.RecordBatch:
    texts = ["x" * size for size in sizes]
    return pa.record_batch(
        {"n": pa.array(range(len(sizes)), pa.int64()), "t": pa.array(texts, pa.string())}
    )


@settings(max_examples=20, deadline=None)
@given(st.lists(SIZES, max_size=3))
def test_pieces_hold_all_rows_in_order_and_only_single_rows_are_large(many) -> None:
    batches = [batch_of(sizes) for sizes in many]

    pieces = list(cut_small(iter(batches)))

    expected = pa.Table.from_batches(batches, schema=batch_of([]).schema)
    assert pa.Table.from_batches(pieces, schema=expected.schema).equals(expected)
    for piece in pieces:
        assert piece.num_rows == 1 or pa.ipc.get_record_batch_size(piece) < PIECE_BYTES


def test_a_row_that_no_message_holds_is_named_after_those_before_it() -> None:
    pieces = cut_small(iter([batch_of([1]), batch_of([1, MESSAGE_BYTES, 1])]))

    assert [next(pieces).num_rows for _ in range(2)] == [1, 1]
    with pytest.raises(RowTooLarge, match=r"Row 3 .* column t") as failed:
        next(pieces)
    assert failed.value.details == {"row": 3, "column": "t"}
