"""What became of a row: its matches, or why it has none, and who has its closest candidate."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from kalla_core.answers.rows_json import json_rows
from kalla_core.answers.why.asked import key_columns, key_texts
from kalla_core.answers.why.change import smallest_change
from kalla_core.answers.why.told import Failed, failed_conditions
from kalla_core.errors import InvalidSetting, RowNotFound
from kalla_core.evidence.reader import Evidence
from kalla_core.evidence.schema import (
    AMBIGUOUS,
    GROUP_FIELD,
    MATCHED,
    MATCHED_FIELDS,
    SUGGESTED,
    UNMATCHED,
    UNMATCHED_FIELDS,
)
from kalla_core.matching.query import Side

MOST_ROWS = 50
"""Of one key and one output that are told of."""

Row = Mapping[str, Any]
"""A row as JSON has it: amounts, dates and times are text."""


@dataclass(frozen=True, slots=True)
class Partner:
    """A row of the other side that a row is paired with.

    Attributes:
        key: None where the match is told by its members, whose partner is the group.
        columns: those of the match SQL, and what passes add.
    """

    key: str | None
    match_id: str
    rule: str
    confidence: float | None
    group: str | None
    note: str | None
    columns: Row


@dataclass(frozen=True, slots=True)
class Candidate:
    """The row of the other side that came closest, and where it is now."""

    key: str
    row: Row
    taken_by: tuple[Partner, ...]
    unmatched: bool


@dataclass(frozen=True, slots=True)
class Open:
    """An unmatched row.

    Attributes:
        change: a sentence; None where nothing is known.
    """

    reason: str
    detail: str
    rules: tuple[str, ...]
    row: Row
    failed: tuple[Failed, ...]
    candidate: Candidate | None
    change: str | None


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of the rows of one key on one side.

    Attributes:
        rivals: pairs of ties that the row is in.
        suggested: pairs that wait for a person.
        more: some output has more rows of this key than are told.
    """

    side: Side
    alias: str
    key: str
    matches: tuple[Partner, ...] = ()
    open: tuple[Open, ...] = ()
    rivals: tuple[Partner, ...] = ()
    suggested: tuple[Partner, ...] = ()
    more: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a key; one fate for each side that has it."""

    run_id: str
    asked: tuple[str, ...]
    fates: tuple[Fate, ...]
    aliases: Mapping[Side, str] = field(default_factory=dict)


def side_of(word: str | None) -> Side | None:
    """Return the side that somebody named; None for both.

    Raises:
        InvalidSetting: it is neither `left` nor `right`.
    """
    if word is None:
        return None
    for side in Side:
        if side.word == word:
            return side
    raise InvalidSetting(f"A side is `left` or `right`, not {word!r}.", settings=["--side"])


def why(evidence: Evidence, asked: Sequence[str], side: Side | None = None) -> Answer:
    """Return what became of the rows with a key.

    Args:
        asked: the key as it was typed, see `key_texts`.
        side: the only one to look at.

    Raises:
        RowNotFound: no row has it; the message names one that is spelled like it, if there is.
        InvalidSetting: the key has not as many parts as the primary key.
    """
    sides = tuple(Side) if side is None else (side,)
    aliases = _aliases(evidence)
    texts = _texts(evidence, asked, sides)
    fates = [
        fate for one in texts if (fate := _fate(evidence, one, texts[one], aliases)) is not None
    ]
    if not fates:
        raise _not_found(evidence, asked, texts, aliases)
    return Answer(evidence.metadata.run_id, tuple(asked), tuple(fates), aliases)


def _texts(
    evidence: Evidence, asked: Sequence[str], sides: Sequence[Side]
) -> dict[Side, tuple[str, ...]]:
    """Return the texts of the key on each side whose primary key has as many parts."""
    texts = {}
    refused: InvalidSetting | None = None
    for side in sides:
        try:
            texts[side] = key_texts(asked, key_columns(evidence, side))
        except InvalidSetting as error:
            refused = error
    if not texts and refused is not None:
        raise refused
    return texts


def _fate(
    evidence: Evidence, side: Side, texts: Sequence[str], aliases: Mapping[Side, str]
) -> Fate | None:
    for text in texts:
        matches = _pairs(evidence, MATCHED, side, text)
        left_over = evidence.where(UNMATCHED[side], "record_key", [text], MOST_ROWS)
        if not matches and not len(left_over):
            continue
        open_ = tuple(_open(evidence, side, row) for row in rows_of(left_over))
        rivals, suggested = (
            _pairs(evidence, output, side, text) if open_ else ()
            for output in (AMBIGUOUS, SUGGESTED)
        )
        most = max(map(len, (matches, open_, rivals, suggested)))
        return Fate(side, aliases[side], text, matches, open_, rivals, suggested, most == MOST_ROWS)
    return None


def _open(evidence: Evidence, side: Side, row: dict[str, Any]) -> Open:
    ours = {name: row.pop(name) for name in UNMATCHED_FIELDS.names}
    reason, detail = str(ours["rejection_reason"]), str(ours["reason_detail"] or "")
    failed = failed_conditions(detail)
    closest = ours["closest_candidate"]
    candidate = None if closest is None else _candidate(evidence, side.other, str(closest))
    rules = tuple(map(str, json.loads(ours["attempted_rules"] or "[]")))
    change = smallest_change(reason, failed)
    return Open(reason, detail, rules, row, failed, candidate, change)


def _candidate(evidence: Evidence, side: Side, key: str) -> Candidate:
    taken = _pairs(evidence, MATCHED, side, key)
    found = rows_of(evidence.where(UNMATCHED[side], "record_key", [key], 1))
    row = {name: value for one in found for name, value in one.items()}
    for name in UNMATCHED_FIELDS.names:
        row.pop(name, None)
    return Candidate(key, row, taken, bool(found))


def _pairs(evidence: Evidence, output: str, side: Side, key: str) -> tuple[Partner, ...]:
    if not evidence.has(output):
        return ()
    table = evidence.where(output, f"{side.word}_key", [key], MOST_ROWS)
    return tuple(_partner(row, side) for row in rows_of(table))


def _partner(row: dict[str, Any], side: Side) -> Partner:
    ours = {name: row.pop(name, None) for name in MATCHED_FIELDS.names}
    confidence = ours["confidence"]
    return Partner(
        key=ours[f"{side.other.word}_key"],
        match_id=str(ours["match_id"]),
        rule=str(ours["rule_name"]),
        confidence=confidence if isinstance(confidence, float) else None,
        group=row.pop(GROUP_FIELD.name, None),
        note=row.pop("match_note", None),
        columns=row,
    )


def rows_of(table: pa.Table) -> list[dict[str, Any]]:
    """Return rows as JSON has them, exact."""
    lists = (
        json.loads(b"[" + piece + b"]")
        for batch in table.to_batches()
        for piece in json_rows(batch)
    )
    return [row for rows in lists for row in rows]


def _not_found(
    evidence: Evidence,
    asked: Sequence[str],
    texts: Mapping[Side, Sequence[str]],
    aliases: Mapping[Side, str],
) -> RowNotFound:
    names = " or ".join(aliases[side] for side in texts)
    said = " ".join(asked)
    near = [
        f"{found!r} of {aliases[side]}"
        for side, spelled in texts.items()
        for found in _spelled_alike(evidence, side, spelled[-1])
    ]
    hint = f" There is {' and '.join(near)}." if near else _excluded(evidence, texts)
    return RowNotFound(f"No row of {names} has the key {said!r}.{hint}", key=said)


def _spelled_alike(evidence: Evidence, side: Side, text: str) -> list[str]:
    """Return keys that are the same but for case and blanks around them."""
    outputs = ((MATCHED, f"{side.word}_key"), (UNMATCHED[side], "record_key"))
    found = (evidence.spelled_alike(output, column, text) for output, column in outputs)
    return [one for one in found if one is not None][:1]


def _excluded(evidence: Evidence, sides: Mapping[Side, object]) -> str:
    summaries = {Side.LEFT: evidence.metadata.left, Side.RIGHT: evidence.metadata.right}
    if any(summaries[side].excluded != 0 for side in sides):
        return " Rows that the recipe's filters exclude are not in the evidence."
    return ""


def _aliases(evidence: Evidence) -> dict[Side, str]:
    sources = evidence.metadata.recipe.get("sources", {})
    return {side: str(sources.get(side.word, {}).get("alias", side.word)) for side in Side}
