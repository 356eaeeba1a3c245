from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa

from kalla_core.evidence.build import MatchedRows, Reasons, unmatched_batch
from kalla_core.evidence.keys import match_ids
from kalla_core.evidence.schema import MatchedLayout, matched_layout, unmatched_layout
from kalla_core.matching.sql.query import Side

STARTED = datetime(2024, 3, 31, 12, 30, tzinfo=UTC)


def matched(
    layout: MatchedLayout,
    output: pa.RecordBatch,
    left_key: list[pa.Array],
    right_key: list[pa.Array],
) -> pa.Table:
    rows = MatchedRows(layout, STARTED)
    half = output.num_rows // 2
    batches = [
        rows.gather(
            output.slice(start, count),
            [column.slice(start, count) for column in left_key],
            [column.slice(start, count) for column in right_key],
        )
        for start, count in ((0, half), (half, output.num_rows - half))
    ]
    return rows.finish(pa.Table.from_batches(batches))


def test_a_match_has_its_id_its_keys_the_constants_and_every_column_of_the_sql() -> None:
    output = pa.record_batch(
        [pa.array(["I1", "I2"]), pa.array(["P1", "P2"]), pa.array([1, 2])],
        schema=pa.schema([("id", pa.string()), ("id", pa.string()), ("n", pa.int64())]),
    )
    layout = matched_layout(output.schema, [Side.LEFT, Side.RIGHT, None])

    batch = matched(layout, output, [output.column(0)], [output.column(1)])

    assert batch.schema == layout.schema
    assert batch.slice(1).to_pylist() == [
        {
            "match_id": match_ids(pa.array(["I2"]), pa.array(["P2"]))[0].as_py(),
            "left_key": "I2",
            "right_key": "P2",
            "rule_name": "match_sql",
            "confidence": 1.0,
            "matched_at": STARTED,
            "id_left": "I2",
            "id_right": "P2",
            "n": 2,
        }
    ]


def test_keys_of_several_columns_and_hidden_columns_do_not_show_as_columns() -> None:
    output = pa.record_batch({"a": ["x"], "hidden": [7]})
    layout = matched_layout(pa.schema([("a", pa.string())]))

    key = [output.column(0), output.column(1)]
    batch = matched(layout, output, key, key)

    assert batch.column("left_key").to_pylist() == ['["x",7]']
    assert batch.schema.names[-1] == "a"


def test_rule_name_and_confidence_of_the_sql_are_taken_over() -> None:
    output = pa.record_batch(
        {
            "confidence": pa.array([Decimal("0.85"), None]),
            "rule_name": pa.array(["exact", None]).dictionary_encode(),
        }
    )
    layout = matched_layout(output.schema)

    key = [pa.array(["k", "k"])]
    batch = matched(layout, output, key, key)

    assert batch.column("confidence").to_pylist() == [0.85, None]
    assert batch.column("rule_name").to_pylist() == ["exact", None]


def test_an_unmatched_row_has_its_key_its_reason_and_every_column_of_the_source() -> None:
    rows = pa.record_batch({"record_key": ["a"], "amount": [Decimal("1.50")], "row": [0]})
    layout = unmatched_layout(rows.schema.remove(2))
    reasons = Reasons(pa.array(["key_not_found"]), pa.array(["why"]), pa.nulls(1, pa.string()))

    batch = unmatched_batch(layout, rows, [rows.column(0)], reasons)

    assert batch.schema == layout.schema
    assert batch.to_pylist() == [
        {
            "record_key": "a",
            "rejection_reason": "key_not_found",
            "reason_detail": "why",
            "closest_candidate": None,
            "attempted_rules": '["match_sql"]',
            "record_key_": "a",
            "amount": Decimal("1.50"),
        }
    ]


def test_batches_without_rows_keep_the_layout() -> None:
    rows = pa.record_batch([pa.nulls(0)], names=["a"])
    nothing = pa.array([], pa.string())

    pairs = matched(matched_layout(rows.schema), rows, [nothing], [nothing])
    unmatched = unmatched_batch(
        unmatched_layout(rows.schema), rows, [nothing], Reasons(nothing, nothing, nothing)
    )

    assert (pairs.num_rows, unmatched.num_rows) == (0, 0)
    assert pairs.schema == matched_layout(rows.schema).schema


def test_rows_of_groups_have_their_group_and_no_key_of_the_other_side() -> None:
    output = pa.record_batch({"total": [7, 7]})
    layout = matched_layout(output.schema, grouped=True)
    rows = MatchedRows(layout, STARTED)

    gathered = rows.gather_grouped(
        output, pa.array(["I1", None]), pa.array([None, "P1"]), pa.array(["00ff", "00ff"])
    )

    finished = rows.finish(pa.Table.from_batches([gathered]))
    assert finished.schema == layout.schema
    assert finished.select(["left_key", "right_key", "match_group", "total"]).to_pylist() == [
        {"left_key": "I1", "right_key": None, "match_group": "00ff", "total": 7},
        {"left_key": None, "right_key": "P1", "match_group": "00ff", "total": 7},
    ]
