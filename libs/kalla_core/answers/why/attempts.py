"""What each pass made of an open row: its key, its candidates, and what kept it from the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kalla_core.answers.near_keys import NearKey, Parts, near_change, parts_not_found
from kalla_core.answers.rows_json import rows_of
from kalla_core.answers.why.change import Rank, smallest_change
from kalla_core.answers.why.partners import MOST_ROWS, Candidate, Partner, one_of_each
from kalla_core.answers.why.told import Failed, failed_conditions
from kalla_core.evidence.names import ATTEMPTS
from kalla_core.evidence.reader import Evidence
from kalla_core.matching.sql.query import Side


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one pass made of an open row.

    Attributes:
        number: of the pass, from 1.
        key: what the row has of what the pass joins by; None where that joins by nothing.
        candidates: rows of the other side that the pass's SQL paired it with, out of those that
            earlier passes had left.
        reason: why this pass did not match it.
        closest: None where no row came close.
        taken_by: the row of the same side that has the closest by this pass.
        ranks: of the row's pair with the closest, and of the pair that took it.
        rivals: rows of the other side that the row is in a tie with by this pass.
        tie: its id, and `tied` all pairs of it, left key and right key.
        change: the end of a sentence; None where nothing is known.
        near: a row that lacks one part of its key; it is the closest then.
    """

    number: int
    name: str
    key: str | None
    candidates: int
    reason: str
    detail: str
    failed: tuple[Failed, ...]
    closest: Candidate | None
    taken_by: str | None
    ranks: tuple[Rank, ...]
    rivals: tuple[Partner, ...]
    tie: str | None
    tied: tuple[tuple[str, str], ...]
    change: str | None
    near: NearKey | None = None


def read_attempts(evidence: Evidence, side: Side, key: str) -> list[dict[str, Any]]:
    """Return what evidence has of a row's passes, in their order; nothing of other evidence."""
    if not evidence.has(ATTEMPTS):
        return []
    passes = evidence.metadata.recipe.get("passes") or []
    names = [str(one.get("name")) for one in passes]
    most = len(names) if names and one_of_each(evidence, side) else 2 * MOST_ROWS
    table = evidence.where(ATTEMPTS, "record_key", [key], most, beside=("side", side.word))
    return sorted(rows_of(table), key=lambda row: _place(names, row))


def _place(names: Sequence[str], row: Mapping[str, Any]) -> int:
    name = str(row["rule_name"])
    return names.index(name) if name in names else len(names)


def attempts(
    rows: Sequence[Mapping[str, Any]],
    closest: Mapping[str, Candidate],
    rivals: Sequence[Partner],
    pairs: Sequence[Mapping[str, Any]],
    near: Mapping[Parts, NearKey],
) -> tuple[Attempt, ...]:
    """Return what passes made of a row.

    Args:
        rows: as `read_attempts` returned them.
        closest: candidates by their key.
        rivals: pairs of ties that the row is in.
        pairs: all pairs of these ties, see `tied`.
        near: rows that lack one part of a key that nobody has.
    """
    order = list(dict.fromkeys(str(row["rule_name"]) for row in rows))
    return tuple(
        _attempt(
            order.index(str(row["rule_name"])) + 1,
            row,
            closest,
            rivals,
            pairs,
            near.get(parts_not_found(row)),
        )
        for row in rows
    )


def _attempt(
    number: int,
    row: Mapping[str, Any],
    closest: Mapping[str, Candidate],
    rivals: Sequence[Partner],
    pairs: Sequence[Mapping[str, Any]],
    near: NearKey | None,
) -> Attempt:
    name, reason = str(row["rule_name"]), str(row["rejection_reason"])
    detail = str(row["reason_detail"] or "")
    failed = failed_conditions(detail)
    candidate = closest.get(row["closest_candidate"] if near is None else near.key)
    mine = tuple(one for one in rivals if one.rule == name)
    tie = mine[0].tie if mine else None
    ranks = tuple(Rank(**one) for one in row["ranks"] or ())
    return Attempt(
        number=number,
        name=name,
        key=row["match_key"],
        candidates=int(row["candidates"]),
        reason=reason,
        detail=detail,
        failed=failed,
        closest=candidate,
        taken_by=row["taken_by"],
        ranks=ranks,
        rivals=mine,
        tie=tie,
        tied=tuple(
            (str(one["left_key"]), str(one["right_key"]))
            for one in pairs
            if (one["tie"], one["rule_name"]) == (tie, name)
        ),
        change=near_change(near)
        if near
        else _earlier(name, row, candidate) or smallest_change(reason, failed, ranks, detail),
        near=near,
    )


def _earlier(name: str, row: Mapping[str, Any], candidate: Candidate | None) -> str | None:
    """Return what would have matched a row whose candidate another pass gave to somebody else."""
    if row["rejection_reason"] != "taken" or row["taken_by"] is not None or candidate is None:
        return None
    takers = [one for one in candidate.taken_by if one.rule != name and one.key is not None]
    if not takers:
        return None
    return f"this pass before {takers[0].rule}, which gives {candidate.key} to {takers[0].key}."
