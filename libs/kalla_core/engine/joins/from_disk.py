"""Joins whose rows do not fit into memory: read from disk, sorted, spilled.

The rows of both sides go from the spool into Arrow files that DataFusion reads as it likes, and
the match SQL runs with joins that sort and spill. What comes out, with the numbers of the rows,
goes into a third file, and the primary keys are joined to it in the same way. Where rows say which
match they belong to, they come out match by match.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa
from datafusion import DataFrame, SessionContext

from kalla_core.engine.budget import Budget
from kalla_core.engine.failures import query_errors
from kalla_core.engine.joins.context import JoinContext
from kalla_core.engine.joins.grouped import of_columns, whole_matches
from kalla_core.engine.joins.join import rows_of, stream_matches, stream_pairs
from kalla_core.engine.joins.shared import SharedRows, discarded
from kalla_core.engine.keys.pair_bound import too_many, worst_keys
from kalla_core.engine.rows import IdArray, Ints, one_chunk
from kalla_core.engine.spool.store import Store
from kalla_core.errors import KallaError, OutOfMemory, TooManyPairs
from kalla_core.evidence.disk import disk_errors
from kalla_core.matching.plans.prepare import register_calls
from kalla_core.matching.plans.session import SessionLimits, new_session
from kalla_core.matching.row_ids.pairs import PairFrame
from kalla_core.matching.sql.query import ROW, Side
from kalla_core.matching.sql.sorted_joins import keeps_conditions
from kalla_core.matching.sql.tables import ArrowFile, register_file, register_tables
from kalla_core.matching.strategy.planned import Shared, pair_frame, shared_rows
from kalla_core.recipe.model import GroupForm

_BATCH_ROWS = 8192
_FEWEST_BATCH_ROWS = 16
_BATCHES_IN_POOL = 64
"""Sorts that spilled merge a few runs at once and hold two batches of each; a plan has several
sorts, each twice. Batches of such a part of the pool leave room for two joins and a window."""
_SMALLER = 8
"""By how much batches shrink for a plan that has more sorts than that."""
_NUMBERS = {Side.LEFT: "__kalla_left", Side.RIGHT: "__kalla_right"}
_MATCH = "__kalla_match"
_HELD_BYTES = 4 << 20
"""How much is gathered of matches that are whole before it is written."""


def match_from_disk(
    context: JoinContext, store: Store, buckets: tuple[int, ...], budget: Budget
) -> Iterator[tuple[IdArray, IdArray]]:
    """Write all matches among the rows of some buckets; yield the numbers of their rows.

    Each row comes as often as it is in a match.

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
        """What `_pairs` yields: the output, its columns by number for names may repeat, and rows.

        Where rows say which match they belong to, its number comes last.
        """
        output = [
            pa.field(f"c{number}", kind)
            for number, kind in enumerate(self._context.planned.output.types)
        ]
        numbers = [*_NUMBERS.values(), *([_MATCH] if self._grouped else [])]
        return pa.schema([*output, *(pa.field(name, pa.uint64()) for name in numbers)])

    @property
    def _grouped(self) -> bool:
        return self._context.groups is GroupForm.MEMBERS

    def write(self, name: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> ArrowFile:
        """Write batches as an Arrow file."""
        path = self._folder / name
        with (
            disk_errors(path),
            pa.OSFile(str(path), "wb") as sink,
            pa.ipc.new_file(sink, schema) as writer,
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
        with discarded(SharedRows(0, self._folder)) as shared:
            shared.compute(
                self._context.planned,
                lambda one: self._spilling(partial(self._shared, sources, shared, one)),
                self._context.stop,
            )
            frame = self._framed(sources, shared)
            for batch, result_row, numbers in self._numbered(frame):
                self._context.stop.check()
                self._bounded(len(result_row), sources)
                output = rows_of(batch, result_row).columns
                found = pa.RecordBatch.from_arrays([*output, *numbers], schema=self.pairs_schema)
                self._pair_bytes = max(self._pair_bytes, found.nbytes // len(result_row))
                yield found

    def _numbered(self, frame: PairFrame) -> Iterator[tuple[pa.RecordBatch, Ints, list[pa.Array]]]:
        """Yield results, which of their rows are meant, and the numbers that go with those."""
        if not self._grouped:
            for batch, pairs in stream_pairs(frame):
                yield batch, pairs.result_row, [pa.array(pairs.left), pa.array(pairs.right)]
            return
        before = 0
        for batch, found in stream_matches(frame):
            match = pa.array(found.match + before, pa.uint64())
            before += int(found.match[-1]) + 1
            yield batch, found.result_row, [found.left, found.right, match]

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
        """Join the primary keys to what was found and write it; yield the numbers of the rows."""
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
        joined = " ".join(
            f"{'LEFT ' if self._grouped else ''}JOIN {side.value} "
            f'ON pairs."{_NUMBERS[side]}" = {side.value}."{ROW}"'
            for side in Side
        )
        order = f'ORDER BY pairs."{_MATCH}"' if self._grouped else ""
        width = len(pairs.schema)
        split = width + len(keys[Side.LEFT])
        write = self._write_groups if self._grouped else self._write
        with query_errors():
            found = session.sql(f"SELECT {columns} FROM pairs {joined} {order}")  # noqa: S608
            yield from write((one.to_pyarrow() for one in found.execute_stream()), width, split)

    def _write(
        self, batches: Iterable[pa.RecordBatch], width: int, split: int
    ) -> Iterator[tuple[IdArray, IdArray]]:
        for batch in batches:
            keys = batch.columns[width:split], batch.columns[split:]
            self._context.sinks.matched(batch, *keys)
            self._context.progress.add(matched=batch.num_rows)
            yield batch.column(width - 2).to_numpy(), batch.column(width - 1).to_numpy()

    def _write_groups(
        self, batches: Iterable[pa.RecordBatch], width: int, split: int
    ) -> Iterator[tuple[IdArray, IdArray]]:
        for table in whole_matches(batches, width - 1, _HELD_BYTES):
            *_, left, right, match = (one_chunk(column) for column in table.columns[:width])
            keys = [one_chunk(column) for column in table.columns[width:]]
            middle = split - width
            rows = of_columns(match.to_numpy(), [left, right], keys[:middle], keys[middle:])
            for piece in rows.pieces():
                some = table.slice(piece.start, piece.end - piece.start)
                (output,) = some.combine_chunks().to_batches()
                self._context.sinks.grouped(output, piece)
                self._context.progress.add(matched=output.num_rows)
            yield rows.members(Side.LEFT), rows.members(Side.RIGHT)

    def _framed(self, sources: Mapping[Side, ArrowFile], shared: SharedRows) -> PairFrame:
        """Return the match SQL by joins that spill."""
        made: list[PairFrame] = []

        def of(limits: SessionLimits, computed_keys: bool) -> DataFrame:
            sessions = self._sessions(sources, limits, shared)
            with query_errors():
                made.append(
                    pair_frame(
                        self._context.planned, *sessions, computed_keys=computed_keys, shared=True
                    )
                )
            return made[-1].frame

        self._spilling(of)
        return made[-1]

    def _shared(
        self,
        sources: Mapping[Side, ArrowFile],
        shared: SharedRows,
        one: Shared,
        limits: SessionLimits,
        computed_keys: bool,
    ) -> DataFrame:
        sessions = self._sessions(sources, limits, shared)
        with query_errors():
            return shared_rows(self._context.planned, one, *sessions, computed_keys=computed_keys)

    def _spilling(self, of: Callable[[SessionLimits, bool], DataFrame]) -> DataFrame:
        """Return a frame by joins that spill, where those keep to its conditions."""
        for computed_keys in (False, True):
            with suppress(KallaError):  # what cannot be planned so can be otherwise
                frame = of(self._context.limits, computed_keys)
                with query_errors():
                    physical = frame.execution_plan().display_indent()
                if keeps_conditions(physical):
                    return frame
        return of(replace(self._context.limits, sort_merge=False), False)

    def _sessions(
        self, sources: Mapping[Side, ArrowFile], limits: SessionLimits, shared: SharedRows
    ) -> tuple[SessionContext, SessionContext]:
        context = self._context
        query = context.planned.query
        plain, numbered = new_session(limits), new_session(limits)
        for session, hidden in ((plain, ROW), (numbered, None)):
            left, right = (sources[side].without(hidden) for side in Side)
            register_tables(session, query, left, right, context.extras)
            register_calls(session, context.planned.prepared)
        shared.register(plain, numbered)
        return plain, numbered


def _read(file: ArrowFile) -> Iterator[pa.RecordBatch]:
    with pa.memory_map(str(file.path)) as mapped, pa.ipc.open_file(mapped) as reader:
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)


def _quoted(name: str) -> str:
    return name.replace('"', '""')
