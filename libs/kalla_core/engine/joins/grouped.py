"""Rows of matched that say in which match they are: keys as text, and the id of each group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.engine.rows import IdArray, Ints, Rows
from kalla_core.evidence.keys import GroupTexts, group_ids, key_text
from kalla_core.matching.row_ids.members import Matches
from kalla_core.matching.row_ids.named import changes
from kalla_core.matching.sql.query import Side

_ROWS_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True)
class OneSide:
    """A side of rows of matched, in their order; both are null where the row has none of it.

    Attributes:
        numbers: of the source rows, uint64.
        texts: of their primary keys, string; may be null besides.
    """

    numbers: pa.Array
    texts: pa.Array


@dataclass(frozen=True, slots=True)
class GroupedPiece:
    """Some rows of matched, arrays of one length.

    Attributes:
        start, end: which rows of all they are.
        ids: string, never null.
        begun: matches of which these are the first rows.
    """

    start: int
    end: int
    left_key: pa.Array
    right_key: pa.Array
    ids: pa.Array
    begun: int


@dataclass(frozen=True, slots=True)
class GroupedRows:
    """Rows of matched, each match with all its rows.

    Attributes:
        match: number of the match, int64, ascending from 0.
    """

    match: Ints
    left: OneSide
    right: OneSide

    def pieces(self) -> Iterator[GroupedPiece]:
        """Yield the rows with the ids of their matches, some at a time."""
        if len(self.match) == 0:
            return
        ids = self._ids()
        begins = np.flatnonzero(np.diff(self.match, prepend=-1))
        for start in range(0, len(self.match), _ROWS_AT_ONCE):
            end = min(start + _ROWS_AT_ONCE, len(self.match))
            yield GroupedPiece(
                start=start,
                end=end,
                left_key=self.left.texts[start:end],
                right_key=self.right.texts[start:end],
                ids=ids.take(pa.array(self.match[start:end])),
                begun=int(np.count_nonzero((begins >= start) & (begins < end))),
            )

    def members(self, side: Side) -> IdArray:
        """Return the numbers of the rows of a side, each once per match that it is in."""
        one = self._side(side)
        numbers: IdArray = one.numbers.take(pa.array(self._first(one))).to_numpy()
        return numbers

    def _ids(self) -> pa.Array:
        left, right = (self._texts(one) for one in (self.left, self.right))
        return group_ids(left, right, int(self.match[-1]) + 1)

    def _texts(self, one: OneSide) -> GroupTexts:
        at = self._first(one)
        return GroupTexts(self.match[at], one.texts.take(pa.array(at)))

    def _first(self, one: OneSide) -> Ints:
        """Return where each member of a match stands for the first time."""
        there = np.flatnonzero(one.numbers.is_valid().to_numpy(zero_copy_only=False))
        match, numbers = self.match[there], one.numbers.drop_null().to_numpy()
        if (match[1:] > match[:-1]).all():
            return there
        order = np.lexsort((numbers, match))
        match, numbers = match[order], numbers[order]
        first: Ints = there[order[changes(match, numbers)]]
        return first

    def _side(self, side: Side) -> OneSide:
        return self.left if side is Side.LEFT else self.right


def in_memory(found: Matches, left: Rows, right: Rows) -> GroupedRows:
    """Return the rows of matches among rows in memory."""
    return GroupedRows(found.match, _looked_up(left, found.left), _looked_up(right, found.right))


def _looked_up(rows: Rows, numbers: pa.Array) -> OneSide:
    there = numbers.drop_null().to_numpy()
    texts = key_text(rows.keys(rows.positions(there)))
    if numbers.null_count:
        valid = numbers.is_valid().to_numpy(zero_copy_only=False)
        texts = texts.take(pa.array(np.cumsum(valid) - 1, mask=~valid))
    return OneSide(numbers, texts)


def of_columns(
    match: Ints, numbers: list[pa.Array], left_key: list[pa.Array], right_key: list[pa.Array]
) -> GroupedRows:
    """Return the rows of matches whose keys stand beside them.

    Args:
        match: ascending, from any number.
        numbers: of the rows of both sides.
        left_key: the columns of the primary key; they say nothing where there is no number.
        right_key: likewise.
    """
    left, right = (
        OneSide(one, pc.if_else(one.is_valid(), key_text(key), pa.scalar(None, pa.string())))
        for one, key in zip(numbers, (left_key, right_key), strict=True)
    )
    return GroupedRows(np.cumsum(np.diff(match, prepend=match[:1]) != 0), left, right)


def whole_matches(
    batches: Iterable[pa.RecordBatch], place: int, least_bytes: int
) -> Iterator[pa.Table]:
    """Yield the same rows with all of a match together, `least_bytes` at a time or more.

    Args:
        batches: not empty, sorted by the number of the match.
        place: of the column with that number.
    """
    held: list[pa.RecordBatch] = []
    held_bytes = 0
    for batch in batches:
        match = batch.column(place).to_numpy()
        last = int(np.searchsorted(match, match[-1]))
        if held and held_bytes + batch.nbytes >= least_bytes and match[-1] != _last(held, place):
            yield pa.Table.from_batches([*held, batch.slice(0, last)])
            held, held_bytes, batch = [], 0, batch.slice(last)
        held.append(batch)
        held_bytes += batch.nbytes
    if held:
        yield pa.Table.from_batches(held)


def _last(held: list[pa.RecordBatch], place: int) -> int:
    number: int = held[-1].column(place)[-1].as_py()
    return number
