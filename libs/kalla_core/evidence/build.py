"""Batches of the three outputs, put together column by column; nothing is computed per row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from kalla_core.evidence.keys import key_text, match_ids
from kalla_core.evidence.schema import (
    MATCH_RULE,
    MATCHED_FIELDS,
    UNMATCHED_FIELDS,
    MatchedLayout,
    UnmatchedLayout,
)
from kalla_core.evidence.stored import store

_ATTEMPTED_RULES = f'["{MATCH_RULE}"]'


@dataclass(frozen=True, slots=True)
class Reasons:
    """Why rows are unmatched, one value per row.

    Attributes:
        rejection_reason: string, the code.
        reason_detail: string.
        closest_candidate: string, key text of a row of the other side, or null.
    """

    rejection_reason: pa.Array
    reason_detail: pa.Array
    closest_candidate: pa.Array


def matched_batch(
    layout: MatchedLayout,
    output: pa.RecordBatch,
    left_key: Sequence[pa.Array],
    right_key: Sequence[pa.Array],
    matched_at: datetime,
) -> pa.RecordBatch:
    """Return rows of `matched`, with the layout's schema.

    Args:
        layout: as `matched_layout` gave it.
        output: all columns that the layout was made for, by position; further ones (hidden
            columns) are left out.
        left_key: the columns of the left primary key, per row of `output`.
        right_key: likewise.
        matched_at: the run's start, zoned.

    Raises:
        TypesNotComparable: a key column has no text.
    """
    rows = output.num_rows
    left_text, right_text = key_text(left_key), key_text(right_key)
    ours = [
        match_ids(left_text, right_text),
        left_text,
        right_text,
        _given_or(output, layout.rule_name, MATCHED_FIELDS.field("rule_name"), MATCH_RULE),
        _given_or(output, layout.confidence, MATCHED_FIELDS.field("confidence"), 1.0),
        pa.repeat(pa.scalar(matched_at, MATCHED_FIELDS.field("matched_at").type), rows),
    ]
    theirs = [output.column(position) for position in layout.columns]
    return _batch(layout.schema, ours, theirs)


def unmatched_batch(
    layout: UnmatchedLayout, rows: pa.RecordBatch, key: Sequence[pa.Array], reasons: Reasons
) -> pa.RecordBatch:
    """Return rows of an unmatched output, with the layout's schema.

    Args:
        layout: as `unmatched_layout` gave it.
        rows: all columns of the source, by position; further ones (hidden columns) are left out.
        key: the columns of the primary key, per row.
        reasons: why, per row.

    Raises:
        TypesNotComparable: a key column has no text.
    """
    ours = [
        key_text(key),
        reasons.rejection_reason,
        reasons.reason_detail,
        reasons.closest_candidate,
        pa.repeat(_ATTEMPTED_RULES, rows.num_rows),
    ]
    count = len(layout.schema) - len(UNMATCHED_FIELDS)
    return _batch(layout.schema, ours, rows.columns[:count])


def _given_or(
    output: pa.RecordBatch, position: int | None, field: pa.Field, default: object
) -> pa.Array:
    if position is None:
        return pa.repeat(pa.scalar(default, field.type), output.num_rows)
    # A decimal may have more digits than a float: the nearest float is what is wanted.
    return output.column(position).cast(field.type, safe=False)


def _batch(schema: pa.Schema, ours: list[pa.Array], theirs: list[pa.Array]) -> pa.RecordBatch:
    columns = [
        store(column, field.type) for column, field in zip([*ours, *theirs], schema, strict=True)
    ]
    return pa.record_batch(columns, schema=schema)
