"""Batches of the three outputs, put together column by column; nothing is computed per row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from kalla_core.evidence.attempts import Attempt
from kalla_core.evidence.keys import key_text, match_ids
from kalla_core.evidence.schema import (
    MATCH_RULE,
    MATCHED_FIELDS,
    UNMATCHED_FIELDS,
    MatchedLayout,
    UnmatchedLayout,
)
from kalla_core.evidence.stored import Column, store, stored_type

_ATTEMPTED_RULES = f'["{MATCH_RULE}"]'


@dataclass(frozen=True, slots=True)
class Reasons:
    """Why rows are unmatched, one value per row.

    Attributes:
        rejection_reason: string, the code.
        reason_detail: string.
        closest_candidate: string, key text of a row of the other side, or null.
        attempts: what each pass made of the rows, where the evidence says so.
    """

    rejection_reason: pa.Array
    reason_detail: pa.Array
    closest_candidate: pa.Array
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True)
class MatchedRows:
    """Makes rows of `matched` in two steps: little for each small batch, the rest for many at once.

    Match ids cost ten times as much per row in batches of 8,192 rows as in those of 131,072, so
    they are left to `finish`, which `TableWriter` calls for a whole row group. Thread-safe.

    Attributes:
        matched_at: the run's start, zoned.
    """

    layout: MatchedLayout
    matched_at: datetime

    def gather(
        self,
        output: pa.RecordBatch,
        left_key: Sequence[pa.Array],
        right_key: Sequence[pa.Array],
    ) -> pa.RecordBatch:
        """Return what `finish` needs of a batch: both keys as text, then the output's columns.

        Args:
            output: all columns that the layout was made for, by position; further ones (hidden
                columns) are left out.
            left_key: the columns of the left primary key, per row of `output`.
            right_key: likewise.

        Raises:
            TypesNotComparable: a key column has no text.
        """
        return self._gathered(output, key_text(left_key), key_text(right_key))

    def gather_grouped(
        self, output: pa.RecordBatch, left_key: pa.Array, right_key: pa.Array, groups: pa.Array
    ) -> pa.RecordBatch:
        """Return what `finish` needs of a batch, for a layout that is grouped.

        Args:
            output: as in `gather`.
            left_key: text of the left primary key; null where a row is about the right side only.
            right_key: likewise.
            groups: string, `match_group` per row.
        """
        return self._gathered(output, left_key, right_key, groups)

    def _gathered(self, output: pa.RecordBatch, *ours: pa.Array) -> pa.RecordBatch:
        columns = [*ours, *output.columns[: self.layout.width]]
        return pa.record_batch(columns, names=[str(place) for place in range(len(columns))])

    def finish(self, rows: pa.Table) -> pa.Table:
        """Return gathered rows with the layout's schema."""
        left_text, right_text, *rest = rows.columns
        groups, output = (rest[:1], rest[1:]) if self.layout.grouped else ([], rest)
        ours = [
            match_ids(left_text.combine_chunks(), right_text.combine_chunks()),
            left_text,
            right_text,
            _said_or(output, self.layout.rule_name, "rule_name", MATCH_RULE, rows.num_rows),
            _said_or(output, self.layout.confidence, "confidence", 1.0, rows.num_rows),
            _constant("matched_at", self.matched_at, rows.num_rows),
            *groups,
        ]
        return _table(self.layout.schema, ours, [output[place] for place in self.layout.columns])


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of one pass as they are written, arrays of one length.

    Attributes:
        output: the columns of the pass's SQL, by position.
        rule_name, confidence: of each, where the SQL does not say so.
        ours: `match_group`, `match_note` and what else stands behind them, in the order of the
            fields.
    """

    output: Sequence[Column]
    ids: pa.Array
    left_key: pa.Array
    right_key: pa.Array
    rule_name: str
    confidence: float
    ours: Sequence[Column]


def pass_table(
    schema: pa.Schema, layout: MatchedLayout, pairs: Pairs, matched_at: datetime
) -> pa.Table:
    """Return pairs of one pass as rows of an output that several passes fill.

    Args:
        schema: of the output; what the pass has no column for is null.
        layout: of the pass.
    """
    count = len(pairs.ids)
    named = {
        "match_id": pairs.ids,
        "left_key": pairs.left_key,
        "right_key": pairs.right_key,
        "rule_name": _said_or(pairs.output, layout.rule_name, "rule_name", pairs.rule_name, count),
        "confidence": _said_or(
            pairs.output, layout.confidence, "confidence", pairs.confidence, count
        ),
        "matched_at": _constant("matched_at", matched_at, count),
    }
    first = len(MATCHED_FIELDS)
    given = list(zip(schema.names[first:], pairs.ours, strict=False))
    theirs = layout.schema.names[len(layout.schema) - len(layout.columns) :]
    columns = named | dict(given)
    columns |= {
        name: pairs.output[place] for name, place in zip(theirs, layout.columns, strict=True)
    }
    arrays = [
        _stored_as(columns[field.name], field.type)
        if field.name in columns
        else pa.nulls(count, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _stored_as(column: Column, kind: pa.DataType) -> Column:
    """Return a column of one pass as the type that all passes share."""
    kept = store(column, stored_type(column.type))
    return kept if kept.type == kind else kept.cast(kind)


def unmatched_batch(
    layout: UnmatchedLayout,
    rows: pa.RecordBatch,
    key: Sequence[pa.Array],
    reasons: Reasons,
    attempted: str = _ATTEMPTED_RULES,
) -> pa.RecordBatch:
    """Return rows of an unmatched output, with the layout's schema.

    Args:
        layout: as `unmatched_layout` gave it.
        rows: all columns of the source, by position; further ones (hidden columns) are left out.
        key: the columns of the primary key, per row.
        reasons: why, per row.
        attempted: JSON array of the rules that the rows were tried by.

    Raises:
        TypesNotComparable: a key column has no text.
    """
    ours = [
        key_text(key),
        reasons.rejection_reason,
        reasons.reason_detail,
        reasons.closest_candidate,
        pa.repeat(attempted, rows.num_rows),
    ]
    count = len(layout.schema) - len(UNMATCHED_FIELDS)
    whole = _table(layout.schema, ours, rows.columns[:count])
    return pa.record_batch([column.chunk(0) for column in whole.columns], schema=whole.schema)


def _said_or(
    output: Sequence[Column], place: int | None, name: str, default: object, rows: int
) -> Column:
    if place is None:
        return _constant(name, default, rows)
    # A decimal may have more digits than a float: the nearest float is what is wanted.
    return output[place].cast(MATCHED_FIELDS.field(name).type, safe=False)


def _constant(name: str, value: object, rows: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, MATCHED_FIELDS.field(name).type), rows)


def _table(schema: pa.Schema, ours: list[Column], theirs: list[Column]) -> pa.Table:
    columns = [
        store(column, field.type) for column, field in zip([*ours, *theirs], schema, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=schema)
