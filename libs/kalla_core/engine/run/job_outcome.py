"""What one run in one process came to, before its commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from kalla_core.engine.keys.key_counts import KeyCounts
from kalla_core.evidence.metadata import WrittenFile
from kalla_core.evidence.reconciled import Reconciliation
from kalla_core.fragments.several import Several
from kalla_core.matching.sql.query import Side


@dataclass(frozen=True, slots=True)
class SideOutcome:
    """What is known of one side at the end; see `SideSummary` of the evidence."""

    records: int
    matched: int
    unmatched: int
    excluded: int | None
    keys: KeyCounts
    several: Several
    identity: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """What a run did; its files lie in the staging folder.

    Attributes:
        joins: how many joins there were of each `Way`.
        groups: matches that rows of matched belong to; None if they do not say to which.
        reconciliation: what passes did; None of a plain join.
    """

    sides: Mapping[Side, SideOutcome]
    extras: Mapping[str, Mapping[str, Any]]
    strategy: str
    files: tuple[WrittenFile, ...]
    durations: Mapping[str, float]
    joins: Mapping[str, int]
    warnings: tuple[str, ...]
    groups: int | None = None
    reconciliation: Reconciliation | None = None


class Closing(Protocol):
    """Outputs that are to be finished; see `EvidenceSinks`."""

    @property
    def matched_rows(self) -> int:
        """Rows of matched written so far."""
        ...

    def close(self) -> tuple[WrittenFile, ...]:
        """Finish all files."""
        ...
