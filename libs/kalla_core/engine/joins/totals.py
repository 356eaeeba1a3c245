"""What the joins of a run add up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from kalla_core.fragments.crowd import Crowd, largest
from kalla_core.fragments.several import Several, together
from kalla_core.matching.sql.query import Side


class Way(StrEnum):
    """How rows came to be joined; see `matching_stage`."""

    WHOLE = "whole"
    SIDE_BY_SIDE = "side_by_side"
    ALONE = "alone"
    DIVIDED = "divided"
    AGAINST_WHOLE = "against_whole"
    FROM_DISK = "from_disk"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class MatchingTotals:
    """Rows that entered joins, and distinct rows that are in a pair, per side.

    Attributes:
        several: rows that are in two pairs or more.
        ways: how many joins there were of each kind.
        crowds: the largest of them.
    """

    joined: Mapping[Side, int]
    matched: Mapping[Side, int]
    several: Mapping[Side, Several]
    ways: Mapping[Way, int] = field(default_factory=dict)
    crowds: tuple[Crowd, ...] = ()


def add_up(totals: Iterable[MatchingTotals]) -> MatchingTotals:
    """Return the totals of joins that had different rows."""
    listed = list(totals)
    ways: Counter[Way] = Counter()
    for total in listed:
        ways.update(total.ways)
    return MatchingTotals(
        {side: sum(total.joined[side] for total in listed) for side in Side},
        {side: sum(total.matched[side] for total in listed) for side in Side},
        {side: together(total.several[side] for total in listed) for side in Side},
        dict(ways),
        largest(crowd for total in listed for crowd in total.crowds),
    )
