"""Rows of passes by sums whose block is too wide for its pairs to be made; they are counted.

Pairs of a row with more rows than are tried decide nothing, so that a run need not fail for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.assignment.ranks import RankColumn, dense_ranks
from kalla_core.engine.keys.key_values import key_values
from kalla_core.engine.passes.attempts import ByRow
from kalla_core.engine.passes.plan import PlannedPass
from kalla_core.engine.passes.remarks import Remark, Remarks, Said
from kalla_core.engine.passes.sums import exceeded_words
from kalla_core.engine.passes.whole import Whole
from kalla_core.engine.rows import Bools, Ints
from kalla_core.evidence.attempts import RANKS
from kalla_core.functions.moments import days_and_rest, on_one_clock
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.sql.query import MatchQuery, Side
from kalla_core.recipe.passes import Days, OneSide, SubsetSumPass

_DAY = 86_400_000_000  # microseconds
_FAR_DAYS = 50_000_000  # so that microseconds have room, with a window added


@dataclass(frozen=True, slots=True)
class Wide:
    """Rows whose pairs are not made.

    Attributes:
        one: the side whose rows are left out: of each there are too many to be added up.
        pairs: of each row of either side how many are not made.
        most: of each of them how many rows could be added up for one of the other side.
    """

    rule: SubsetSumPass
    one: Side
    pairs: Mapping[Side, ByRow]
    most: Mapping[Side, Ints]

    @property
    def note(self) -> str:
        """A sentence on what was not done."""
        left_out = self.pairs[self.one]
        return (
            f"{len(left_out.rows)} rows of the {self.one.word} could be made of more than "
            f"{self.rule.max_candidates} rows each (`max_candidates`), in blocks so wide that "
            f"their {int(left_out.values.sum())} pairs were not made."
        )

    def over(self, side: Side, remarks: Remarks) -> Remarks:
        """Return what is said of the rows of a side, with what is said of these."""
        mine = self.pairs[side]
        counts, which = np.unique(self.most[side], return_inverse=True)
        start = f"In the pass `{self.rule.name}`: "
        texts = [start + exceeded_words(int(n), self.rule.max_candidates) for n in counts]
        none = pa.nulls(len(mine.rows), pa.string())
        said = Remark(
            Said.SUM_BUDGET_EXCEEDED,
            mine.rows,
            pa.array(texts, pa.string()).take(pa.array(which)),
            none,
            none,
            pa.nulls(len(mine.rows), RANKS),
        )
        every = [*remarks.said, said]
        return replace(remarks, said=every, candidates=remarks.candidates.plus(mine))


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of a side that can be in a pair.

    Attributes:
        places: where they are.
        blocks: which block each is in, equal numbers for equal blocks of both sides.
        moments: in microseconds; 0 where there is no window.
    """

    places: Ints
    blocks: Ints
    moments: Ints

    def some(self, kept: Bools) -> _Rows:
        """Return the rows that are marked."""
        return _Rows(self.places[kept], self.blocks[kept], self.moments[kept])


def wide_rows(one: PlannedPass, whole: Whole, most_pairs: int) -> Wide | None:
    """Return what a pass by sums leaves out so as to make fewer pairs than a bound.

    Blocks of the most pairs come first, and only as many as it takes; none of them is chosen by
    its name. None if that is not enough, or if the pass has keys other than its block.
    """
    rule = one.rule
    if not isinstance(rule, SubsetSumPass):
        return None
    if len(one.planned.reason_keys) != len(set(rule.block)):
        return None
    side = Side.RIGHT if rule.one is OneSide.RIGHT else Side.LEFT
    rows = _rows(one, rule, whole)
    apart = _apart(rule.days, side)
    counts = _within(rows[side], rows[side.other], *apart)
    spare = int(counts.sum()) - most_pairs
    many = counts > rule.max_candidates
    blocks: Ints = np.zeros(int(rows[side].blocks.max(initial=-1)) + 1, dtype=np.int64)
    np.add.at(blocks, rows[side].blocks[many], counts[many])
    ahead = np.sort(blocks)[::-1]
    needed = int(np.searchsorted(np.cumsum(ahead), spare))
    if needed == len(ahead):
        return None
    many &= blocks[rows[side].blocks] >= ahead[needed]
    left_out = rows[side].some(many)
    back = _within(rows[side.other], left_out, -apart[1], -apart[0])
    others, met = rows[side.other].some(back > 0), back[back > 0]
    largest: Ints = np.zeros(len(blocks), dtype=np.int64)
    np.maximum.at(largest, left_out.blocks, counts[many])
    return Wide(
        rule,
        side,
        {side: _by_row(left_out, counts[many]), side.other: _by_row(others, met)},
        {
            side: counts[many][np.argsort(left_out.places)],
            side.other: largest[others.blocks[np.argsort(others.places)]],
        },
    )


def _by_row(rows: _Rows, values: Ints) -> ByRow:
    order = np.argsort(rows.places)
    return ByRow(rows.places[order], values[order])


def _rows(one: PlannedPass, rule: SubsetSumPass, whole: Whole) -> Mapping[Side, _Rows]:
    """Return the rows of both sides that no pass has consumed and that have all that is asked."""
    keys: dict[Side, pa.Table] = {}
    moments: dict[Side, pa.Array] = {}
    places: dict[Side, Ints] = {}
    session, query = new_session(), one.planned.query
    for side in Side:
        free, kept = whole.left_over(side), [np.zeros(0, dtype=np.int64)]
        named = rule.days and (rule.days.left if side is Side.LEFT else rule.days.right)
        found_keys, column = [], []
        for batch, where in chain([_none(query, side)], whole.batches(side)):
            some = batch.filter(pa.array(free[where]))
            found_keys.append(key_values(query, one.planned.reason_keys, side, [some], session))
            kept.append(where[free[where]])
            column += [some.column(named)] if named else []
        places[side], keys[side] = np.concatenate(kept), pa.concat_tables(found_keys)
        if named:
            moments[side] = pa.chunked_array(column).combine_chunks()
    if moments:
        moments = dict(zip(Side, on_one_clock(*moments.values()), strict=True))
    every = pa.concat_tables([keys[side] for side in Side])
    codes = dense_ranks([RankColumn(column) for column in every.columns], every.num_rows)
    found: dict[Side, _Rows] = {}
    start = 0
    for side in Side:
        count = len(places[side])
        known = np.ones(count, dtype=np.bool_)
        for column in keys[side].columns:
            known &= column.is_valid().to_numpy()
        when: Ints = np.zeros(count, dtype=np.int64)
        if moments:
            known &= pc.is_valid(moments[side]).to_numpy(zero_copy_only=False)
            days, rest = days_and_rest(moments[side])
            when = np.clip(days, -_FAR_DAYS, _FAR_DAYS) * _DAY + rest // 1000
        found[side] = _Rows(places[side], codes[start : start + count], when).some(known)
        start += count
    return found


def _none(query: MatchQuery, side: Side) -> tuple[pa.RecordBatch, Ints]:
    """Return no rows of a side, and where they are."""
    empty = pa.RecordBatch.from_pylist([], schema=query.side(side).schema)
    return empty, np.zeros(0, dtype=np.int64)


def _apart(days: Days | None, one: Side) -> tuple[int, int]:
    """Return how far the other side's rows may be from one of a side, in microseconds."""
    if days is None:
        return 0, 0
    # What is left of a day does not count, in either direction.
    least = days.least * _DAY if days.least > 0 else (days.least - 1) * _DAY + 1
    most = days.most * _DAY if days.most < 0 else (days.most + 1) * _DAY - 1
    return (least, most) if one is Side.LEFT else (-most, -least)


def _within(rows: _Rows, others: _Rows, least: int, most: int) -> Ints:
    """Return for each row how many others lie in its block, from `least` to `most` after it."""
    first, last = rows.moments + least, rows.moments + most
    _, dense = np.unique(np.concatenate([others.moments, first, last]), return_inverse=True)
    width = len(dense) + 1
    at, low, high = np.split(dense, [len(others.moments), len(others.moments) + len(first)])
    there = np.sort(others.blocks * width + at)
    end = np.searchsorted(there, rows.blocks * width + high, side="right")
    found: Ints = end - np.searchsorted(there, rows.blocks * width + low, side="left")
    return found
