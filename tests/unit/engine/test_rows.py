"""Rows in memory, and looking them up."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from kalla_core.engine import rows as rows_module
from kalla_core.engine.rows import Rows, in_one_piece, without_ids
from kalla_core.matching.sql.query import ROW, Side, TableShape

SCHEMA = pa.schema([("id", pa.int64()), ("text", pa.string()), ("note", pa.string())])
SHAPE = TableShape("invoices", SCHEMA, ("id", "text"))


def _batches() -> list[pa.RecordBatch]:
    return [
        pa.record_batch([[1, 2], ["a", None], ["x", "y"]], schema=SCHEMA),
        pa.record_batch([[3], ["c"], ["z"]], schema=SCHEMA),
    ]


def test_one_piece_has_the_rows_in_their_order_and_empties_the_list() -> None:
    batches = _batches()

    rows = in_one_piece(Side.LEFT, SHAPE, batches)

    assert batches == []
    assert pa.Table.from_batches(rows.batches) == pa.Table.from_batches(_batches())
    assert rows.column("id").to_pylist() == [1, 2, 3]


def test_text_of_more_than_its_offsets_can_address_is_looked_up_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rows_module, "_LARGE_BYTES", 1)
    rows = in_one_piece(Side.LEFT, SHAPE, _batches())

    keys = rows.keys(np.array([2, 0]))

    assert rows.column("text").type == pa.large_string()
    assert [key.type for key in keys] == [pa.int64(), pa.string()]
    assert [key.to_pylist() for key in keys] == [[3, 1], ["c", "a"]]


@pytest.mark.parametrize(
    "texts", [["INV-1", "INV-2", "INV-3"], ["a", None, "c"], ["a", "bc", ""], ["", "", ""]]
)
def test_many_texts_are_looked_up_as_few_are(
    monkeypatch: pytest.MonkeyPatch, texts: list[str | None]
) -> None:
    column = pa.array(["xx", *texts])[1:]
    batch = pa.record_batch([[1, 2, 3], column, column], schema=SCHEMA)
    rows = Rows(Side.LEFT, SHAPE, (batch, batch.slice(0, 2)))
    at = pa.array([4, 0, 2, 2])
    few = rows.values("text", at)
    monkeypatch.setattr(rows_module, "_WORTH_A_LOOK_ROWS", 0)

    many = [rows.values("text", at), Rows(Side.LEFT, SHAPE, (batch,)).values("text", at[1:])]

    assert few.to_pylist() == [texts[1], texts[0], texts[2], texts[2]]
    assert many == [few, few[1:]]
    for found in many:
        found.validate(full=True)


def test_rows_taken_have_nulls_for_what_nobody_asked_for() -> None:
    rows = Rows(Side.LEFT, SHAPE, tuple(_batches()))

    table = rows.take(np.array([1, 2]), {"id", "note"})

    assert table.to_pydict() == {"id": [2, 3], "text": [None, None], "note": ["y", "z"]}


def test_numbers_follow_the_order_of_the_source() -> None:
    rows = Rows(Side.LEFT, SHAPE, tuple(_batches()))

    numbers = [number for batch in rows.numbered() for number in batch.column(ROW).to_pylist()]

    assert numbers == [0, 1, 2]


def test_numbers_of_the_whole_source_lead_back_to_positions() -> None:
    ids = [pa.array([70, 50], pa.uint64()), pa.array([60], pa.uint64())]
    numbered = [
        pa.RecordBatch.from_arrays([*batch.columns, row], names=[*SCHEMA.names, ROW])
        for batch, row in zip(_batches(), ids, strict=True)
    ]
    rows = without_ids(Side.LEFT, SHAPE, numbered)

    positions = rows.positions(np.array([60, 70, 50], dtype=np.uint64))

    assert positions.tolist() == [2, 0, 1]
    assert rows.numbers(positions).tolist() == [60, 70, 50]


def test_no_rows_are_one_empty_batch_with_numbers() -> None:
    rows = in_one_piece(Side.LEFT, SHAPE, [])

    (batch,) = rows.numbered()

    assert batch.num_rows == 0
    assert batch.schema.names == [*SCHEMA.names, ROW]
