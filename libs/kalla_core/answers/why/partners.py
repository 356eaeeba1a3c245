"""Rows that a row is paired with, and rows that came close to it, looked up many at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from kalla_core.answers.rows_json import rows_of
from kalla_core.evidence.names import AMBIGUOUS, MATCHED, UNMATCHED
from kalla_core.evidence.reader import Evidence
from kalla_core.evidence.schema import (
    GROUP_FIELD,
    MATCHED_FIELDS,
    NOTE_FIELD,
    TIE_FIELD,
    UNMATCHED_FIELDS,
)
from kalla_core.matching.sql.query import Side

MOST_ROWS = 50
"""Of one key and one output that are told of."""

Row = Mapping[str, Any]
"""A row as JSON has it: amounts, dates and times are text."""


@dataclass(frozen=True, slots=True)
class Partner:
    """A row of the other side that a row is paired with.

    Attributes:
        key: None where the match is told by its members, whose partner is the group.
        tie: that the pair competed in; None where it did not, or the output does not say.
        columns: those of the match SQL, and what passes add.
    """

    key: str | None
    match_id: str
    rule: str
    confidence: float | None
    group: str | None
    note: str | None
    tie: str | None
    columns: Row


@dataclass(frozen=True, slots=True)
class Candidate:
    """The row of the other side that came closest, and where it is now."""

    key: str
    row: Row
    taken_by: tuple[Partner, ...]
    unmatched: bool


def pairs(
    evidence: Evidence, output: str, side: Side, keys: Collection[str]
) -> dict[str, tuple[Partner, ...]]:
    """Return for each key of a side the pairs of an output that it is in, some of them."""
    if not keys or not evidence.has(output):
        return {}
    column = f"{side.word}_key"
    found: dict[str, list[Partner]] = {}
    for row in rows_of(evidence.where(output, column, sorted(keys), MOST_ROWS * len(keys))):
        some = found.setdefault(str(row[column]), [])
        if len(some) < MOST_ROWS:
            some.append(_partner(row, side))
    return {key: tuple(some) for key, some in found.items()}


def tied(evidence: Evidence, ties: Collection[str]) -> list[Mapping[str, Any]]:
    """Return the pairs of some ties, `left_key`, `right_key`, `tie` and `rule_name` among them."""
    if not ties:
        return []
    most = MOST_ROWS * len(ties)
    return list(rows_of(evidence.where(AMBIGUOUS, TIE_FIELD.name, sorted(ties), most)))


def candidates(evidence: Evidence, side: Side, keys: Collection[str]) -> dict[str, Candidate]:
    """Return where rows of a side are, by key: with their columns, where they are unmatched."""
    if not keys:
        return {}
    taken = pairs(evidence, MATCHED, side, keys)
    table = evidence.where(UNMATCHED[side], "record_key", sorted(keys), MOST_ROWS * len(keys))
    open_ = {str(row["record_key"]): source_row(row) for row in rows_of(table)}
    return {
        key: Candidate(key, open_.get(key, {}), taken.get(key, ()), key in open_) for key in keys
    }


def source_row(row: Row) -> dict[str, Any]:
    """Return the columns of the source in a row of an unmatched output."""
    return {name: value for name, value in row.items() if name not in UNMATCHED_FIELDS.names}


def _partner(row: dict[str, Any], side: Side) -> Partner:
    ours = {name: row.pop(name, None) for name in MATCHED_FIELDS.names}
    confidence = ours["confidence"]
    return Partner(
        key=ours[f"{side.other.word}_key"],
        match_id=str(ours["match_id"]),
        rule=str(ours["rule_name"]),
        confidence=confidence if isinstance(confidence, float) else None,
        group=row.pop(GROUP_FIELD.name, None),
        note=row.pop(NOTE_FIELD.name, None),
        tie=row.pop(TIE_FIELD.name, None),
        columns=row,
    )
