"""Fragments as data: what to scan, what to join, what to settle.

A run is a few stages of fragments. `scan` fragments read one part each. `join` fragments run the
match SQL over some buckets of both sides. Where one join alone cannot tell which rows stay
unmatched (a replicated side, or a query that cannot be cut up), `settle` fragments decide it
bucket by bucket from the matched rows of all joins.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kalla_core.matching.sql.query import Side
from kalla_core.sources.protocol import Part


class Hold(StrEnum):
    """Where the rows of a run wait between scan and join."""

    MEMORY = "memory"
    SPOOL = "spool"


@dataclass(frozen=True, slots=True)
class ScanFragment:
    """Read one part of one side and hold its rows by bucket."""

    side: Side
    part: Part


@dataclass(frozen=True, slots=True)
class JoinFragment:
    """Run the match SQL over these buckets of both sides, joined as one.

    Attributes:
        whole: sides that are taken whole instead, whatever the buckets.
    """

    buckets: tuple[int, ...]
    whole: frozenset[Side] = frozenset()


@dataclass(frozen=True, slots=True)
class SettleFragment:
    """Write the unmatched rows of these buckets, given which rows the joins matched."""

    buckets: tuple[int, ...]
