"""Streams of batches into one Parquet file, encoded by several threads at once.

Batches are gathered into row groups. A full one is encoded into memory as a small Parquet file of
its own, by whoever brought the batch that filled it or by the writer's own threads; only putting
the bytes into the file is for one thread at a time. `footer` makes them one file.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import pyarrow as pa

from kalla_core.evidence.disk import HashedFile, disk_errors
from kalla_core.evidence.footer import MAGIC, MergedFooter, ended, read_footer, split
from kalla_core.evidence.metadata import WrittenFile
from kalla_core.evidence.row_group import Encoding, Scratch, encode, suited_encoding
from kalla_core.evidence.twins import twins

ROW_GROUP_ROWS = 131_072
ROW_GROUP_BYTES = 64 * 2**20

_WORTH_A_CHOICE_ROWS = 32_768
_COPY_BYTES = 8 * 2**20


@dataclass(frozen=True, slots=True)
class _RowGroup:
    """The first one of a file, as long as there is no other."""

    rows: int
    footer: bytes


class TableWriter:
    """One Parquet file that grows by batches. `write` and `append` are thread-safe.

    Holds at most one row group that is being gathered, one per thread that is encoding and, with
    threads of its own, one that waits for them: where they have that, whoever fills the next one
    encodes it.
    Rows of a batch stay together and in order; row groups lie in the order they were finished in.

    As a context manager it lets go of the file when the block fails; that file is not whole.
    All methods raise `OutOfDisk` and `OutputNotWritable`.
    """

    def __init__(
        self,
        path: Path,
        schema: pa.Schema,
        *,
        finish: Callable[[pa.Table], pa.Table] | None = None,
        threads: int = 0,
        row_group_rows: int = ROW_GROUP_ROWS,
        row_group_bytes: int = ROW_GROUP_BYTES,
    ) -> None:
        """Create the file.

        Args:
            path: in a folder that exists.
            schema: of the file; types as `stored_type` gives them, names unique.
            finish: makes the rows of a row group, of `schema`, from the batches that were
                written, in the thread that encodes it; without it they are of `schema` already.
            threads: encoders of the writer's own; where they are busy, or none, callers of `write`
                encode.
            row_group_rows: rows that fill a row group.
            row_group_bytes: bytes of batches, before encoding, that fill one.
        """
        self.schema = schema
        self._finish = finish
        self._row_group_rows = row_group_rows
        self._row_group_bytes = row_group_bytes
        self._gathering = threading.Lock()
        self._gathered: list[pa.RecordBatch] = []
        self._gathered_rows = 0
        self._gathered_bytes = 0
        self._choosing = threading.Lock()
        self._chosen: Encoding | None = None
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, "encode") if threads else None
        self._under_way: deque[Future[None]] = deque()
        self._appending = threading.Lock()
        self._only: _RowGroup | None = None
        self._merged: MergedFooter | None = None
        self._scratch = Scratch()
        self._file = HashedFile(path, MAGIC)

    @property
    def waiting_bytes(self) -> int:
        """Bytes of batches that are still to be encoded."""
        return self._gathered_bytes

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows; now and then this takes as long as encoding a row group."""
        if not batch.num_rows:
            return
        with self._gathering:
            full = self._gather(batch)
        if full:
            self._hand_over(full)

    def append(self, path: Path) -> None:
        """Add the row groups of another Parquet file as they are, without decoding them.

        Raises:
            FooterError: it is no Parquet file, or one of another schema.
        """
        with disk_errors(path), path.open("rb") as file:
            footer, body_bytes = read_footer(file)
            with self._appending:
                self._footer().add(footer, self._file.bytes - len(MAGIC))
                file.seek(len(MAGIC))
                for start in range(0, body_bytes, _COPY_BYTES):
                    self._file.write(file.read(min(_COPY_BYTES, body_bytes - start)))

    def close(self) -> WrittenFile:
        """Write what is left and the footer, make the file durable, and say what it is."""
        if self._gathered and self._under_way:
            self._hand_over(self._gathered)
        elif self._gathered:  # this thread would only wait for another
            self._encode(self._gathered)
        while self._under_way:
            self._under_way.popleft().result()
        if self._only is not None:
            rows, end = self._only.rows, ended(self._only.footer)
        else:
            rows, end = self._footer().rows, self._footer().finish()
        self._file.write(end)
        sha256 = self._file.finish()
        self.abandon()
        return WrittenFile(self._file.path.name, rows, self._file.bytes, sha256)

    def abandon(self) -> None:
        """Let go of threads and file, whatever state they are in."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._file.abandon()

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.abandon()

    def _gather(self, batch: pa.RecordBatch) -> Sequence[pa.RecordBatch]:
        """Take the batch in; return the row group that it filled, else nothing."""
        self._gathered.append(batch)
        self._gathered_rows += batch.num_rows
        self._gathered_bytes += batch.nbytes
        if (
            self._gathered_rows < self._row_group_rows
            and self._gathered_bytes < self._row_group_bytes
        ):
            return ()
        full, self._gathered = self._gathered, []
        self._gathered_rows = self._gathered_bytes = 0
        return full

    def _hand_over(self, group: Sequence[pa.RecordBatch]) -> None:
        if self._pool is None:
            self._encode(group)
            return
        with self._gathering:
            while self._under_way and self._under_way[0].done():
                self._under_way.popleft().result()
            busy = len(self._under_way) > self._threads
            if not busy:
                self._under_way.append(self._pool.submit(self._encode, group))
        if busy:
            self._encode(group)

    def _encode(self, group: Sequence[pa.RecordBatch]) -> None:
        rows = pa.Table.from_batches(group)
        if self._finish is not None:
            rows = self._finish(rows)
        same = twins(rows) if len(rows) >= _WORTH_A_CHOICE_ROWS else range(rows.num_columns)
        once = sorted(set(same))
        encoding = self._choose_encoding(rows)
        with self._scratch.encoded(rows.select(once), encoding) as file, self._appending:
            if len(once) < len(same):
                self._append_with_twins(file, [once.index(place) for place in same])
                return
            body, footer = split(file)
            if self._merged is None and self._file.bytes == len(MAGIC):
                self._only = _RowGroup(len(rows), footer.tobytes())
            else:
                self._footer().add(footer, self._file.bytes - len(MAGIC))
            self._file.write(body)

    def _append_with_twins(self, file: memoryview, places: Sequence[int]) -> None:
        """Append a row group that lacks columns; `places` says for each which one it is there."""
        body, footer = split(file)
        columns = list(zip(self.schema.names, places, strict=True))
        moved, end = self._file.bytes - len(MAGIC), len(MAGIC) + len(body)
        ranges = self._footer().add_with_twins(footer, moved, columns, end)
        self._file.write(body)
        for start, end in ranges:
            self._file.write(file[start:end])

    def _footer(self) -> MergedFooter:
        """Return the footer of several row groups; that of a single one needs no reading."""
        if self._merged is None:
            self._merged = MergedFooter(_footer_without_rows(self.schema))
        if self._only is not None:
            self._merged.add(self._only.footer, 0)
            self._only = None
        return self._merged

    def _choose_encoding(self, rows: pa.Table) -> Encoding:
        """Let the first row group decide for all; a choice does not pay for a small file."""
        if rows.num_rows < _WORTH_A_CHOICE_ROWS:
            return Encoding()
        with self._choosing:
            if self._chosen is None:
                self._chosen = suited_encoding(rows)
            return self._chosen


def _footer_without_rows(schema: pa.Schema) -> memoryview:
    _, footer = split(memoryview(encode(schema.empty_table(), Encoding())))
    return footer
