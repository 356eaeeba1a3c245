"""Joins whose rows do not fit into memory: read from disk, sorted, spilled.

The rows of both sides go from the spool into Arrow files that DataFusion reads as it likes, and
the match SQL runs with joins that sort and spill. What comes out, with the numbers of the rows,
goes into a third file, and the primary keys are joined to it in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds

from kalla_core.engine.budget import Budget
from kalla_core.engine.failures import query_errors
from kalla_core.engine.join import JoinContext, rows_of, stream_pairs
from kalla_core.engine.rows import IdArray
from kalla_core.engine.store import Store
from kalla_core.evidence.disk import disk_errors
from kalla_core.matching.pairs import PairFrame
from kalla_core.matching.planned import pair_frame
from kalla_core.matching.prepare import register_calls
from kalla_core.matching.query import ROW, Side
from kalla_core.matching.session import new_session
from kalla_core.matching.tables import register_tables

_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
_BATCH_ROWS = 8192
_NUMBERS = {Side.LEFT: "__kalla_left", Side.RIGHT: "__kalla_right"}


def match_from_disk(
    context: JoinContext, store: Store, budget: Budget
) -> Iterator[tuple[IdArray, IdArray]]:
    """Write all pairs; yield the numbers of their rows in the whole source, batch by batch.

    Raises:
        OutOfMemory: an operator of the match SQL can neither fit nor spill.
        OutOfDisk: no room for the files beside the spool.
    """
    memory = budget.pool_bytes * budget.threads
    limits = replace(context.limits, sort_merge=True, memory_bytes=memory)
    disk = _Disk(replace(context, limits=limits), store.plan.folder)
    sources = {side: disk.write(f"{side.word}.arrow", _batches(store, side)) for side in Side}
    pairs = disk.write("pairs.arrow", disk.pairs(sources))
    yield from disk.matched(sources, pairs)
    for file in (*sources.values(), pairs):
        file.path.unlink()


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    schema: pa.Schema

    def table(self, without: str | None = None) -> ds.Dataset:
        schema = pa.schema([field for field in self.schema if field.name != without])
        return ds.dataset(self.path, format="ipc", schema=schema)


class _Disk:
    def __init__(self, context: JoinContext, folder: Path) -> None:
        self._context = context
        self._folder = folder

    def write(self, name: str, batches: Iterable[pa.RecordBatch]) -> _File:
        """Write batches, at least one and all of one schema, as an Arrow file."""
        path = self._folder / name
        pending = iter(batches)
        first = next(pending)
        with (
            disk_errors(path),
            pa.OSFile(str(path), "wb") as sink,
            pa.ipc.new_file(sink, first.schema, options=_OPTIONS) as writer,
        ):
            writer.write_batch(first)
            for batch in pending:
                for start in range(0, batch.num_rows, _BATCH_ROWS):
                    writer.write_batch(batch.slice(start, _BATCH_ROWS))
        return _File(path, first.schema)

    def pairs(self, sources: dict[Side, _File]) -> Iterator[pa.RecordBatch]:
        """Yield the output of the match SQL with the numbers of the rows of both sides."""
        frame = self._frame(sources)
        yield _numbered(_empty(frame), None, None)
        for batch, pairs in stream_pairs(frame):
            rows = rows_of(batch, pairs)
            yield _numbered(
                pa.RecordBatch.from_arrays(
                    rows.columns[: frame.columns], names=_names(frame.columns)
                ),
                pairs.left,
                pairs.right,
            )

    def matched(
        self, sources: dict[Side, _File], pairs: _File
    ) -> Iterator[tuple[IdArray, IdArray]]:
        """Join the primary keys to the pairs and write them; yield the numbers of their rows."""
        session = new_session(self._context.limits)
        session.register_dataset("pairs", pairs.table())
        for side, file in sources.items():
            session.register_dataset(side.value, file.table())
        keys = {
            side: [f'{side.value}."{_quoted(name)}"' for name in shape.primary_key]
            for side, shape in ((side, self._context.planned.query.side(side)) for side in Side)
        }
        columns = ", ".join(["pairs.*", *keys[Side.LEFT], *keys[Side.RIGHT]])
        joins = " ".join(
            f'JOIN {side.value} ON pairs."{_NUMBERS[side]}" = {side.value}."{ROW}"' for side in Side
        )
        width = len(pairs.schema)
        split = width + len(keys[Side.LEFT])
        with query_errors():
            aliased = session.sql(f"SELECT {columns} FROM pairs {joins}")  # noqa: S608
            for result in aliased.execute_stream():
                batch = result.to_pyarrow()
                self._context.sinks.matched(
                    batch, batch.columns[width:split], batch.columns[split:]
                )
                yield batch.column(width - 2).to_numpy(), batch.column(width - 1).to_numpy()

    def _frame(self, sources: dict[Side, _File]) -> PairFrame:
        context = self._context
        query = context.planned.query
        plain, numbered = new_session(context.limits), new_session(context.limits)
        for session, hidden in ((plain, ROW), (numbered, None)):
            left, right = (sources[side].table(hidden) for side in Side)
            register_tables(session, query, left, right, context.extras)
            register_calls(session, context.planned.prepared)
        with query_errors():
            return pair_frame(context.planned, plain, numbered)


def _batches(store: Store, side: Side) -> Iterator[pa.RecordBatch]:
    schema = store.spool_schema(side)
    yield pa.RecordBatch.from_arrays([pa.nulls(0, f.type) for f in schema], schema=schema)
    yield from store.stream(side)


def _empty(frame: PairFrame) -> pa.RecordBatch:
    types = frame.frame.schema().types[: frame.columns]
    return pa.RecordBatch.from_arrays(
        [pa.nulls(0, kind) for kind in types], names=_names(frame.columns)
    )


def _numbered(batch: pa.RecordBatch, left: IdArray | None, right: IdArray | None) -> pa.RecordBatch:
    numbers = [pa.array([] if ids is None else ids, pa.uint64()) for ids in (left, right)]
    names = [*batch.schema.names, *_NUMBERS.values()]
    return pa.RecordBatch.from_arrays([*batch.columns, *numbers], names=names)


def _names(count: int) -> list[str]:
    """Names of output columns on disk, where the user's may repeat."""
    return [f"c{number}" for number in range(count)]


def _quoted(name: str) -> str:
    return name.replace('"', '""')
