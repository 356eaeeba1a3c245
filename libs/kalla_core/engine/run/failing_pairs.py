"""The pair of source rows on which an expression over both sides fails.

Of all pairs that may have met it is the one of the smallest primary key on the left and, among
those, on the right. Pairs meet by the equality keys of a rule, or all with all where it has none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from datafusion import Expr

from kalla_core.engine.keys.codes import NONE, key_codes
from kalla_core.engine.keys.key_values import key_values
from kalla_core.engine.rows import Ints, one_chunk
from kalla_core.engine.run.failing import (
    by_columns,
    first_failing,
    guards,
    numbered,
    reason_of,
    that_hold,
)
from kalla_core.matching.keys.keys import KeyComponent, key_name
from kalla_core.matching.plans.fallible import OfPair
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.planned import Planned

_PAIRS_AT_ONCE = 1 << 16
_MOST_PAIRS = 1 << 24
"""How many pairs are looked at; a few seconds for what the message is better by."""


@dataclass(frozen=True, slots=True)
class FailingPair:
    """A pair on which an expression fails, each row a table of one.

    Attributes:
        unwanted: the match SQL asks for something else that the pair is not.
        rank: of the expression among those that were asked about.
    """

    unwanted: bool
    rank: int
    rows: Mapping[Side, pa.Table]


class FailingPairs:
    """Looks for pairs among rows in memory.

    Args:
        planned: whose rules say which rows meet.
        rows: all of both sides.
    """

    def __init__(self, planned: Planned, rows: Mapping[Side, pa.Table]) -> None:
        self._planned = planned
        self._rows = {
            side: by_columns(table, planned.query.side(side).primary_key)
            for side, table in rows.items()
        }

    def first(self, asked: Sequence[OfPair]) -> FailingPair | None:
        """Return the pair to be named: a wanted one, of the first expression that fails on any."""
        best: tuple[bool, int, int, int] | None = None
        for rule in self._planned.rules:
            for chunk in self._met(rule.keys):
                for unwanted, left, right in self._parted(*chunk):
                    for rank, one in enumerate(asked):
                        if best is not None and (unwanted, rank) > best[:2]:
                            break
                        place = self._place(one, left, right)
                        if place is None:
                            continue
                        found = (unwanted, rank, int(left[place]), int(right[place]))
                        best = found if best is None else min(best, found)
                        break
                if best is not None and best[:2] == (False, 0):
                    break  # what follows has larger keys
        if best is None:
            return None
        places = dict(zip(Side, best[2:], strict=True))
        rows = {side: self._rows[side].slice(place, 1) for side, place in places.items()}
        return FailingPair(*best[:2], rows)

    def reason(self, one: OfPair, part: Expr, rows: Mapping[Side, pa.Table]) -> str | None:
        """Return why a part of an expression fails on some of these pairs; None if it does not."""
        return reason_of(lambda: one.over(numbered(self._planned, rows), part))

    def _place(self, one: OfPair, left: Ints, right: Ints) -> int | None:
        def reason(low: int, high: int) -> str | None:
            return self.reason(one, one.expr, self._taken(left[low:high], right[low:high]))

        found = first_failing(len(left), reason)
        return None if found is None else found.place

    def _parted(self, left: Ints, right: Ints) -> Iterator[tuple[bool, Ints, Ints]]:
        """Yield the pairs for which all holds that cannot fail, then the others."""
        rule = guards(self._planned, *Side)
        held = that_hold(self._planned, rule, self._taken(left, right)) if len(left) else None
        if held is None:
            yield False, left, right
            return
        yield False, left[held], right[held]
        yield True, left[~held], right[~held]

    def _taken(self, left: Ints, right: Ints) -> Mapping[Side, pa.Table]:
        return {
            side: self._rows[side].take(pa.array(places))
            for side, places in zip(Side, (left, right), strict=True)
        }

    def _met(self, keys: Sequence[KeyComponent]) -> Iterator[tuple[Ints, Ints]]:
        """Yield the places of rows that meet, by the place on the left, some pairs at a time."""
        ours, theirs = self._codes(keys)
        order = np.argsort(theirs, kind="stable")
        ordered = theirs[order]
        low = np.searchsorted(ordered, ours, side="left")
        counts = np.searchsorted(ordered, ours, side="right") - low
        counts[ours == NONE] = 0
        ends = np.cumsum(counts)
        start, looked_at = 0, 0
        while start < len(ours) and looked_at < _MOST_PAIRS:
            before = int(ends[start - 1]) if start else 0
            end = max(int(np.searchsorted(ends, before + _PAIRS_AT_ONCE, side="right")), start + 1)
            some = counts[start:end]
            left = np.repeat(np.arange(start, end), some)
            nth = np.arange(len(left)) - np.repeat(np.cumsum(some) - some, some)
            yield left, order[np.repeat(low[start:end], some) + nth]
            start, looked_at = end, looked_at + len(left)

    def _codes(self, keys: Sequence[KeyComponent]) -> tuple[Ints, Ints]:
        """Number the keys of both sides alike; where there are none all rows have the same."""
        if not keys:
            ours, theirs = (np.zeros(len(self._rows[side]), dtype=np.int64) for side in Side)
            return ours, theirs
        names = [key_name(n) for n in range(len(keys))]
        left, right = (self._keys(side, keys) for side in Side)
        wanted = [one_chunk(left.column(name)) for name in names]
        offered = [right.column(name) for name in names]
        return key_codes(wanted, offered, [key.null_safe for key in keys])

    def _keys(self, side: Side, keys: Sequence[KeyComponent]) -> pa.Table:
        return key_values(self._planned.query, keys, side, self._rows[side].to_batches())
