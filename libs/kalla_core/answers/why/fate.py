"""What became of a row: its matches, or why it has none, and who has its closest candidate."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kalla_core.answers.groups import Group, groups_of
from kalla_core.answers.money import side_columns
from kalla_core.answers.near_keys import NearKey, Parts, near_change, near_keys, parts_not_found
from kalla_core.answers.rows_json import rows_of
from kalla_core.answers.why.asked import key_columns, key_texts
from kalla_core.answers.why.attempts import Attempt, attempts, read_attempts
from kalla_core.answers.why.change import smallest_change
from kalla_core.answers.why.partners import (
    MOST_ROWS,
    Candidate,
    Partner,
    Row,
    Whereabouts,
    pairs,
    source_row,
    tied,
)
from kalla_core.answers.why.told import Failed, failed_conditions
from kalla_core.errors import InvalidSetting, RowNotFound
from kalla_core.evidence.names import AMBIGUOUS, MATCHED, PARTLY, SUGGESTED, UNMATCHED
from kalla_core.evidence.reader import Evidence
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.open_amounts import OPEN_AMOUNT

_GROUP_ROWS = 500
_OF_PARTLY = ("settled_amount", OPEN_AMOUNT)


@dataclass(frozen=True, slots=True)
class Open:
    """An unmatched row.

    Attributes:
        change: a sentence; None where nothing is known.
        near: a row that lacks one part of its key; it is the candidate then.
    """

    reason: str
    detail: str
    rules: tuple[str, ...]
    row: Row
    failed: tuple[Failed, ...]
    candidate: Candidate | None
    change: str | None
    near: NearKey | None = None


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of the rows of one key on one side.

    Attributes:
        rivals: pairs of ties that the row is in.
        suggested: pairs that wait for a person.
        partly: of rows that are matched in part, `open_amount` and `settled_amount`, as texts.
        attempts: what each pass made of it, in their order, if it is open and evidence tells.
        groups: of several rows, that it is matched in.
        more: some output has more rows of this key than are told.
    """

    side: Side
    alias: str
    key: str
    matches: tuple[Partner, ...] = ()
    open: tuple[Open, ...] = ()
    rivals: tuple[Partner, ...] = ()
    suggested: tuple[Partner, ...] = ()
    partly: tuple[Row, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    groups: tuple[Group, ...] = ()
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
    rows = Whereabouts(evidence)
    found = _found(rows, texts)
    if not found:
        raise _not_found(evidence, asked, texts, aliases)
    fates = tuple(_fate(rows, one, aliases[one.side]) for one in found)
    return Answer(evidence.metadata.run_id, tuple(asked), fates, aliases)


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


@dataclass(frozen=True, slots=True)
class _Found:
    """A key that a side has, and what evidence tells of its open rows.

    Attributes:
        closest: keys of the other side.
        near: rows of it that lack one part of a key that nobody has.
    """

    side: Side
    key: str
    tried: list[dict[str, Any]]
    closest: frozenset[str]
    near: Mapping[Parts, NearKey]


def _found(rows: Whereabouts, texts: Mapping[Side, Sequence[str]]) -> list[_Found]:
    """Return the first text of each side that it has; where the closest candidates are as well."""
    found: list[_Found] = []
    for side, some in texts.items():
        wanted = [key for one in found if one.side is side.other for key in one.closest]
        rows.look_up(side, [*some, *wanted])
        for text in some:
            if rows.open(side, text) or rows.matches(side, text):
                found.append(_told(rows, side, text))
                break
    for one in found:
        rows.look_up(one.side.other, one.closest)
    return found


def _told(rows: Whereabouts, side: Side, key: str) -> _Found:
    open_ = rows.open(side, key)
    tried = read_attempts(rows.evidence, side, key) if open_ else []
    told = (*open_, *tried)
    near = near_keys(rows.evidence, side.other, [parts_not_found(row) for row in told])
    closest = [row["closest_candidate"] for row in told]
    closest += [one.key for one in near.values()]
    return _Found(side, key, tried, frozenset(str(one) for one in closest if one is not None), near)


def _fate(rows: Whereabouts, found: _Found, alias: str) -> Fate:
    side, key, evidence = found.side, found.key, rows.evidence
    open_, matches = rows.open(side, key), rows.matches(side, key)
    rivals, suggested = (
        pairs(evidence, output, side, [key]).get(key, ()) for output in (AMBIGUOUS, SUGGESTED)
    )
    closest = {one: rows.candidate(side.other, one) for one in found.closest}
    ties = {one.tie for one in rivals if one.tie is not None and found.tried}
    most = max(map(len, (matches, open_, rivals, suggested)))
    return Fate(
        side=side,
        alias=alias,
        key=key,
        matches=matches,
        open=tuple(_open(row, closest, found.near.get(parts_not_found(row))) for row in open_),
        rivals=rivals,
        suggested=suggested,
        partly=_partly(evidence, side, key),
        attempts=attempts(found.tried, closest, rivals, tied(evidence, ties), found.near),
        groups=_groups(evidence, matches),
        more=most == MOST_ROWS,
    )


def _partly(evidence: Evidence, side: Side, key: str) -> tuple[Row, ...]:
    output = PARTLY[side]
    if not evidence.has(output):
        return ()
    rows = rows_of(evidence.where(output, "record_key", [key], MOST_ROWS))
    return tuple({name: str(row[name]) for name in _OF_PARTLY} for row in rows)


def _open(row: Row, closest: Mapping[str, Candidate], near: NearKey | None) -> Open:
    reason, detail = str(row["rejection_reason"]), str(row["reason_detail"] or "")
    failed = failed_conditions(detail)
    rules = tuple(map(str, json.loads(row["attempted_rules"] or "[]")))
    candidate = closest.get(row["closest_candidate"] if near is None else near.key)
    change = near_change(near) if near else smallest_change(reason, failed, detail=detail)
    return Open(reason, detail, rules, source_row(row), failed, candidate, change, near)


def _groups(evidence: Evidence, matches: Sequence[Partner]) -> tuple[Group, ...]:
    """Return the groups that a row is in, where more than one pair makes them."""
    pairs_only = _rules_of_pairs(evidence.metadata.recipe)
    several = (one for one in matches if one.rule not in pairs_only)
    names = list(dict.fromkeys(one.group for one in several if one.group is not None))
    if not names:
        return ()
    found = groups_of(evidence, names[:MOST_ROWS], side_columns(evidence), _GROUP_ROWS)
    return tuple(one for one in found if len(one.left) + len(one.right) > 2)


def _rules_of_pairs(recipe: Mapping[str, Any]) -> set[str]:
    """Return the names of the passes none of whose matches has a row with two partners."""
    passes = recipe.get("passes") or ()
    return {
        str(one.get("name"))
        for one in passes
        if one.get("cardinality") == "1:1" and one.get("group_by") is None
    }


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
