"""Read the parts of both sides into the store, several at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import numpy as np
import pyarrow as pa

from kalla_core.engine.keys.keying import Ints, Keying
from kalla_core.engine.keys.rising import Rise, RisingKeys
from kalla_core.engine.progress import ProgressCounter
from kalla_core.engine.spool.store import PART_SHIFT, Store
from kalla_core.engine.tasks import Stop, run_all
from kalla_core.fragments.model import Hold, ScanFragment
from kalla_core.matching.sql.query import Side
from kalla_core.sources.protocol import DEFAULT_BATCH_ROWS, Connector, PinnedSource


class Census(Protocol):
    """Takes the hashes of primary keys without nulls, and how many keys have nulls."""

    def add(self, hashes: Ints, nulls: int) -> None:
        """Take those of some rows; safe from any thread."""
        ...


class Tally(Protocol):
    """Counts keys that many rows have; see `KeyTally`."""

    def add(self, batches: Sequence[pa.RecordBatch]) -> None:
        """Look at some rows; safe from any thread."""
        ...


@dataclass(frozen=True, slots=True)
class OpenSource:
    """A pinned source with the connector that reads it."""

    connector: Connector
    pinned: PinnedSource


@dataclass(frozen=True, slots=True)
class Scanned:
    """What one scan fragment delivered; `excluded` is None where the source filtered itself."""

    side: Side
    rows: int
    excluded: int | None


@dataclass(frozen=True, slots=True)
class ScanContext:
    """What all scans of a run share.

    Attributes:
        rising: of the sides whose keys the census need not know as long as they rise.
        rises: of the sides of which it is told whether the keys of the one part that is read rise.
        numbers: of the sides whose shape ends with a column of numbers, that column: of the part,
            shifted, plus the place in it.
    """

    sources: Mapping[Side, OpenSource]
    store: Store
    keying: Keying
    census: Mapping[Side, Census]
    tally: Mapping[Side, Tally]
    progress: Mapping[Side, ProgressCounter]
    stop: Stop
    rising: Mapping[Side, RisingKeys] = field(default_factory=dict)
    rises: Mapping[Side, Rise] = field(default_factory=dict)
    numbers: Mapping[Side, pa.Field] = field(default_factory=dict)


def scan_all(
    context: ScanContext, fragments: Iterable[ScanFragment], threads: int
) -> list[Scanned]:
    """Run scan fragments on `threads` threads; the first error stops the others.

    Raises:
        KallaError: as the connectors do; `OutOfDisk` from the spool.
    """
    tasks = [partial(scan, context, fragment) for fragment in fragments]
    return run_all(tasks, threads, context.stop)


def scan(context: ScanContext, fragment: ScanFragment) -> Scanned:
    """Read one part to its end.

    Raises:
        Cancelled: another fragment failed.
        KallaError: as the connector does.
    """
    side = fragment.side
    source = context.sources[side]
    number = context.numbers.get(side)
    columns = context.store.shapes[side].schema.names[: None if number is None else -1]
    reader = source.connector.read(source.pinned, fragment.part, DEFAULT_BATCH_ROWS, columns)
    read = reader if number is None else _numbered(reader, fragment.part.index, number)
    held = context.store.part(side, fragment.part.index)
    run = context.rising[side].part(fragment.part.index) if side in context.rising else None
    for batches in grouped(read):
        context.stop.check()
        if run is not None:
            run.add(batches, in_memory=context.store.hold is Hold.MEMORY)
        else:
            context.census[side].add(*context.keying.primary_keys(side, batches))
        if side in context.rises:
            context.rises[side].add(batches)
        context.tally[side].add(batches)
        rows, size = sum(b.num_rows for b in batches), sum(b.nbytes for b in batches)
        held.append(batches)
        context.progress[side].add(rows=rows, size=size)
    held.finish()
    if run is not None:
        run.end(in_memory=context.store.hold is Hold.MEMORY)
    context.progress[side].add(fragments=1)
    return Scanned(side, held.rows, reader.excluded_rows)


def _numbered(
    batches: Iterable[pa.RecordBatch], part: int, number: pa.Field
) -> Iterator[pa.RecordBatch]:
    start = part << PART_SHIFT
    for batch in batches:
        numbers = pa.array(np.arange(start, start + batch.num_rows, dtype=np.uint64))
        yield batch.append_column(number, numbers)
        start += batch.num_rows


def grouped(reader: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """Yield batches together until they are worth a query."""
    group: list[pa.RecordBatch] = []
    rows = 0
    for batch in reader:
        group.append(batch)
        rows += batch.num_rows
        if rows >= DEFAULT_BATCH_ROWS:
            yield group
            group, rows = [], 0
    if group:
        yield group


def on_disk(store: Store, side: Side, part: int) -> Iterator[list[pa.RecordBatch]]:
    """Yield all rows of a part that went to the spool, in no order, as `grouped` does."""
    return grouped(store.stream_part(side, part))
