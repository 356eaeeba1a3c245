"""Which of some rows an expression fails on: the first one, as they are ordered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datafusion import DataFrame, SessionContext

from kalla_core.engine.failures import FailedOnValue, query_errors
from kalla_core.engine.rows import Bools, numbered_schema
from kalla_core.errors import EngineFailure, InvalidSql
from kalla_core.matching.plans.fallible import is_safe
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.sql.query import ROW, Side
from kalla_core.matching.sql.tables import register_side
from kalla_core.matching.strategy.planned import Planned, Rule, condition_frame


@dataclass(frozen=True, slots=True)
class Failing:
    """A row on which an expression fails, by its place, and why."""

    place: int
    reason: str


def reason_of(frame: Callable[[], DataFrame]) -> str | None:
    """Return why a query fails on some row that it reads; None if it does not.

    Raises:
        KallaError: it fails for another reason than a value.
    """
    try:
        with query_errors():
            for _ in frame().execute_stream():
                pass
    except FailedOnValue as error:
        return error.reason
    except EngineFailure as error:
        return error.message
    return None


def first_failing(count: int, reason: Callable[[int, int], str | None]) -> Failing | None:
    """Return the first row on which something fails; None if it fails on none.

    Args:
        count: of rows.
        reason: why it fails on some row of the range `[start, end)`; None if it does not.
    """
    said = reason(0, count) if count else None
    if said is None:
        return None
    start, end = 0, count
    while end - start > 1:
        middle = (start + end) // 2
        first = reason(start, middle)
        if first is None:
            start = middle
        else:
            end, said = middle, first
    return Failing(start, reason(start, end) or said)


def by_columns(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """Return rows in the order of some columns, as text where a type of them has no order."""
    keys = table.select(names)
    try:
        return table.take(_order(keys))
    except pa.ArrowException:
        return table.take(_order(pa.table([c.cast(pa.string()) for c in keys.columns], names)))


def _order(keys: pa.Table) -> pa.Array:
    renamed = keys.rename_columns([f"k{n}" for n in range(keys.num_columns)])
    return pc.sort_indices(renamed, sort_keys=[(n, "ascending") for n in renamed.schema.names])


def guards(planned: Planned, *sides: Side) -> Rule | None:
    """Return what the match SQL asks of rows of these sides without failing; None if nothing.

    Only what it asks of all of them: of several rules each asks for something else.
    """
    if len(planned.rules) != 1:
        return None
    (rule,) = planned.rules
    checked = tuple(
        one
        for one in rule.checked
        if is_safe(one.requirement.expr)
        and (one.condition.left_columns == () or Side.LEFT in sides)
        and (one.condition.right_columns == () or Side.RIGHT in sides)
    )
    return replace(rule, checked=checked) if checked else None


def that_hold(planned: Planned, rule: Rule | None, rows: Mapping[Side, pa.Table]) -> Bools | None:
    """Return for which rows, or pairs of rows, all conditions of a rule hold; None if unknown."""
    if rule is None:
        return None
    session = numbered(planned, rows)
    try:
        with query_errors():
            held = condition_frame(planned, rule, session).to_arrow_table()
    except InvalidSql:
        return None
    flags: Bools = np.zeros(len(next(iter(rows.values()))), dtype=np.bool_)
    all_hold = np.logical_and.reduce(
        [np.asarray(held.column(f"c{n}").fill_null(False)) for n in range(len(rule.checked))]
    )
    flags[held.column(ROW).to_numpy()] = all_hold
    return flags


def numbered(planned: Planned, rows: Mapping[Side, pa.Table]) -> SessionContext:
    """Return a session that has these rows, numbered by their place: those of pairs alike."""
    session = new_session()
    for side, table in rows.items():
        numbers = pa.array(np.arange(len(table), dtype=np.uint64))
        schema = numbered_schema(table.schema)
        whole = pa.Table.from_arrays([*table.columns, numbers], schema=schema)
        register_side(session, planned.query, side, whole.to_batches())
    return session
