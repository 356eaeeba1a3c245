"""Primary keys that rise strictly from row to row: none is there twice, and none need be hashed.

Ledgers are mostly written in the order of their keys. As long as a part's keys rise, its rows are
only remembered, which costs nothing while they are held in memory anyway, or can be had again
from disk; the census takes their hashes once a key does not rise, or in the end if parts overlap.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.columns import place_of
from kalla_core.matching.sql.query import TableShape

Batches = Sequence[pa.RecordBatch]
Hashing = Callable[[Batches], None]
"""Gives the hashes of the primary keys of some rows to the census."""
OnDisk = Callable[[int], Iterable[Batches]]
"""Yields all rows of a part, given its index, once they went to disk."""


_NUMBER_BYTES = 17
"""For a decimal of 38 digits, or any integer, of either sign."""


class Rise:
    """Watches whether the primary keys of some rows rise strictly; for one thread at a time.

    Attributes:
        goes_on: they did as far as they were seen.
        first, last: of these keys.
        rows: that were seen of them.
    """

    def __init__(self, shape: TableShape) -> None:
        names = shape.schema.names
        places = [place_of(name, names) for name in shape.primary_key]
        self.goes_on = len(places) == 1 and _has_order(shape.schema.field(places[0]).type)
        self.first: Any = None
        self.last: Any = None
        self.rows = 0
        self._place = places[0]

    def add(self, batches: Batches) -> bool:
        """Look at the next rows; return whether the keys still rise."""
        self.goes_on = self.goes_on and all(map(self._rises, batches))
        return self.goes_on

    def range(self) -> tuple[bytes, bytes] | None:
        """Return the first and the last key if they rise and there are any, as a `KeyRange`."""
        if not self.goes_on or not self.rows:
            return None
        return _in_order(self.first), _in_order(self.last)

    def _rises(self, batch: pa.RecordBatch) -> bool:
        keys = batch.column(self._place)
        if keys.null_count:
            return False
        if len(keys) == 0:
            return True
        first = keys[0].as_py()
        if self.rows and not self.last < first:
            return False
        rises = pc.less(keys.slice(0, len(keys) - 1), keys.slice(1))
        if not pc.all(rises, min_count=0).as_py():
            return False
        if not self.rows:
            self.first = first
        self.last = keys[-1].as_py()
        self.rows += len(keys)
        return True


class RisingKeys:
    """Watches the primary keys of one side; safe from any thread.

    Attributes:
        fell: not all keys rise, so that all are to be hashed.
    """

    def __init__(self, shape: TableShape, hashing: Hashing) -> None:
        self.shape = shape
        self.fell = not Rise(shape).goes_on
        self.hashing = hashing
        self._runs: list[Run] = []
        self._lock = threading.Lock()

    def part(self, index: int) -> Run:
        """Return what watches one part; for one thread at a time."""
        run = Run(self, index)
        with self._lock:
            self._runs.append(run)
        return run

    def let_go(self) -> None:
        """Forget the rows of all parts that were read to their end: disk has them, or will."""
        with self._lock:
            ended = [run for run in self._runs if run.ended]
        for run in ended:
            run.forget()

    def finish(self, on_disk: OnDisk) -> None:
        """Hash what is still to be hashed; all parts were read to their end."""
        rises = sorted((r.rise for r in self._runs if r.rise.rows), key=lambda rise: rise.first)
        apart = all(one.last < other.first for one, other in pairwise(rises))
        if self.fell or not apart:
            for run in self._runs:
                run.hash_rest(on_disk)
        self._runs.clear()


class Run:
    """The keys of one part, which rise as far as they were seen.

    Attributes:
        rise: of its keys.
        ended: it was read to its end.
    """

    def __init__(self, keys: RisingKeys, index: int) -> None:
        self.rise = Rise(keys.shape)
        self.ended = False
        self._keys = keys
        self._index = index
        self._hashed = keys.fell
        self._forgotten = False
        self._held: list[Batches] = []
        self._lock = threading.Lock()

    def add(self, batches: Batches, *, in_memory: bool) -> None:
        """Look at the next rows.

        Args:
            in_memory: they are held there anyway, else they are on disk.
        """
        if not self._hashed and not (self._keys.fell or self.rise.add(batches)):
            self._keys.fell = True
        if self._keys.fell and not self._hashed and not self._forgotten:
            self._hash_held()
        if self._hashed:
            self._keys.hashing(batches)
            return
        if in_memory:
            with self._lock:
                self._held.append(batches)
            return
        self.forget()
        self._keys.let_go()

    def end(self, *, in_memory: bool) -> None:
        """Note that there are no more rows."""
        self.ended = True
        if not in_memory:
            self.forget()

    def forget(self) -> None:
        """Let go of rows that are not hashed: if they must be, they are read from disk."""
        with self._lock:
            self._forgotten = not self._hashed
            self._held.clear()

    def hash_rest(self, on_disk: OnDisk) -> None:
        """Hash the keys of all rows that were not; there are no more."""
        if self._forgotten:
            for batches in on_disk(self._index):
                self._keys.hashing(batches)
        elif not self._hashed:
            self._hash_held()

    def _hash_held(self) -> None:
        with self._lock:
            self._hashed = True
            held, self._held = self._held, []
        for batches in held:
            self._keys.hashing(batches)


def _in_order(key: Any) -> bytes:
    """Return bytes that are in the same order as keys of one type are."""
    if isinstance(key, str):
        return key.encode()
    number = key.toordinal() if isinstance(key, date) else key
    if isinstance(number, Decimal):
        sign, digits, _ = number.as_tuple()  # the scale of all is that of their type
        whole = int("".join(map(str, digits)))
        number = -whole if sign else whole
    return int(number + (1 << 8 * _NUMBER_BYTES - 1)).to_bytes(_NUMBER_BYTES, "big")


def _has_order(kind: pa.DataType) -> bool:
    """Whether Python orders values as Arrow does."""
    types = pa.types
    tests = (types.is_string, types.is_integer, types.is_decimal128, types.is_date32)
    return any(test(kind) for test in tests)
