"""Rows that are matched in part: which match they are in, what it settles, and what stays open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.evidence.keys import key_text
from kalla_core.evidence.schema import source_fields
from kalla_core.evidence.stored import store
from kalla_core.recipe.open_amounts import AGE_DAYS, FIRST_OPEN_RUN, OPEN_AMOUNT


@dataclass(frozen=True, slots=True)
class PartlyLayout:
    """How rows matched in part are written: our columns, then those of the source.

    Attributes:
        columns: of the source, those that are written behind ours, by place.
        amount: place of the amount in the source.
        first_open_run: place of it in a source that carries open items, else None; so `age_days`.
    """

    schema: pa.Schema
    columns: tuple[int, ...]
    amount: int
    first_open_run: int | None
    age_days: int | None


def partly_layout(source: pa.Schema, amount: str, *, carries: bool) -> PartlyLayout:
    """Return the layout for the rows of a source.

    Args:
        amount: the column that control totals are of.
        carries: whether the source has columns of open items, which ours take the place of.

    Raises:
        SourceUnreadable: a column has a type that Parquet cannot hold.
    """
    names = source.names
    of_open_items = (FIRST_OPEN_RUN, OPEN_AMOUNT, AGE_DAYS) if carries else ()
    kept = tuple(n for n, name in enumerate(names) if name not in of_open_items)
    kind = source.field(amount).type
    ours = [
        pa.field("record_key", pa.string()),
        pa.field("rule_name", pa.string()),
        pa.field("match_group", pa.string()),
        pa.field("settled_amount", kind),
        pa.field(FIRST_OPEN_RUN, pa.string()),
        pa.field(OPEN_AMOUNT, kind),
        pa.field(AGE_DAYS, pa.int64()),
    ]
    theirs = source_fields([source.field(n) for n in kept], [field.name for field in ours])
    return PartlyLayout(
        schema=pa.schema([*ours, *theirs]),
        columns=kept,
        amount=names.index(amount),
        first_open_run=names.index(FIRST_OPEN_RUN) if carries else None,
        age_days=names.index(AGE_DAYS) if carries else None,
    )


def partly_batch(
    layout: PartlyLayout,
    rows: pa.RecordBatch,
    key: Sequence[pa.Array],
    open_: pa.Array,
    rules: pa.Array,
    groups: pa.Array,
) -> pa.RecordBatch:
    """Return rows that are matched in part, with the layout's schema.

    Args:
        rows: all columns of the source, by position; further ones are left out.
        key: the columns of the primary key, per row.
        open_: decimal256, what is open of each; as exact as the amounts are.
        rules: string, the pass that each is matched in; `groups` the match.
    """
    count, kind = rows.num_rows, layout.schema.field(OPEN_AMOUNT).type
    amounts = rows.column(layout.amount)
    left = open_.cast(kind)
    wide = pa.decimal256(75, open_.type.scale)  # a difference has one digit more
    settled = pc.subtract(_wide(amounts).cast(wide), open_.cast(wide))
    first, ages = layout.first_open_run, layout.age_days
    ours = [
        key_text(key),
        rules,
        groups,
        settled.cast(kind),
        pa.nulls(count, pa.string()) if first is None else rows.column(first),
        left,
        pa.repeat(pa.scalar(0, pa.int64()), count) if ages is None else rows.column(ages),
    ]
    theirs = [rows.column(place) for place in layout.columns]
    columns = [
        store(column, field.type)
        for column, field in zip([*ours, *theirs], layout.schema, strict=True)
    ]
    return pa.record_batch(columns, schema=layout.schema)


def _wide(amounts: pa.Array) -> pa.Array:
    return amounts if pa.types.is_decimal(amounts.type) else amounts.cast(pa.decimal128(38, 0))
