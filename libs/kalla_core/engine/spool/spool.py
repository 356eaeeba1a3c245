"""The spool: where scans leave their rows, by bucket, for joins to fetch.

A scan fragment writes one file. It collects rows up to a budget, sorts them by bucket (stably,
so that a bucket keeps the order of the source) and appends one Arrow IPC message per bucket and
run of the budget. The index says where each bucket's messages are. Reading a bucket means
reading its messages of all files, in the order of the parts, which gives the rows of the bucket
in the order of the source whatever the number of parts, runs or threads.

Files are written without fsync: a spool never outlives the process that reads it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.errors import EngineFailure, KallaError
from kalla_core.evidence.disk import disk_errors
from kalla_core.fragments.fetch_fault import FetchFault, fetch_failed

IntArray = npt.NDArray[np.int64]

_MESSAGE_ROWS = 8192
"""Rows of a message that make it worth writing; more only cost memory."""
_BLOCK_WORDS = 512
_MIXING = 0x9E3779B97F4A7C15


@dataclass(frozen=True, slots=True)
class Segment:
    """One message: some rows of one bucket.

    Attributes:
        raw_bytes: size of the rows as Arrow batches, for memory budgets.
        checksum: of the message's bytes, see `checksum`.
    """

    bucket: int
    offset: int
    length: int
    rows: int
    raw_bytes: int
    checksum: int


@dataclass(frozen=True, slots=True)
class SpoolFile:
    """What one scan fragment left; plain data.

    Attributes:
        origin: of whom it came, where that was another process: a file that is not what it should
            be is made again there. None for files of this run itself.
    """

    path: Path
    segments: tuple[Segment, ...]
    origin: FetchFault | None = None

    def only(self, buckets: Collection[int] | None) -> SpoolFile:
        """Return the file as if it had nothing but some buckets; None for all of them."""
        if buckets is None:
            return self
        wanted = frozenset(buckets)
        return replace(self, segments=tuple(s for s in self.segments if s.bucket in wanted))

    @property
    def stored_bytes(self) -> int:
        """How long all messages are together."""
        return sum(segment.length for segment in self.segments)


@dataclass(slots=True)
class SpoolWriter:
    """Writes one spool file.

    Args:
        path: the file to make.
        schema: of the batches without their bucket numbers.
        buckets: how many there are.
        run_bytes: the most that is held in memory before it is sorted and written.
    """

    path: Path
    schema: pa.Schema
    buckets: int
    run_bytes: int
    _batches: list[pa.RecordBatch] = field(default_factory=list)
    _numbers: list[IntArray] = field(default_factory=list)
    _held_bytes: int = 0
    _held_rows: int = 0
    _offset: int = 0
    _segments: list[Segment] = field(default_factory=list)
    _file: int = -1

    def open(self) -> SpoolWriter:
        """Create the file.

        Raises:
            OutOfDisk: here and from every method that writes.
        """
        with disk_errors(self.path):
            self._file = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        return self

    def append(self, batches: Sequence[pa.RecordBatch], buckets: IntArray) -> None:
        """Take rows and their bucket numbers."""
        self._batches.extend(batches)
        self._numbers.append(buckets)
        self._held_bytes += sum(batch.nbytes for batch in batches)
        self._held_rows += len(buckets)
        enough = self._held_rows >= self.buckets * _MESSAGE_ROWS
        if enough or self._held_bytes >= self.run_bytes:
            self._flush()

    def write(self, bucket: int, batch: pa.RecordBatch) -> None:
        """Write rows of one bucket as they are, as a message of their own, now."""
        message = batch.serialize()  # plain: to pack it takes as long as to read the source
        with disk_errors(self.path):
            _write_all(self._file, message)
        summed = checksum(message)
        self._segments.append(
            Segment(bucket, self._offset, message.size, batch.num_rows, batch.nbytes, summed)
        )
        self._offset += message.size

    def finish(self) -> SpoolFile:
        """Write what is held and return the file with its index."""
        self._flush()
        os.close(self._file)
        self._file = -1
        return SpoolFile(self.path, tuple(self._segments))

    def discard(self) -> None:
        """Close and remove the file, finished or not."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self.path.unlink(missing_ok=True)

    def _flush(self) -> None:
        if not self._batches:
            return
        held = self._batches[0] if len(self._batches) == 1 else pa.concat_batches(self._batches)
        numbers = np.concatenate(self._numbers)
        if self.buckets > 1:
            numbers = numbers.astype(_narrowest(self.buckets), copy=False)
            order = np.argsort(numbers, kind="stable")
            numbers = numbers[order]
            held = pc.take(held, pa.array(order))
        bounds = np.searchsorted(numbers, np.arange(self.buckets + 1))
        for bucket, (start, end) in enumerate(pairwise(bounds)):
            if end > start:
                self.write(bucket, held.slice(start, end - start))
        self._batches.clear()
        self._numbers.clear()
        self._held_bytes = 0
        self._held_rows = 0


@dataclass(frozen=True, slots=True)
class Spool:
    """All files of one side, in the order of its parts.

    Attributes:
        schema: of what is read.
        stored: of the messages, where that has more columns, at its end.
    """

    schema: pa.Schema
    files: tuple[SpoolFile, ...]
    stored: pa.Schema | None = None

    @property
    def rows(self) -> int:
        """How many rows all files have."""
        return sum(segment.rows for file in self.files for segment in file.segments)

    @property
    def stored_bytes(self) -> int:
        """How long all messages are together."""
        return sum(file.stored_bytes for file in self.files)

    def bucket_bytes(self, buckets: int) -> IntArray:
        """Return the raw bytes of each bucket, int64."""
        return self._sums(buckets, attrgetter("raw_bytes"))

    def bucket_rows(self, buckets: int) -> IntArray:
        """Return the rows of each bucket, int64."""
        return self._sums(buckets, attrgetter("rows"))

    def read(self, buckets: Sequence[int]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of these buckets in the order of the parts.

        Raises:
            EngineFailure: a message is not what was written.
            FetchFailed: likewise, in a file that came of another process.
        """
        wanted = frozenset(buckets)
        for file in self.files:
            chosen = [segment for segment in file.segments if segment.bucket in wanted]
            if not chosen:
                continue
            for batch in _read(file, chosen, self.stored or self.schema):
                yield batch if self.stored is None else self._narrowed(batch)

    def _narrowed(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        width = len(self.schema)
        return pa.RecordBatch.from_arrays(batch.columns[:width], schema=self.schema)

    def _sums(self, buckets: int, measure: Callable[[Segment], int]) -> IntArray:
        sums = np.zeros(buckets, dtype=np.int64)
        for file in self.files:
            for segment in file.segments:
                sums[segment.bucket] += measure(segment)
        return sums


def _read(
    file: SpoolFile, segments: Sequence[Segment], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    with _mapped(file) as mapped:
        for segment in segments:
            mapped.seek(segment.offset)
            message = mapped.read_buffer(segment.length)
            if checksum(message) != segment.checksum:
                raise damaged(file)
            yield pa.ipc.read_record_batch(pa.ipc.read_message(message), schema)


def checksum(message: pa.Buffer) -> int:
    """Return 32 bits that depend on all bytes of a message, and on the order of its blocks.

    A sum at the pace of memory: CRC32 took a twentieth of a run that goes through the spool.
    """
    words = np.frombuffer(message, np.uint64, message.size // 8)
    whole = len(words) // _BLOCK_WORDS
    blocks = words[: whole * _BLOCK_WORDS].reshape(whole, _BLOCK_WORDS).sum(axis=1)
    rest = int.from_bytes(message.slice(8 * len(words)).to_pybytes(), "little")
    places = np.arange(1, 2 * whole, 2, dtype=np.uint64)  # odd, by which no difference is lost
    total = int((blocks * places).sum()) + int(words[whole * _BLOCK_WORDS :].sum()) + rest
    return (total * _MIXING >> 32) & 0xFFFFFFFF


def _mapped(file: SpoolFile) -> Any:
    try:
        return pa.memory_map(str(file.path))
    except FileNotFoundError as error:
        raise damaged(file) from error


def damaged(file: SpoolFile) -> KallaError:
    """Return the error of a spool file that is not what was written."""
    if file.origin is None:
        return EngineFailure(f"The spool file {file.path} was damaged while the run went on.")
    which = ", ".join(str(attempt) for attempt in file.origin.attempts)
    return fetch_failed(f"The spool of {which} is damaged or gone.", file.origin)


def _write_all(file: int, data: pa.Buffer) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _narrowest(buckets: int) -> type[np.unsignedinteger]:
    """Return the type whose stable argsort is fastest: numpy sorts 8 and 16 bits by radix."""
    return np.uint8 if buckets <= 256 else np.uint16
