"""Where the rows of both sides wait between scan and join: in memory, or by bucket in the spool.

A run begins in memory when nothing speaks against it. Once the rows no longer fit, everything
that is held goes to the spool, and so does what follows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kalla_core.engine.rows import Rows, in_one_piece, in_pieces, numbered_schema, without_ids
from kalla_core.engine.spool.spool import Spool, SpoolFile, SpoolWriter
from kalla_core.engine.tasks import Stop
from kalla_core.fragments.model import Hold
from kalla_core.matching.sql.query import Side, TableShape

Buckets = npt.NDArray[np.int64]
BucketOf = Callable[[Side, Sequence[pa.RecordBatch], int], Buckets]

PART_SHIFT = 40
"""A row's number in the whole source: the number of its part, shifted, plus its place there."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How rows are kept once they go to the spool.

    Attributes:
        folder: for the spool files.
        numbered: whether rows carry their number in the whole source.
        whole_bytes: how much may be held in memory; 0 spools from the start.
        run_bytes: see `SpoolWriter`.
        buckets: how many, as a function of the bytes that were held when memory ran out; None
            forbids the spool, and `HeldTooMuch` is raised instead.
        numbers_left: spool files that are adopted hold numbers that nobody wants to see.
    """

    folder: Path
    numbered: bool
    whole_bytes: int
    run_bytes: int
    buckets: Callable[[int], int] | None
    numbers_left: bool = False


class HeldTooMuch(Exception):
    """The rows do not fit into memory, and may not go to the spool."""


class Store:
    """Takes batches from scans in several threads; gives the rows back by bucket.

    Args:
        bucket_of: returns the bucket number of each row of some batches.
    """

    def __init__(self, shapes: Mapping[Side, TableShape], plan: Plan, bucket_of: BucketOf) -> None:
        self.shapes = shapes
        self.plan = plan
        self.bucket_of = bucket_of
        self.hold = Hold.MEMORY
        self.buckets = 1
        self._parts: list[PartRows] = []
        self._held_bytes = 0
        self._lock = threading.Lock()
        if plan.whole_bytes == 0:
            self._go_to_spool()

    def part(self, side: Side, index: int) -> PartRows:
        """Return the place for the rows of one part; used by one thread at a time."""
        rows = PartRows(self, side, index)
        with self._lock:
            self._parts.append(rows)
        return rows

    def adopt(self, side: Side, index: int, file: SpoolFile, rows: int) -> None:
        """Take the spool file of a part that was scanned elsewhere.

        Args:
            rows: of the whole part, even if the file has only some of its buckets.
        """
        with self._lock:
            self._parts.append(PartRows(self, side, index, rows, finished=True, file=file))

    def note(self, size: int) -> None:
        """Count bytes that are held in memory; beyond the budget everything is spooled."""
        with self._lock:
            self._held_bytes += size
            if self.hold is Hold.SPOOL or self._held_bytes <= self.plan.whole_bytes:
                return
            self._go_to_spool()
            idle = [part for part in self._parts if part.finished]
        for part in idle:
            part.settle()

    @property
    def held_bytes(self) -> int:
        """What the rows in memory take, both sides together."""
        return self._held_bytes if self.hold is Hold.MEMORY else 0

    def finish(self) -> None:
        """Bring every part to where the rows are held in the end; all scans have ended."""
        for part in self._parts:
            part.settle()

    def abandon(self) -> None:
        """Close and remove what scans that failed were writing."""
        for part in self._parts:
            part.abandon()

    def remove(self) -> None:
        """Delete the files of the spool."""
        for side in Side:
            for file in self.spool(side).files:
                file.path.unlink()

    def row_count(self, side: Side) -> int:
        """Return the rows of one side."""
        return sum(part.rows for part in self._of(side))

    def bucket_bytes(self) -> npt.NDArray[np.int64]:
        """Return the raw bytes of each bucket, both sides together."""
        return sum(
            (self.spool(side).bucket_bytes(self.buckets) for side in Side),
            np.zeros(self.buckets, dtype=np.int64),
        )

    def rows(self, side: Side, buckets: tuple[int, ...] | None = None) -> Rows:
        """Return the rows of some buckets, or all of them, in memory.

        Rows that the store held in memory are the caller's from then on.
        """
        shape = self.shapes[side]
        if self.hold is Hold.MEMORY:
            return in_one_piece(side, shape, self._given_away(side))
        batches = list(self.stream(side, buckets))
        if self.plan.numbered:
            return without_ids(side, shape, batches)
        return Rows(side, shape, tuple(batches))

    def held_rows(self, threads: int, stop: Stop) -> tuple[Rows, Rows]:
        """Return all rows of both sides, which are in memory; see `rows`."""
        some = [(side, self.shapes[side], self._given_away(side)) for side in Side]
        left, right = in_pieces(some, threads, stop)
        return left, right

    def _given_away(self, side: Side) -> list[pa.RecordBatch]:
        held = [batch for part in self._of(side) for batch in part.batches]
        for part in self._of(side):
            part.batches.clear()
        return held

    def stream(
        self, side: Side, buckets: tuple[int, ...] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield spooled batches of some buckets, or of all."""
        chosen = range(self.buckets) if buckets is None else buckets
        return self.spool(side).read(chosen)

    def stream_part(self, side: Side, index: int) -> Iterator[pa.RecordBatch]:
        """Yield all spooled batches of one part, in no order."""
        return self.spool(side, index).read(range(self.buckets))

    def spool(self, side: Side, part: int | None = None) -> Spool:
        """Return the spool of one side, or of a part of it."""
        parts = [one for one in self._of(side) if part is None or one.index == part]
        files = tuple(one.file for one in parts if one.file is not None)
        shown = self.spool_schema(side)
        return Spool(shown, files, numbered_schema(shown) if self.plan.numbers_left else None)

    def part_rows(self, side: Side) -> list[int]:
        """Return the rows of each part, by its index."""
        counts = [0] * (1 + max((part.index for part in self._of(side)), default=-1))
        for part in self._of(side):
            counts[part.index] = part.rows
        return counts

    def spool_schema(self, side: Side) -> pa.Schema:
        """Return the schema of spooled batches: the source's, with ROW where rows are numbered."""
        schema = self.shapes[side].schema
        return numbered_schema(schema) if self.plan.numbered else schema

    def _of(self, side: Side) -> list[PartRows]:
        return sorted((part for part in self._parts if part.side is side), key=_index)

    def _go_to_spool(self) -> None:
        if self.plan.buckets is None:
            raise HeldTooMuch
        self.buckets = self.plan.buckets(self._held_bytes)
        self.hold = Hold.SPOOL  # last: other threads look at it, and then at the buckets


@dataclass(slots=True)
class PartRows:
    """The rows of one part, wherever the store holds rows now."""

    store: Store
    side: Side
    index: int
    rows: int = 0
    finished: bool = False
    batches: list[pa.RecordBatch] = field(default_factory=list)
    file: SpoolFile | None = None
    _writer: SpoolWriter | None = None
    _first_row: int = 0

    def append(self, batches: Sequence[pa.RecordBatch]) -> None:
        """Take the next rows of the part."""
        self.rows += sum(batch.num_rows for batch in batches)
        self.batches.extend(batches)
        if self.store.hold is Hold.MEMORY:
            self.store.note(sum(batch.nbytes for batch in batches))
        if self.store.hold is Hold.SPOOL:
            self._spool_batches()

    def finish(self) -> None:
        """Say that the part has no more rows."""
        if self.store.hold is Hold.SPOOL:
            self._close()
        self.finished = True

    def settle(self) -> None:
        """Move a finished part to the spool if that is where rows are held by now."""
        if self.store.hold is Hold.SPOOL and self.file is None:
            self._close()

    def abandon(self) -> None:
        """Remove what was written."""
        if self._writer is not None:
            self._writer.discard()

    def _close(self) -> None:
        self._spool_batches()
        if self._writer is not None:
            self.file = self._writer.finish()

    def _spool_batches(self) -> None:
        if self.batches:
            numbers = self.store.bucket_of(self.side, self.batches, self.store.buckets)
            numbered = [self._numbered(batch) for batch in self.batches]
            self._writer_now().append(numbered, numbers)
            self.batches.clear()

    def _numbered(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if not self.store.plan.numbered:
            return batch
        start = (self.index << PART_SHIFT) + self._first_row
        self._first_row += batch.num_rows
        ids = np.arange(start, start + batch.num_rows, dtype=np.uint64)
        return pa.RecordBatch.from_arrays(
            [*batch.columns, pa.array(ids)], schema=self.store.spool_schema(self.side)
        )

    def _writer_now(self) -> SpoolWriter:
        if self._writer is None:
            plan = self.store.plan
            self._writer = SpoolWriter(
                plan.folder / f"{self.side.word}-{self.index}.spool",
                self.store.spool_schema(self.side),
                self.store.buckets,
                plan.run_bytes,
            )
            self._writer.open()
        return self._writer


def _index(part: PartRows) -> int:
    return part.index
