"""The candidates of one pass, with all that is written of them: held, or on disk once many.

A batch has the columns of the pass's SQL, the primary keys of both sides, what the rules look at
of both rows (`Looked`), and where the rows are, counted through; columns are known by position.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from kalla_core.engine.rows import Ints
from kalla_core.evidence.keys import key_text
from kalla_core.matching.sql.query import Side


@dataclass(frozen=True, slots=True)
class Looked:
    """Columns of the sources that the rules of a recipe look at in a pair, in this order."""

    columns: tuple[tuple[Side, str], ...] = ()

    def place(self, side: Side, name: str) -> int:
        """Return which of them a column is."""
        return self.columns.index((side, name))


@dataclass(frozen=True, slots=True)
class Shape:
    """How many columns of each kind a batch of candidates has."""

    output: int
    left_key: int
    right_key: int
    looked: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A batch of candidates, and which of all of them its rows are."""

    shape: Shape
    batch: pa.RecordBatch
    start: int

    @property
    def count(self) -> int:
        """Rows of the batch."""
        return int(self.batch.num_rows)

    @property
    def output(self) -> list[pa.Array]:
        """The columns of the SQL."""
        return list(self.batch.columns[: self.shape.output])

    def key(self, side: Side) -> list[pa.Array]:
        """Return the columns of the primary key of a side."""
        start = self.shape.output + (0 if side is Side.LEFT else self.shape.left_key)
        count = self.shape.left_key if side is Side.LEFT else self.shape.right_key
        return list(self.batch.columns[start : start + count])

    def looked(self, place: int) -> pa.Array:
        """Return a column that the rules look at."""
        shape = self.shape
        return self.batch.column(shape.output + shape.left_key + shape.right_key + place)

    def places(self, side: Side) -> Ints:
        """Return where the rows of a side are."""
        index = self.batch.num_columns - (2 if side is Side.LEFT else 1)
        found: Ints = self.batch.column(index).to_numpy()
        return found

    def filter(self, kept: pa.Array) -> Piece:
        """Return the candidates that are marked."""
        return Piece(self.shape, self.batch.filter(kept), self.start)


class Found:
    """Takes candidates from joins in several threads; gives them back in the order they came.

    Args:
        path: for what does not fit into memory; its folder exists.
        most_bytes: that are held.
    """

    def __init__(self, shape: Shape, path: Path, most_bytes: int) -> None:
        self._shape = shape
        self._path = path
        self._most = most_bytes
        self._held: list[pa.RecordBatch] = []
        self._bytes = 0
        self._writer: pa.ipc.RecordBatchFileWriter | None = None
        self._reader: pa.ipc.RecordBatchFileReader | None = None
        self._lock = threading.Lock()
        self.count = 0

    @property
    def held_bytes(self) -> int:
        """Bytes of memory that the candidates take."""
        return self._bytes if self._writer is None else 0

    def add(
        self,
        output: Sequence[pa.Array],
        keys: tuple[Sequence[pa.Array], Sequence[pa.Array]],
        looked: Sequence[pa.Array],
        places: tuple[Ints, Ints],
    ) -> None:
        """Take some candidates."""
        columns = [*output, *keys[0], *keys[1], *looked, *map(pa.array, places)]
        batch = pa.record_batch(columns, names=[f"c{n}" for n in range(len(columns))])
        if not batch.num_rows:
            return
        with self._lock:
            self.count += batch.num_rows
            self._bytes += batch.nbytes
            if self._writer is None and self._bytes <= self._most:
                self._held.append(batch)
                return
            self._spill(batch)

    def _spill(self, batch: pa.RecordBatch) -> None:
        if self._writer is None:
            self._writer = pa.ipc.new_file(str(self._path), batch.schema)
            for held in self._held:
                self._writer.write_batch(held)
            self._held.clear()
        self._writer.write_batch(batch)

    def pieces(self) -> Iterator[Piece]:
        """Yield all candidates; none is added any more."""
        start = 0
        for batch in self._batches():
            yield Piece(self._shape, batch, start)
            start += batch.num_rows

    def _batches(self) -> Iterator[pa.RecordBatch]:
        if self._writer is None:
            yield from self._held
            return
        if self._reader is None:
            self._writer.close()
            self._reader = pa.ipc.open_file(pa.OSFile(str(self._path)))
        for index in range(self._reader.num_record_batches):
            yield self._reader.get_batch(index)

    def close(self) -> None:
        """Let go of all candidates."""
        self._held.clear()
        if self._writer is not None:
            self._writer.close()
            self._path.unlink(missing_ok=True)

    def column(self, place: int) -> pa.ChunkedArray:
        """Return one column of the SQL of all candidates, of which there is at least one."""
        return pa.chunked_array([piece.output[place] for piece in self.pieces()])

    def looked(self, place: int) -> pa.ChunkedArray:
        """Return a column that the rules look at, of all candidates, at least one."""
        return pa.chunked_array([piece.looked(place) for piece in self.pieces()])

    def places(self, side: Side) -> Ints:
        """Return where the rows of a side are, of all candidates."""
        none = np.zeros(0, dtype=np.int64)
        return np.concatenate([none, *(piece.places(side) for piece in self.pieces())])

    def keys(self, side: Side, wanted: Ints) -> pa.Array:
        """Return the text of the primary key of a side for some candidates, as they are wanted."""
        order = np.argsort(wanted, kind="stable")
        ahead = wanted[order]
        texts = [pa.array([], pa.string())]
        for piece in self.pieces():
            first, end = np.searchsorted(ahead, [piece.start, piece.start + piece.count])
            if first < end:
                at = pa.array(ahead[first:end] - piece.start)
                texts.append(key_text([column.take(at) for column in piece.key(side)]))
        back = np.empty(len(order), dtype=np.int64)
        back[order] = np.arange(len(order))
        return pa.concat_arrays(texts).take(pa.array(back))
