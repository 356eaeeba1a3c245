"""One key with more rows than memory holds: the larger side joined piece by piece.

Each piece meets all rows of the smaller side, which is right wherever the match SQL may have that
side copied whole. A piece settles its own rows; the smaller side is settled when all have had
their turn, against what is needed of the larger side to give reasons.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from kalla_core.engine.budget import Budget
from kalla_core.engine.join import JoinContext, match, write_unmatched
from kalla_core.engine.reasons import Explainer
from kalla_core.engine.rows import Rows
from kalla_core.engine.store import Store
from kalla_core.engine.totals import MatchingTotals, Way
from kalla_core.matching.planned import key_frame
from kalla_core.matching.query import Side
from kalla_core.matching.session import new_session
from kalla_core.matching.tables import register_side


def join_in_pieces(
    context: JoinContext, store: Store, bucket: int, budget: Budget
) -> MatchingTotals | None:
    """Join one bucket; None if neither side is small enough or may be copied."""
    sizes = {side: int(store.spool(side).bucket_bytes(store.buckets)[bucket]) for side in Side}
    fits = [side for side in context.planned.replicable if sizes[side] <= budget.join_bytes]
    if not fits:
        return None
    small = store.rows(min(fits, key=sizes.__getitem__), (bucket,))
    matched = np.zeros(small.count, dtype=np.bool_)
    kept: list[pa.RecordBatch] = []
    needed = _needed_columns(context, small.side.other)
    joined = found = 0
    for piece in _pieces(store, small.side.other, bucket, budget.join_bytes):
        hits = np.zeros(piece.count, dtype=np.bool_)
        marks = (matched, hits) if small.side is Side.LEFT else (hits, matched)
        for at_left, at_right in match(context, *_in_order(small, piece)):
            marks[0][at_left] = True
            marks[1][at_right] = True
        write_unmatched(context, piece, ~hits, _explainer(context, small, piece))
        kept += [_narrowed(batch, needed) for batch in piece.batches]
        joined, found = joined + piece.count, found + int(hits.sum())
    others = Rows(small.side.other, store.shapes[small.side.other], tuple(kept))
    write_unmatched(context, small, ~matched, _explainer(context, small, others))
    return MatchingTotals(
        {small.side: small.count, small.side.other: joined},
        {small.side: int(matched.sum()), small.side.other: found},
        {Way.IN_PIECES: 1},
    )


def _pieces(store: Store, side: Side, bucket: int, most: int) -> Iterator[Rows]:
    held: list[pa.RecordBatch] = []
    size = 0
    for batch in store.stream(side, (bucket,)):
        if held and size + batch.nbytes > most:
            yield Rows(side, store.shapes[side], tuple(held))
            held, size = [], 0
        held.append(batch)
        size += batch.nbytes
    if held:
        yield Rows(side, store.shapes[side], tuple(held))


def _needed_columns(context: JoinContext, side: Side) -> frozenset[str]:
    """Return the columns of a side that reasons of the other side look at."""
    planned = context.planned
    session = new_session()
    register_side(session, planned.query, side, ())
    plan = key_frame(planned, session, side).optimized_logical_plan()
    while plan.inputs():
        plan = plan.inputs()[0]
    scanned = [name for _, name in plan.to_variant().projection()]
    compared = [
        name
        for condition in planned.conditions
        for name in (condition.left_columns if side is Side.LEFT else condition.right_columns)
    ]
    return frozenset((*scanned, *compared, *planned.query.side(side).primary_key))


def _narrowed(batch: pa.RecordBatch, columns: frozenset[str]) -> pa.RecordBatch:
    """Return the batch with nulls in the place of what is not needed."""
    schema = pa.schema([field.with_nullable(True) for field in batch.schema])
    arrays = [
        column if field.name in columns else pa.nulls(batch.num_rows, field.type)
        for field, column in zip(schema, batch.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _in_order(one: Rows, other: Rows) -> tuple[Rows, Rows]:
    return (one, other) if one.side is Side.LEFT else (other, one)


def _explainer(context: JoinContext, one: Rows, other: Rows) -> Explainer:
    return Explainer(context.planned, *_in_order(one, other))
