"""Rows that a row is paired with, and rows that came close to it, looked up many at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
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
    most = MOST_ROWS * len(keys)
    found: dict[str, list[Partner]] = {}
    for row in rows_of(evidence.where(output, column, sorted(keys), most, each=MOST_ROWS)):
        found.setdefault(str(row[column]), []).append(_partner(row, side))
    return {key: tuple(some) for key, some in found.items()}


def tied(evidence: Evidence, ties: Collection[str]) -> list[Mapping[str, Any]]:
    """Return the pairs of some ties, `left_key`, `right_key`, `tie` and `rule_name` among them."""
    if not ties:
        return []
    most = MOST_ROWS * len(ties)
    return list(rows_of(evidence.where(AMBIGUOUS, TIE_FIELD.name, sorted(ties), most)))


def one_of_each(evidence: Evidence, side: Side) -> bool:
    """Whether no two rows of a side have the same key, and none has no key."""
    metadata = evidence.metadata
    summary = metadata.left if side is Side.LEFT else metadata.right
    return not summary.duplicate_keys and not summary.null_keys


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where rows are, by side and key; each is looked up once, for that reads whole columns."""

    evidence: Evidence
    _open: dict[tuple[Side, str], list[Row]] = field(default_factory=dict)
    _matches: dict[tuple[Side, str], tuple[Partner, ...]] = field(default_factory=dict)

    def look_up(self, side: Side, keys: Collection[str]) -> None:
        """Find rows of a side."""
        new = sorted({key for key in keys if (side, key) not in self._open})
        if not new:
            return
        alone = one_of_each(self.evidence, side)
        open_: dict[str, list[Row]] = {key: [] for key in new}
        limit, each = MOST_ROWS * len(new), 1 if alone else MOST_ROWS
        output = UNMATCHED[side]
        for row in rows_of(self.evidence.where(output, "record_key", new, limit, each=each)):
            open_[str(row["record_key"])].append(row)
        # A row that is the only one of its key is either unmatched or matched.
        others = [key for key in new if not (alone and open_[key])]
        matches = pairs(self.evidence, MATCHED, side, others)
        for key in new:
            self._open[side, key] = open_[key]
            self._matches[side, key] = matches.get(key, ())

    def open(self, side: Side, key: str) -> list[Row]:
        """Return the unmatched rows with a key that was looked up."""
        return self._open[side, key]

    def matches(self, side: Side, key: str) -> tuple[Partner, ...]:
        """Return the matches of a key that was looked up."""
        return self._matches[side, key]

    def candidate(self, side: Side, key: str) -> Candidate:
        """Return the row with a key that was looked up, with its columns, if it is unmatched."""
        open_, matches = self.open(side, key), self.matches(side, key)
        return Candidate(key, source_row(open_[-1]) if open_ else {}, matches, bool(open_))


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
