"""The rows of queries that are computed once and read more than once: held, or on disk once many.

See `kalla_core.matching.strategy.sharing` for which queries these are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
from datafusion import DataFrame, SessionContext

from kalla_core.engine.failures import query_errors
from kalla_core.engine.tasks import Stop
from kalla_core.evidence.disk import disk_errors
from kalla_core.matching.plans.session import SessionLimits
from kalla_core.matching.sql.tables import ArrowFile, register_file, register_table
from kalla_core.matching.strategy.planned import Planned, Shared


@dataclass
class SharedRows:
    """What was computed of the shared queries of a match SQL, in their order.

    Attributes:
        most_bytes: that are held of all of them together; None for no bound.
        folder: for what is more than that; there has to be one where there is a bound.
        held_bytes: that are held.
    """

    most_bytes: int | None
    folder: Path | None
    held_bytes: int = 0
    _tables: list[tuple[Shared, pa.Table | ArrowFile]] = field(default_factory=list)

    def compute(self, planned: Planned, rows: Callable[[Shared], DataFrame], stop: Stop) -> None:
        """Compute all queries that are shared.

        Args:
            stop: is asked at each batch.
            rows: gives the rows of a query; those before it are computed and can be registered.

        Raises:
            KallaError: as running the match SQL does.
        """
        if planned.sharing is None:
            return
        for one in planned.sharing.queries:
            with query_errors():
                frame = rows(one)
            self._tables.append((one, self._taken(one, _batches(one, frame, stop))))

    def register(self, *sessions: SessionContext) -> None:
        """Make the tables that were computed so far known to sessions."""
        for session in sessions:
            for one, rows in self._tables:
                if isinstance(rows, ArrowFile):
                    register_file(session, one.table, rows)
                else:
                    register_table(session, one.table, rows)

    def beside(self, limits: SessionLimits) -> SessionLimits:
        """Return what is left of limits beside what is held."""
        if limits.memory_bytes is None:
            return limits
        return replace(limits, memory_bytes=limits.memory_bytes - self.held_bytes)

    def discard(self) -> None:
        """Let go of all of them."""
        for _, rows in self._tables:
            if isinstance(rows, ArrowFile):
                rows.path.unlink(missing_ok=True)
        self._tables.clear()

    def _taken(self, one: Shared, batches: Iterator[pa.RecordBatch]) -> pa.Table | ArrowFile:
        held: list[pa.RecordBatch] = []
        for batch in batches:
            self.held_bytes += sum(batch.column(place).nbytes for place in one.needed)
            held.append(batch)
            if self.most_bytes is not None and self.held_bytes > self.most_bytes:
                self.held_bytes -= sum(
                    some.column(place).nbytes for some in held for place in one.needed
                )
                return self._on_disk(one, held, batches)
        schema = held[0].schema if held else one.schema
        return pa.Table.from_batches(held, schema)

    def _on_disk(
        self, one: Shared, held: list[pa.RecordBatch], more: Iterator[pa.RecordBatch]
    ) -> ArrowFile:
        import tempfile  # brings what packs and unpacks files

        schema, rows = held[0].schema, 0
        prefix = f"{one.table.strip('_')}-"
        with (
            disk_errors(self.folder or Path()),
            tempfile.NamedTemporaryFile(
                prefix=prefix, suffix=".arrow", dir=self.folder, delete=False
            ) as made,
        ):
            path = Path(made.name)
        try:
            with (
                disk_errors(path),
                pa.OSFile(str(path), "wb") as sink,
                pa.ipc.new_file(sink, schema) as writer,
            ):
                for batch in _drained(held, more):
                    writer.write_batch(batch)
                    rows += batch.num_rows
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return ArrowFile(path, schema, rows)


def _drained(
    held: list[pa.RecordBatch], more: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Yield what is held, letting go of it, and then the rest."""
    held.reverse()
    while held:
        yield held.pop()
    yield from more


def _batches(one: Shared, frame: DataFrame, stop: Stop) -> Iterator[pa.RecordBatch]:
    """Yield the rows as the table has them; columns that nobody reads share one array of nulls."""
    nulls: dict[int, pa.Array] = {}
    with query_errors():
        for result in frame.execute_stream():
            stop.check()
            batch = result.to_pyarrow()
            if not batch.num_rows:
                continue
            columns = dict(zip(one.needed, batch.columns, strict=True))
            for place, column in enumerate(one.schema):
                if place not in columns:
                    if len(nulls.get(place, ())) < batch.num_rows:
                        nulls[place] = pa.nulls(batch.num_rows, column.type)
                    columns[place] = nulls[place].slice(0, batch.num_rows)
            fields = [
                column.with_type(columns[place].type) for place, column in enumerate(one.schema)
            ]
            yield pa.RecordBatch.from_arrays(
                [columns[place] for place in range(len(fields))], schema=pa.schema(fields)
            )


@contextmanager
def discarded(shared: SharedRows) -> Iterator[SharedRows]:
    """Let go of the rows once the context is left."""
    try:
        yield shared
    finally:
        shared.discard()
