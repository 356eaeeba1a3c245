"""What the match SQL makes of pairs of rows that are known to have the same key, or nearly are."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.engine.failures import query_errors
from kalla_core.engine.keys.key_values import key_values
from kalla_core.engine.reasons.held import in_row_order, numbered
from kalla_core.engine.rows import Bools, Ints, Rows, in_one_piece, one_chunk
from kalla_core.matching.keys.keys import key_name
from kalla_core.matching.plans.prepare import register_calls
from kalla_core.matching.plans.session import MEMORY_BATCH_ROWS, SessionLimits, new_session
from kalla_core.matching.sql.query import ROW, Side, TableShape
from kalla_core.matching.sql.tables import register_side
from kalla_core.matching.strategy.key_joins import OfPairs
from kalla_core.matching.strategy.planned import Planned


@dataclass(frozen=True, slots=True)
class KeyedRows:
    """Rows of a side and their keys.

    Attributes:
        keys: a row for each, with `__k0`, `__k1`, ...
        columns: what these are called in `rows`, where they are columns of it as they are.
    """

    rows: Rows
    keys: Rows
    columns: tuple[str, ...] | None

    @classmethod
    def of(cls, planned: Planned, of_pairs: OfPairs, rows: Rows) -> KeyedRows:
        """Return rows with the keys that pairs of them are to have in common.

        Raises:
            FailedOnValue: a key fails for a row.
        """
        components, side = of_pairs.keys, rows.side
        names = [component.side(side).column for component in components]
        schema = pa.schema([(key_name(n), one.type) for n, one in enumerate(components)])
        shape = TableShape(rows.shape.alias, schema, ())
        columns = tuple(name for name in names if name is not None)
        if len(columns) == len(names) and all(
            rows.schema.names.count(name) == 1 and rows.schema.field(name).type == one.type
            for name, one in zip(columns, components, strict=True)
        ):
            batches = [batch.select(columns).rename_columns(schema.names) for batch in rows.batches]
            return cls(rows, Rows(side, shape, tuple(batches)), columns)
        table = key_values(planned.query, components, side, rows.batches)
        return cls(rows, in_one_piece(side, shape, table.cast(schema).to_batches()), None)

    def table(self) -> pa.Table:
        """Return the keys, each column in one piece."""
        names = self.keys.schema.names
        return pa.table([self.keys.column(name) for name in names], names=names)


@dataclass(frozen=True, slots=True)
class Made:
    """Matches among pairs, and pairs that are none.

    Attributes:
        output: the columns of the match SQL, a row for each match.
        at: where its left and right rows are.
        missed: where those of the other pairs are that have the same key.
    """

    output: pa.RecordBatch
    at: tuple[Ints, Ints]
    missed: tuple[Ints, Ints]


def made_of(
    planned: Planned, of_pairs: OfPairs, left: KeyedRows, right: KeyedRows, at: tuple[Ints, Ints]
) -> Made:
    """Return what the match SQL makes of pairs; those whose keys differ are left out.

    Args:
        at: where their left and right rows are.

    Raises:
        FailedOnValue: a value makes the SQL fail.
    """
    values = _Values(left, right, at)
    same = [pc.equal(*(values.key(side, n) for side in Side)) for n in range(len(of_pairs.keys))]
    alike = np.asarray(reduce(pc.and_, same))
    if not alike.all():
        at = (at[0][alike], at[1][alike])
        values = _Values(left, right, at)
    columns, holds = _computed(planned, of_pairs, values)
    kept = None if holds.all() else np.flatnonzero(holds)
    computed = iter(columns)
    output = [
        _some(next(computed), kept) if given is None else values.some(*given, kept)
        for given in of_pairs.given
    ]
    none = np.zeros(0, dtype=np.int64)
    return Made(
        pa.RecordBatch.from_arrays(output, schema=planned.output),
        at if kept is None else (at[0][kept], at[1][kept]),
        (none, none) if kept is None else (at[0][~holds], at[1][~holds]),
    )


def _computed(planned: Planned, of_pairs: OfPairs, values: _Values) -> tuple[list[pa.Array], Bools]:
    """Return the columns that are computed, and which pairs are matches."""
    if not of_pairs.computes:
        return [], np.ones(values.count, dtype=np.bool_)
    session = new_session(SessionLimits(batch_rows=MEMORY_BATCH_ROWS))
    for side in Side:
        rows = numbered(values.table(side, of_pairs.read[side]))
        register_side(session, planned.query, side, rows)
    register_calls(session, planned.prepared)
    with query_errors():
        table = in_row_order(of_pairs.frame(session).to_arrow_table())
    *columns, holds = (one_chunk(column) for column in table.drop_columns([ROW]).columns)
    return columns, holds.to_numpy(zero_copy_only=False)


class _Values:
    """Columns of the rows of pairs, looked up when they are first asked for."""

    def __init__(self, left: KeyedRows, right: KeyedRows, at: tuple[Ints, Ints]) -> None:
        self.count = len(at[0])
        self._sides = {Side.LEFT: left, Side.RIGHT: right}
        self._at = dict(zip(Side, at, strict=True))
        self._found: dict[tuple[Side, str], pa.Array] = {}

    def of(self, side: Side, name: str) -> pa.Array:
        """Return a column of the rows of a side."""
        if (side, name) not in self._found:
            at = pa.array(self._at[side])
            self._found[side, name] = self._sides[side].rows.values(name, at)
        return self._found[side, name]

    def key(self, side: Side, number: int) -> pa.Array:
        """Return a column of the keys of the rows of a side."""
        keyed = self._sides[side]
        if keyed.columns is not None:
            return self.of(side, keyed.columns[number])
        return keyed.keys.values(key_name(number), pa.array(self._at[side]))

    def some(self, side: Side, name: str, kept: Ints | None) -> pa.Array:
        """Return a column of the pairs in some places; of all by default."""
        if kept is None or (side, name) in self._found:
            return _some(self.of(side, name), kept)
        return self._sides[side].rows.values(name, pa.array(self._at[side][kept]))

    def table(self, side: Side, names: Collection[str]) -> pa.Table:
        """Return the rows of a side with the values of some columns; every other is null."""
        fields = [field.with_nullable(True) for field in self._sides[side].rows.schema]
        columns = [
            self.of(side, field.name) if field.name in names else pa.nulls(self.count, field.type)
            for field in fields
        ]
        return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _some(column: pa.Array, kept: Ints | None) -> pa.Array:
    return column if kept is None else column.take(pa.array(kept))
