"""Pairs of rows that have the same key, found by sorting hashes of the keys.

    left   key  hash        right  key  hash          sorted, hash and row in one number
    0      A    7f..        0      B    12..     ->   left   12..1  7f..0
    1      B    12..        1      C    e0..          right  12..0  e0..1

Such a number has as many bits of the hash as the row leaves free. Rows whose hashes are alike have
the same key but for very few, which whoever looks at their values tells apart. Numbers are sorted
in a tenth of the time that a hash table of as many texts is built in, and ranges of hashes are
looked through side by side, where one thread builds a hash table and all others wait for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import pyarrow as pa
from datafusion import col

from kalla_core.engine.failures import query_errors
from kalla_core.engine.keys.hashing import digest
from kalla_core.engine.rows import Bools, IdArray, Ints, Rows
from kalla_core.engine.tasks import Stop, run_all
from kalla_core.fragments.cut import full_rounds
from kalla_core.matching.plans.session import MEMORY_BATCH_ROWS, SessionLimits, new_session
from kalla_core.matching.sql.query import Side
from kalla_core.matching.sql.tables import register_table

_HASHED_IN_A_QUERY = 1 << 18
"""Rows, or more: batches of the spool are small, and each query takes a millisecond to begin."""
_HASHES_AT_ONCE = 1 << 14
"""Of a side in one search: the nearest cache holds them, which takes a third of the time."""
_SEARCHES_AT_ONCE = 16
_ROW_BITS = 32
_PAIRS_AT_ONCE = 1 << 17
"""In a window: about a row group of matched."""
_FEWEST_PAIRS = 1 << 16
"""In a window, where there are more only to keep all threads busy."""
_MOST = (1 << 64) - 1


def pairs_of_one_key(
    left: Rows, right: Rows, most: int, threads: int, stop: Stop
) -> Sequence[tuple[Ints, Ints]] | None:
    """Return the positions of the rows of all pairs that have the same key, in windows.

    By those of the right rows, ascending from window to window. Among them may be a few pairs whose
    keys differ. None if they are too many, as with a key that many rows have.

    Args:
        left: keys and nothing else; null equals nothing.
        right: likewise, of the same types.
        most: of pairs.
    """
    bits = max(left.count, right.count, 1).bit_length()
    if bits > _ROW_BITS:
        return None
    sides = {rows.side: np.empty(rows.count, dtype=np.uint64) for rows in (left, right)}
    hashing = [
        partial(_hash, rows, sides[rows.side], first, end, bits)
        for rows in (left, right)
        for first, end in _worth_a_query(rows)
    ]
    run_all(hashing, threads, stop)
    sorting = [
        (rows.side, partial(_sorted, rows, sides[rows.side], first, end))
        for rows in (left, right)
        for first, end in _pieces(len(rows.batches), threads)
    ]
    found = zip(sorting, run_all([task for _, task in sorting], threads, stop), strict=True)
    ordered: dict[Side, list[IdArray]] = {side: [] for side in sides}
    for (side, _), numbers in found:
        ordered[side].append(numbers)
    ranges = _ranges(ordered[left.side], ordered[right.side], bits)
    groups = [ranges[n : n + _SEARCHES_AT_ONCE] for n in range(0, len(ranges), _SEARCHES_AT_ONCE)]
    alike = run_all([partial(_all_alike, group, bits) for group in groups], threads, stop)
    pairs = sum(one.pairs for group in alike for one in group)
    if pairs > most:
        return None
    ends = _ends_of_windows(right.count, pairs, threads)
    cut = run_all([partial(_pairs_by_window, group, bits, ends) for group in alike], threads, stop)
    windows = run_all(
        [partial(_in_order, parts) for parts in zip(*cut, strict=True)], threads, stop
    )
    return [window for some in windows for window in some]


def _worth_a_query(keys: Rows) -> Iterator[tuple[int, int]]:
    """Yield which batches are hashed together: from the one in a place up to another."""
    first = rows = 0
    for end, batch in enumerate(keys.batches, 1):
        rows += batch.num_rows
        if rows >= _HASHED_IN_A_QUERY or end == len(keys.batches):
            yield first, end
            first, rows = end, 0


def _hash(keys: Rows, numbers: IdArray, first: int, end: int, bits: int) -> None:
    """Set the numbers of the rows of some batches, from the one in a place up to another."""
    table = pa.Table.from_batches(keys.batches[first:end])
    session = new_session(SessionLimits(batch_rows=MEMORY_BATCH_ROWS))
    register_table(session, "keys", table)
    hashed = digest([(col(field.name), field.type) for field in table.schema])
    at = int(keys.starts[first])
    with query_errors():
        for batch in session.table("keys").select(hashed.alias("h")).execute_stream():
            hashes = batch.to_pyarrow().column(0).to_numpy().view(np.uint64)
            mine = slice(at, at + len(hashes))
            numbers[mine] = _high(hashes, bits)
            numbers[mine] |= np.arange(mine.start, mine.stop, dtype=np.uint64)
            at = mine.stop


def _pieces(batches: int, threads: int) -> Iterator[tuple[int, int]]:
    """Cut the batches of a side into pieces: together both sides have one for each thread."""
    ends = np.linspace(0, batches, max(1, min(threads // 2, batches)) + 1).astype(int)
    return pairwise(ends.tolist())


def _sorted(keys: Rows, numbers: IdArray, first: int, end: int) -> IdArray:
    """Return the numbers of rows of some batches without a null in their key, ascending."""
    batches = keys.batches[first:end]
    if not batches:
        return numbers[:0]
    start = int(keys.starts[first])
    found = numbers[start : start + sum(batch.num_rows for batch in batches)]
    if any(column.null_count for batch in batches for column in batch.columns):
        found = found[np.concatenate([_are_whole(batch) for batch in batches])]
    found.sort()
    return found


def _are_whole(keys: pa.RecordBatch) -> Bools:
    valid = [np.asarray(column.is_valid()) for column in keys.columns]
    whole: Bools = np.logical_and.reduce(valid)
    return whole


_Range = tuple[Sequence[IdArray], Sequence[IdArray]]
"""Numbers of left and of right rows in one range of hashes, ascending in each piece of a side."""


def _ranges(ours: Sequence[IdArray], theirs: Sequence[IdArray], bits: int) -> list[_Range]:
    """Cut both by the same ranges of hashes, each with so few that caches hold them."""
    cuts = max(sum(map(len, pieces)) for pieces in (ours, theirs)) // _HASHES_AT_ONCE
    ends = _high(np.arange(1, cuts + 1, dtype=np.uint64) * np.uint64(_MOST // (cuts + 1)), bits)
    left, right = (
        zip(*(np.split(piece, np.searchsorted(piece, ends)) for piece in pieces), strict=True)
        for pieces in (ours, theirs)
    )
    return list(zip(left, right, strict=True))


@dataclass(frozen=True, slots=True)
class _Alike:
    """Rows of one range of hashes.

    Attributes:
        ours: numbers of left rows, ascending.
        theirs: numbers of right rows that have left rows of their hash.
        first: where in `ours` these begin.
        counts: how many they are.
    """

    ours: IdArray
    theirs: IdArray
    first: Ints
    counts: Ints

    @property
    def pairs(self) -> int:
        return int(self.counts.sum())

    def numbers(self, bits: int) -> IdArray:
        """Return the right and the left row of each pair as one number."""
        first, theirs = self.first, _low(self.theirs, bits)
        if self.pairs > len(first):
            ends = np.cumsum(self.counts)
            first = np.repeat(first - (ends - self.counts), self.counts) + np.arange(self.pairs)
            theirs = np.repeat(theirs, self.counts)
        return (theirs << np.uint64(_ROW_BITS)) | _low(self.ours[first], bits)


def _all_alike(ranges: Sequence[_Range], bits: int) -> Sequence[_Alike]:
    return [_alike(_in_one(ours), _in_one(theirs), bits) for ours, theirs in ranges]


def _in_one(pieces: Sequence[IdArray]) -> IdArray:
    if len(pieces) == 1:
        return pieces[0]
    numbers = np.concatenate(pieces)
    numbers.sort()
    return numbers


def _ends_of_windows(rows: int, pairs: int, threads: int) -> IdArray:
    """Return the numbers of right rows, high, at which windows of about as many pairs end."""
    windows = max(1, pairs // _PAIRS_AT_ONCE)
    if pairs > _FEWEST_PAIRS * threads:
        windows = full_rounds(windows, threads)
    ends = np.arange(1, windows, dtype=np.uint64) * np.uint64(rows) // np.uint64(windows)
    return ends << np.uint64(_ROW_BITS)


def _pairs_by_window(found: Sequence[_Alike], bits: int, ends: IdArray) -> list[IdArray]:
    """Return the pairs of some ranges of hashes, cut by right rows."""
    pairs = np.concatenate([one.numbers(bits) for one in found])
    pairs.sort()
    return np.split(pairs, np.searchsorted(pairs, ends))


def _in_order(parts: Sequence[IdArray]) -> list[tuple[Ints, Ints]]:
    """Return the left and right rows of a window, or several if too many pairs are in it."""
    pairs = np.concatenate(parts)
    if len(pairs) == 0:
        return []
    pairs.sort()
    at = _low(pairs, _ROW_BITS).view(np.int64), (pairs >> np.uint64(_ROW_BITS)).view(np.int64)
    pieces = max(1, len(pairs) // _PAIRS_AT_ONCE)
    return list(zip(*(np.array_split(rows, pieces) for rows in at), strict=True))


def _alike(ours: IdArray, theirs: IdArray, bits: int) -> _Alike:
    left, right = ours >> np.uint64(bits), theirs >> np.uint64(bits)
    first = np.searchsorted(left, right)
    there = first < len(left)
    there[there] = left[first[there]] == right[there]
    first, right = first[there], right[there]
    if bool((left[1:] == left[:-1]).any()):
        counts = np.searchsorted(left, right, side="right") - first
    else:
        counts = np.ones(len(first), dtype=np.int64)
    return _Alike(ours, theirs[there], first, counts)


def _low(numbers: IdArray, bits: int) -> IdArray:
    return numbers & np.uint64((1 << bits) - 1)


def _high(numbers: IdArray, bits: int) -> IdArray:
    return numbers & np.uint64(_MOST ^ ((1 << bits) - 1))
