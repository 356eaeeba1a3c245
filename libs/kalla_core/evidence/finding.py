"""A reason on one side of a run, as people are told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kalla_core.matching.sql.query import Side


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason on one side.

    Attributes:
        reason: the code, as in `rejection_reason`.
        rows: how many rows of the side have it.
        key: `record_key` of the first of them.
        detail: its `reason_detail`.
    """

    reason: str
    rows: int
    key: str
    detail: str


Findings = Mapping[Side, tuple[Finding, ...]]
"""All reasons of a run, the most frequent of each side first."""
