"""What the joins of a run add up to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kalla_core.matching.query import Side


@dataclass(frozen=True, slots=True)
class MatchingTotals:
    """Rows that entered joins, and distinct rows that are in a pair, per side."""

    joined: Mapping[Side, int]
    matched: Mapping[Side, int]


def add_up(totals: Iterable[MatchingTotals]) -> MatchingTotals:
    """Return the totals of joins that had different rows."""
    listed = list(totals)
    return MatchingTotals(
        {side: sum(total.joined[side] for total in listed) for side in Side},
        {side: sum(total.matched[side] for total in listed) for side in Side},
    )
