"""Joins whose rows do not fit into memory: read from disk, sorted, spilled.

The rows of both sides go from the spool into Arrow files that DataFusion reads as it likes, and
the match SQL runs with joins that sort and spill. What comes out, with the numbers of the rows,
goes into a third file, and the primary keys are joined to it in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa

from kalla_core.engine.budget import Budget
from kalla_core.engine.failures import query_errors
from kalla_core.engine.join import JoinContext, rows_of, stream_pairs
from kalla_core.engine.pair_bound import too_many, worst_keys
from kalla_core.engine.rows import IdArray
from kalla_core.engine.store import Store
from kalla_core.errors import OutOfMemory, TooManyPairs
from kalla_core.evidence.disk import disk_errors
from kalla_core.matching.pairs import PairFrame
from kalla_core.matching.planned import pair_frame
from kalla_core.matching.prepare import register_calls
from kalla_core.matching.query import ROW, Side
from kalla_core.matching.session import new_session
from kalla_core.matching.tables import ArrowFile, register_file, register_tables

_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
_BATCH_ROWS = 8192
_FEWEST_BATCH_ROWS = 16
_BATCHES_IN_POOL = 64
"""Sorts that spilled merge a few runs at once and hold two batches of each; a plan has several
sorts, each twice. Batches of such a part of the pool leave room for two joins and a window."""
_SMALLER = 8
"""By how much batches shrink for a plan that has more sorts than that."""
_NUMBERS = {Side.LEFT: "__kalla_left", Side.RIGHT: "__kalla_right"}


def match_from_disk(
    context: JoinContext, store: Store, buckets: tuple[int, ...], budget: Budget
) -> Iterator[tuple[IdArray, IdArray]]:
    """Write all pairs among the rows of some buckets; yield the numbers of their rows.

    Raises:
        OutOfMemory: an operator of the match SQL can neither fit nor spill.
        OutOfDisk: no room for the files beside the spool.
    """
    memory = budget.pool_bytes * budget.threads
    rows = fitting_rows(_row_bytes(store, buckets), memory)
    limits = replace(context.limits, sort_merge=True, memory_bytes=memory, batch_rows=rows)
    disk = _Disk(replace(context, limits=limits), store.plan.folder)
    sources = {
        side: disk.write(
            f"{side.word}.arrow", store.spool_schema(side), store.stream(side, buckets)
        )
        for side in Side
    }
    try:
        pairs = disk.write_pairs(sources)
    except OutOfMemory:  # once more with less: nothing has come of it yet
        disk.take_back()
        disk = disk.frugal()
        pairs = disk.write_pairs(sources)
    yield from disk.matched(sources, pairs)
    for file in (*sources.values(), pairs):
        file.path.unlink()


def fitting_rows(row_bytes: int, memory_bytes: int) -> int:
    """Return how many rows of a size a batch may have, so that a plan of many sorts fits."""
    fitting = memory_bytes // (_BATCHES_IN_POOL * max(row_bytes, 1))
    return min(max(fitting, _FEWEST_BATCH_ROWS), _BATCH_ROWS)


def _row_bytes(store: Store, buckets: tuple[int, ...]) -> int:
    """Return how many bytes a row takes that has all columns of both sides."""
    width, chosen = 0, list(buckets)
    for side in Side:
        spool = store.spool(side)
        size = int(spool.bucket_bytes(store.buckets)[chosen].sum())
        width += size // max(int(spool.bucket_rows(store.buckets)[chosen].sum()), 1)
    return width


class _Disk:
    def __init__(self, context: JoinContext, folder: Path) -> None:
        self._context = context
        self._folder = folder
        self._pair_bytes = 0
        self._pairs_made = 0

    def take_back(self) -> None:
        """Let the pairs that were made so far not count."""
        self._context.bound.add(-self._pairs_made)

    def frugal(self) -> _Disk:
        """Return the same with all that sorts hold at once as little as can be."""
        limits = self._context.limits
        fewer = max(limits.batch_rows // _SMALLER, _FEWEST_BATCH_ROWS)
        return _Disk(
            replace(self._context, limits=replace(limits, batch_rows=fewer, fan_in=2)),
            self._folder,
        )

    @property
    def pairs_schema(self) -> pa.Schema:
        """What `pairs` yields: the output, its columns by number for names may repeat, and rows."""
        output = [
            pa.field(f"c{number}", kind)
            for number, kind in enumerate(self._context.planned.output.types)
        ]
        return pa.schema([*output, *(pa.field(name, pa.uint64()) for name in _NUMBERS.values())])

    def write(self, name: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> ArrowFile:
        """Write batches as an Arrow file."""
        path = self._folder / name
        with (
            disk_errors(path),
            pa.OSFile(str(path), "wb") as sink,
            pa.ipc.new_file(sink, schema, options=_OPTIONS) as writer,
        ):
            rows, at_once = 0, self._context.limits.batch_rows
            for batch in batches:
                for start in range(0, batch.num_rows, at_once):
                    writer.write_batch(batch.slice(start, at_once))
                rows += batch.num_rows
        return ArrowFile(path, schema, rows)

    def write_pairs(self, sources: Mapping[Side, ArrowFile]) -> ArrowFile:
        """Run the match SQL; write what it brings out with the numbers of the rows."""
        return self.write("pairs.arrow", self.pairs_schema, self._pairs(sources))

    def _pairs(self, sources: Mapping[Side, ArrowFile]) -> Iterator[pa.RecordBatch]:
        """Yield the output of the match SQL with the numbers of the rows of both sides."""
        frame = self._frame(sources)
        read = {side: partial(_read, file) for side, file in sources.items()}
        for batch, pairs in stream_pairs(frame, self._context.planned, read):
            self._context.stop.check()
            self._bounded(len(pairs), sources)
            output = rows_of(batch, pairs).columns
            numbers = (pa.array(pairs.left), pa.array(pairs.right))
            found = pa.RecordBatch.from_arrays([*output, *numbers], schema=self.pairs_schema)
            self._pair_bytes = max(self._pair_bytes, found.nbytes // len(pairs))
            yield found

    def _bounded(self, pairs: int, sources: Mapping[Side, ArrowFile]) -> None:
        bound = self._context.bound
        self._pairs_made += pairs
        try:
            bound.add(pairs)
        except TooManyPairs:
            rows = {side: _read(file) for side, file in sources.items()}
            worst = worst_keys(self._context.planned, rows)
            raise too_many(bound.most, bound.rows, worst) from None

    def matched(
        self, sources: Mapping[Side, ArrowFile], pairs: ArrowFile
    ) -> Iterator[tuple[IdArray, IdArray]]:
        """Join the primary keys to the pairs and write them; yield the numbers of their rows."""
        limits = self._context.limits
        rows = fitting_rows(self._pair_bytes, limits.memory_bytes or 0)
        session = new_session(replace(limits, batch_rows=min(rows, limits.batch_rows)))
        register_file(session, "pairs", pairs)
        for side, file in sources.items():
            register_file(session, side.value, file)
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
            joined = session.sql(f"SELECT {columns} FROM pairs {joins}")  # noqa: S608
            for result in joined.execute_stream():
                batch = result.to_pyarrow()
                self._context.sinks.matched(
                    batch, batch.columns[width:split], batch.columns[split:]
                )
                self._context.progress.add(matched=batch.num_rows)
                yield batch.column(width - 2).to_numpy(), batch.column(width - 1).to_numpy()

    def _frame(self, sources: Mapping[Side, ArrowFile]) -> PairFrame:
        context = self._context
        query = context.planned.query
        plain, numbered = new_session(context.limits), new_session(context.limits)
        for session, hidden in ((plain, ROW), (numbered, None)):
            left, right = (sources[side].without(hidden) for side in Side)
            register_tables(session, query, left, right, context.extras)
            register_calls(session, context.planned.prepared)
        with query_errors():
            return pair_frame(context.planned, plain, numbered)


def _read(file: ArrowFile) -> Iterator[pa.RecordBatch]:
    with pa.memory_map(str(file.path)) as mapped, pa.ipc.open_file(mapped) as reader:
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)


def _quoted(name: str) -> str:
    return name.replace('"', '""')
