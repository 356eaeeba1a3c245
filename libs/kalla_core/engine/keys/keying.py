"""Which bucket a row belongs to, and the hash of its primary key, some batches at a time."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from datafusion import Expr, SessionContext, col

from kalla_core.columns import place_of
from kalla_core.engine.failures import query_errors
from kalla_core.engine.keys.hashing import digest, in_buckets, key_hash
from kalla_core.engine.keys.key_values import column_values, key_values
from kalla_core.engine.keys.near import loose
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.sql.query import Side, TableShape
from kalla_core.matching.strategy.planned import Planned

Ints = npt.NDArray[np.int64]


class Keying:
    """Evaluates keys over some batches at a time; safe to use from several threads."""

    def __init__(self, planned: Planned) -> None:
        self._planned = planned
        self._local = threading.local()

    def buckets(self, side: Side, batches: Sequence[pa.RecordBatch], buckets: int) -> Ints:
        """Return the bucket of each row of some batches.

        Keys that are the same but for their spelling come together, so that reasons can tell so.
        Rows whose key is null can match nothing unless null equals null; where it does not, they
        are spread by a hash of their content, so that no bucket gets them all.
        """
        if buckets == 1:
            return one_bucket(batches)
        keys = self._planned.reason_keys
        if not keys:
            return self._spread(side, batches, buckets)
        # Computed first and hashed then: where every key of a batch is null, `coalesce(key, 1)` is
        # one value to DataFusion and no column, and the hash takes columns only.
        columns = [loose(column) for column in self.keys(side, batches).columns]
        pairs = [(col(f"c{n}"), key.type) for n, key in enumerate(keys)]
        with query_errors():
            table = (
                self._keys_session(columns)
                .table("t")
                .select(key_hash(pairs).alias("h"), *_null_flags(len(keys)))
                .to_arrow_table()
            )
        found = in_buckets(table.column(0).to_numpy(), buckets)
        if self._planned.nulls_together:
            return found
        alone = np.zeros(len(found), dtype=np.bool_)
        for number, key in enumerate(keys):
            if not key.null_safe:
                alone |= table.column(number + 1).to_numpy()
        return (
            np.where(alone, self._spread(side, batches, buckets), found) if alone.any() else found
        )

    def keys(self, side: Side, batches: Sequence[pa.RecordBatch]) -> pa.Table:
        """Return the `reason_keys` of each row of some batches; see `key_values`."""
        query, components = self._planned.query, self._planned.reason_keys
        if (columns := column_values(query, components, side, batches)) is not None:
            return columns
        return key_values(query, components, side, batches, self._fresh(side.value))

    def primary_keys(self, side: Side, batches: Sequence[pa.RecordBatch]) -> tuple[Ints, int]:
        """Return a 64-bit hash of each primary key without nulls, and how many have nulls."""
        columns = _key_columns(self._planned.query.side(side), batches)
        null = np.zeros(len(columns[0]), dtype=np.bool_)
        for column in columns:
            if column.null_count:
                null |= column.is_null().to_numpy(zero_copy_only=False)
        hashes = self._digests(columns)
        return (hashes[~null], int(null.sum())) if null.any() else (hashes, 0)

    def _spread(self, side: Side, batches: Sequence[pa.RecordBatch], buckets: int) -> Ints:
        columns = _key_columns(self._planned.query.side(side), batches)
        return in_buckets(self._digests(columns), buckets)

    def _digests(self, columns: list[pa.Array]) -> Ints:
        session = self._keys_session(columns)
        columns_typed = [(col(f"c{n}"), column.type) for n, column in enumerate(columns)]
        with query_errors():
            table = session.table("t").select(digest(columns_typed).alias("h")).to_arrow_table()
        hashes: Ints = table.column(0).to_numpy()
        return hashes

    def _keys_session(self, columns: list[pa.Array]) -> SessionContext:
        session = self._fresh("t")
        names = [f"c{n}" for n in range(len(columns))]
        session.register_record_batches("t", [[pa.RecordBatch.from_arrays(columns, names)]])
        return session

    def _fresh(self, table: str) -> SessionContext:
        """Return this thread's session, without the table of the batch before."""
        sessions = self._local.__dict__.setdefault("sessions", {})
        if table not in sessions:
            sessions[table] = new_session()
        session: SessionContext = sessions[table]
        session.deregister_table(table)
        return session


def one_bucket(batches: Sequence[pa.RecordBatch]) -> Ints:
    """Return the bucket of each row of some batches where there is only one."""
    return np.zeros(sum(batch.num_rows for batch in batches), dtype=np.int64)


def _key_columns(shape: TableShape, batches: Sequence[pa.RecordBatch]) -> list[pa.Array]:
    places = [place_of(name, shape.schema.names) for name in shape.primary_key]
    return [pa.concat_arrays([batch.column(place) for batch in batches]) for place in places]


def _null_flags(count: int) -> list[Expr]:
    return [col(f"c{n}").is_null().alias(f"n{n}") for n in range(count)]
