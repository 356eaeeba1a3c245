"""Runs planned match SQL over tables, whole or in pieces, for the tests of the shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from datafusion import SessionContext, col

from kalla_core.engine.keys.hashing import in_buckets, key_hash
from kalla_core.matching.plans.prepare import register_calls
from kalla_core.matching.plans.session import SessionLimits, new_session
from kalla_core.matching.row_ids.pairs import PairFrame, expand
from kalla_core.matching.sql.query import ROW, Side
from kalla_core.matching.sql.tables import register_side, register_tables
from kalla_core.matching.strategy.planned import Planned, key_frame, pair_frame, plan_match
from tests.unit.matching.nasty import Tables, query

Sides = Mapping[Side, pa.Table]
Line = tuple[str, ...]


@cache
def planned(sql: str) -> Planned:
    """Return `sql`, planned over the nasty tables."""
    return plan_match(query(sql))


def pairs_and_rows(plan: Planned, sides: Sides, fx: pa.Table, threads: int = 1) -> list[Line]:
    """Return, sorted, each pair's user columns as text with the two row numbers."""
    lines: list[Line] = []
    for batch, frame in _batches(plan, sides, fx, threads):
        for found in expand(batch, frame):
            rows = pa.array(found.result_row)
            columns = [batch.column(i).take(rows) for i in range(frame.columns)]
            lines += _lines([*columns, pa.array(found.left), pa.array(found.right)])
    return sorted(lines)


def run(plan: Planned, sides: Sides, fx: pa.Table) -> None:
    """Run it to its end, pairs and all, whatever it gives."""
    for batch, frame in _batches(plan, sides, fx, 1):
        for _ in expand(batch, frame):
            pass


def result_rows(plan: Planned, sides: Sides, fx: pa.Table) -> list[Line]:
    """Return, sorted, the user columns of all result rows, also of those without a pair."""
    lines: list[Line] = []
    for batch, frame in _batches(plan, sides, fx, 1):
        lines += _lines(batch.columns[: frame.columns]) if frame.columns else []
    return sorted(lines)


def original_rows(plan: Planned, tables: Tables) -> list[Line]:
    """Return, sorted, the result of the match SQL as DataFusion gives it."""
    session = _session(plan, {Side.LEFT: tables.left, Side.RIGHT: tables.right}, tables.fx, 1)
    result = session.sql(plan.prepared.text).to_arrow_table()
    return sorted(_lines([column.combine_chunks() for column in result.columns]))


def oracle_pairs(sql: str, tables: Tables) -> list[tuple[int, int]]:
    """Return, sorted, the row numbers of the pairs whose ids DuckDB finds with `sql`."""
    database = duckdb.connect()
    for name, table in _named(tables).items():
        database.register(name, table)
    left, right = (
        {key: row for row, key in enumerate(table.column("id").to_pylist())}
        for table in (tables.left, tables.right)
    )
    found = database.execute(sql).fetchall()
    return sorted((left[a], right[b]) for a, b in found if a is not None and b is not None)


def duckdb_rows(sql: str, tables: Tables) -> list[Line]:
    """Return, sorted, what DuckDB finds with `sql`, as text."""
    with duckdb.connect() as database:
        for name, table in _named(tables).items():
            database.register(name, table)
        return sorted(tuple(map(str, row)) for row in database.execute(sql).fetchall())


def bucketed(plan: Planned, sides: Sides, buckets: int) -> Iterator[Sides]:
    """Yield the sides bucket by bucket, cut by the plan's own key as a scan does it."""
    numbers = {side: _bucket_numbers(plan, side, sides[side], buckets) for side in Side}
    for number in range(buckets):
        yield {
            side: sides[side].filter(pa.array(numbers[side] == number)) for side in Side
        }  # fmt: skip


def pieces(sides: Sides, whole: Side, count: int) -> Iterator[Sides]:
    """Yield `whole` beside arbitrary pieces of the other side."""
    cut = whole.other
    rows = sides[cut].column(ROW).to_numpy()
    for number in range(count):
        # A multiplicative hash: neighbours part, and no column has to do with it.
        mine = (rows * np.uint64(2654435761) >> np.uint64(7)) % np.uint64(count) == number
        yield {whole: sides[whole], cut: sides[cut].filter(pa.array(mine))}


def _bucket_numbers(
    plan: Planned, side: Side, table: pa.Table, buckets: int
) -> npt.NDArray[np.int64]:
    session = new_session()
    register_side(session, plan.query, side, table.to_batches())
    register_calls(session, plan.prepared)
    keys = [(col(f"__k{i}"), key.type) for i, key in enumerate(plan.reason_keys)]
    null = [expr.is_null().alias(f"n{i}") for i, (expr, _) in enumerate(keys)]
    frame = key_frame(plan, session, side).select(key_hash(keys).alias("h"), *null)
    found = frame.to_arrow_table()
    numbers = in_buckets(found.column("h").to_numpy(), buckets)
    if plan.nulls_together:
        return numbers
    lost = np.logical_or.reduce([found.column(i + 1).to_numpy() for i in range(len(keys))])
    # Rows with a null key may lie anywhere: let the sides disagree as much as they can.
    spread = (table.column("id").to_numpy() + (side is Side.LEFT)) % buckets
    return np.where(lost, spread, numbers)


def _batches(
    plan: Planned, sides: Sides, fx: pa.Table, threads: int
) -> Iterator[tuple[pa.RecordBatch, PairFrame]]:
    without = {side: table.drop_columns([ROW]) for side, table in sides.items()}
    plain, numbered = (_session(plan, data, fx, threads) for data in (without, sides))
    frame = pair_frame(plan, plain, numbered)
    for result in frame.frame.execute_stream():
        yield result.to_pyarrow(), frame


def _session(plan: Planned, sides: Sides, fx: pa.Table, threads: int) -> SessionContext:
    session = new_session(SessionLimits(threads=threads, batch_rows=16))
    left, right = (table.to_batches() or [_no_rows(table.schema)] for table in _in_order(sides))
    register_tables(session, plan.query, left, right, {"fx": fx.to_batches()})
    register_calls(session, plan.prepared)
    return session


def _in_order(sides: Sides) -> list[pa.Table]:
    return [sides[side] for side in Side]


def _no_rows(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=schema)


def _lines(columns: list[pa.Array]) -> list[Line]:
    return list(zip(*(map(str, column.to_pylist()) for column in columns), strict=True))


def _named(tables: Tables) -> dict[str, pa.Table]:
    return {
        "left_src": tables.left, "inv": tables.left, "right_src": tables.right,
        "pay": tables.right, "fx": tables.fx,
    }  # fmt: skip
