"""The values of keys, null where one fails for a row for which the SQL may never ask for it.

What fails cannot be told beforehand of every expression there is (for many, `totality` sees to
it that they give null, which is faster). So such a key is evaluated over all rows, and if that
fails over ever fewer at a time, each piece by itself, until the rows are found for which it fails
alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

import pyarrow as pa
from datafusion import DataFrame, RecordBatchStream, SessionContext

from kalla_core.columns import place_of
from kalla_core.engine.failures import query_errors
from kalla_core.errors import EngineFailure, InvalidSql
from kalla_core.matching.keys.keys import KeyComponent, key_frame, key_name
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.sql.query import MatchQuery, Side
from kalla_core.matching.sql.tables import register_apart, register_side

_TOGETHER = (1024, 32, 1)
"""Rows that are evaluated at a time, one number after the other, where more of them failed."""


def key_values(
    query: MatchQuery,
    components: Sequence[KeyComponent],
    side: Side,
    batches: Sequence[pa.RecordBatch],
    session: SessionContext | None = None,
) -> pa.Table:
    """Return the keys of rows of a side, in their order, as `__k0`, `__k1`, ...

    Args:
        batches: columns as in the side's schema, ROW may follow.
        session: in which it is done, in the place of one of its own; a table of the side that it
            has already is taken out.

    Raises:
        FailedOnValue: a key fails for a row for which the SQL asks for it.
    """
    if (columns := column_values(query, components, side, batches)) is not None:
        return columns
    session = new_session() if session is None else session
    register_side(session, query, side, batches)
    frame = key_frame(session, components, side, row=False)
    if not any(component.side(side).forgiving for component in components):
        with query_errors():
            return frame.to_arrow_table()
    try:
        with query_errors():
            return frame.to_arrow_table()
    except (InvalidSql, EngineFailure):
        return _one_by_one(session, query, components, side, batches)


def column_values(
    query: MatchQuery,
    components: Sequence[KeyComponent],
    side: Side,
    batches: Sequence[pa.RecordBatch],
) -> pa.Table | None:
    """Return the same where every key is a column of the side, as it is there; else None."""
    schema, found = query.side(side).schema, {}
    for number, component in enumerate(components):
        name = component.side(side).column
        if name is None or schema.names.count(name) != 1:
            return None
        place = place_of(name, schema.names)
        if schema.field(place).type != component.type:
            return None
        columns = [batch.column(place) for batch in batches]
        found[key_name(number)] = pa.chunked_array(columns, component.type)
    return pa.table(found) if found else None


def _one_by_one(
    session: SessionContext,
    query: MatchQuery,
    components: Sequence[KeyComponent],
    side: Side,
    batches: Sequence[pa.RecordBatch],
) -> pa.Table:
    found = []
    for component in components:
        if component.side(side).forgiving:
            found.append(_forgiven(query, component, side, batches))
            continue
        with query_errors():
            table = key_frame(session, [component], side, row=False).to_arrow_table()
        found.append(table.column(0))
    return pa.table({key_name(number): column for number, column in enumerate(found)})


def _forgiven(
    query: MatchQuery, component: KeyComponent, side: Side, batches: Sequence[pa.RecordBatch]
) -> pa.ChunkedArray:
    """Return a key, null for the rows for which it fails by itself."""
    pieces: list[pa.RecordBatch | pa.Array] = list(batches)
    for rows in _TOGETHER:
        pieces = list(chain.from_iterable(_cut(piece, rows) for piece in pieces))
        open_pieces = [piece for piece in pieces if isinstance(piece, pa.RecordBatch)]
        if not open_pieces:
            break
        session = new_session()
        register_apart(session, query, side, open_pieces)
        frame = key_frame(session, [component], side, row=False)
        answers = iter(_apart(frame))
        pieces = [
            piece if isinstance(piece, pa.Array) else _answer(piece, next(answers))
            for piece in pieces
        ]
    kind = component.type
    nulls = (piece if isinstance(piece, pa.Array) else pa.nulls(1, kind) for piece in pieces)
    return pa.chunked_array([one.cast(kind) for one in nulls], type=kind)


def _cut(piece: pa.RecordBatch | pa.Array, rows: int) -> Iterable[pa.RecordBatch | pa.Array]:
    if isinstance(piece, pa.Array):
        return (piece,)
    return (piece.slice(start, rows) for start in range(0, piece.num_rows, rows))


def _answer(piece: pa.RecordBatch, found: pa.Array | None) -> pa.RecordBatch | pa.Array:
    return piece if found is None else found


def _apart(frame: DataFrame) -> Iterable[pa.Array | None]:
    """Yield what each partition of a frame of one column gives, None for one that fails."""
    with query_errors():
        streams = frame.execute_stream_partitioned()
    return map(_given, streams)


def _given(stream: RecordBatchStream) -> pa.Array | None:
    try:
        with query_errors():
            arrays = [batch.to_pyarrow().column(0) for batch in stream]
    except (InvalidSql, EngineFailure):
        return None
    return pa.concat_arrays(arrays)
