"""Which row and which value made the match SQL fail, looked for after it did."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import pyarrow as pa

from kalla_core.columns import place_of
from kalla_core.engine.failures import FailedOnValue, query_errors
from kalla_core.errors import EngineFailure, KallaError
from kalla_core.matching.fallible import Fallible, fallibles, two_sided
from kalla_core.matching.planned import Planned
from kalla_core.matching.prepare import register_calls
from kalla_core.matching.query import Side, TableShape
from kalla_core.matching.session import new_session
from kalla_core.matching.tables import register_side

Sources = Mapping[Side, Callable[[], Iterable[pa.RecordBatch]]]
"""What gives the rows that a query read, as often as it is called; columns of ours may follow those
of the source."""

_MOST_CHARACTERS = 60


@contextmanager
def naming_rows(planned: Planned, sources: Sources) -> Iterator[None]:
    """Let an error about a value name its side, row, column and value, if it can be found.

    Looks for it by evaluating what may fail over the rows of each side, a batch at a time, and
    halving the batch that fails. A row that the query would have left out first can be named in
    the place of another, but it fails as well.
    """
    try:
        yield
    except (FailedOnValue, EngineFailure) as error:
        raise _named(error, planned, sources) from error


def _named(
    error: FailedOnValue | EngineFailure, planned: Planned, sources: Sources
) -> FailedOnValue | EngineFailure:
    try:
        for suspect in fallibles(planned.query, planned.prepared):
            rows = sources.get(suspect.side)
            found = None if rows is None else _failing(suspect, planned, rows())
            if found is not None:
                return _told(suspect, planned, *found)
    except KallaError:
        return error
    if isinstance(error, EngineFailure):
        return error
    return _unlocated(error, two_sided(planned.query, planned.prepared, error.reason))


def _failing(
    suspect: Fallible, planned: Planned, batches: Iterable[pa.RecordBatch]
) -> tuple[pa.RecordBatch, str] | None:
    """Return the first row on which `suspect` fails, as a batch of one, and what is said of it."""
    for batch in batches:
        rows, reason = batch, _reason(suspect, planned, batch)
        if reason is None:
            continue
        while rows.num_rows > 1:
            half = rows.num_rows // 2
            first = _reason(suspect, planned, rows.slice(0, half))
            rows = rows.slice(0, half) if first is not None else rows.slice(half)
        return rows, _reason(suspect, planned, rows) or reason
    return None


def _reason(suspect: Fallible, planned: Planned, batch: pa.RecordBatch) -> str | None:
    """Return why `suspect` fails on some row of a batch; None if it does not."""
    if not batch.num_rows:
        return None
    session = new_session()
    width = len(planned.query.side(suspect.side).schema)
    bare = pa.RecordBatch.from_arrays(batch.columns[:width], schema=_schema(planned, suspect.side))
    register_side(session, planned.query, suspect.side, [bare])
    register_calls(session, planned.prepared)
    try:
        with query_errors():
            for _ in suspect.over(session).execute_stream():
                pass
    except FailedOnValue as error:
        return error.reason
    except EngineFailure as error:
        return error.message
    return None


def _schema(planned: Planned, side: Side) -> pa.Schema:
    schema: pa.Schema = planned.query.side(side).schema
    return schema


def _told(suspect: Fallible, planned: Planned, row: pa.RecordBatch, reason: str) -> FailedOnValue:
    shape = planned.query.side(suspect.side)
    key = {name: _value(row, name) for name in shape.primary_key}
    values = {name: _value(row, name) for name in suspect.columns}
    keys = ", ".join(f"{name} = {_quoted(one)}" for name, one in key.items())
    held = " and ".join(f"{name} is {_quoted(one)}" for name, one in values.items())
    message = (
        f"The match SQL failed on a value: {suspect.text} fails in the {suspect.side.word} row "
        f"with {keys} of {shape.alias}, where {held} ({reason}). {_advice(suspect, values)}"
        f"{_made_text(shape, suspect.columns)}"
    )
    return FailedOnValue(
        message,
        reason=reason,
        side=suspect.side.word,
        key={name: _text(one) for name, one in key.items()},
        values={name: _text(one) for name, one in values.items()},
        expression=suspect.text,
    )


def _advice(suspect: Fallible, values: Mapping[str, object]) -> str:
    written = suspect.remedy
    if written is None and len(values) == 1:
        ((name, one),) = values.items()
        literal = _text(one) or ""
        if not isinstance(one, (int, float)):
            literal = "'" + literal.replace("'", "''") + "'"
        written = f"nullif({name}, {literal}) in place of {name} for NULL there"
    filtered = "eave such rows out with a filter of the source."
    return f"L{filtered}" if written is None else f"Write {written}, or l{filtered}"


def _made_text(shape: TableShape, columns: Iterable[str]) -> str:
    """Return what makes columns text, and what in the format of the source would read them."""
    reasons = [shape.texts[name] for name in columns if name in shape.texts]
    return "".join(f" In `{shape.alias}`, {reason}" for reason in reasons)


def _unlocated(error: FailedOnValue, names: tuple[str, ...]) -> FailedOnValue:
    """Return the error with the expressions that read several rows, one of which failed."""
    if not names:
        return error
    among = names[0] if len(names) == 1 else f"one of {'; '.join(names)}"
    message = (
        f"The match SQL failed on a value: {among} fails for some rows ({error.reason}). Write "
        "TRY_CAST in place of CAST, nullif(x, 0) for a divisor x, or CAST integers AS "
        "DECIMAL(38, 0) before they are multiplied or added."
    )
    return FailedOnValue(message, reason=error.reason, expressions=list(names))


def _value(row: pa.RecordBatch, name: str) -> object:
    column = row.column(place_of(name, row.schema.names))
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.string())
    value: object = column[0].as_py()
    return value


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _quoted(value: object) -> str:
    text = "NULL" if value is None else str(value)
    if len(text) > _MOST_CHARACTERS:
        text = text[:_MOST_CHARACTERS] + "…"
    return text if value is None or isinstance(value, (int, float)) else f"'{text}'"
