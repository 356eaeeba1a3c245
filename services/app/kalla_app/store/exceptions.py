"""Decisions as they are kept: a list per exception that only grows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from kalla_app.exceptions.life import Decision, Kind, State
from kalla_app.store.tables import DECIDING, DECISIONS
from kalla_core.moments import micros, moment_of

_AT_ONCE = 500
"""Names in one query; SQLite takes 32 766 at most."""

# Made once: to make a query takes longer than to answer it.
_OF = select(DECISIONS).order_by(DECISIONS.c.number)
_OF_SOME = _OF.where(DECISIONS.c.exception_id.in_(bindparam("ids", expanding=True)))
_OF_RECIPE = _OF.where(DECISIONS.c.recipe_id == bindparam("recipe_id"))
_LASTS = (
    select(DECISIONS.c.recipe_id, func.max(DECISIONS.c.number))
    .where(DECISIONS.c.recipe_id.in_(bindparam("recipe_ids", expanding=True)))
    .group_by(DECISIONS.c.recipe_id)
)


@dataclass(frozen=True, slots=True)
class Subject:
    """The row that an exception is about: by its key, in one side of a recipe."""

    recipe_id: str
    side: str
    record_key: str

    @property
    def exception_id(self) -> str:
        """Its name, the same in every run."""
        named = json.dumps([self.recipe_id, self.side, self.record_key])
        return hashlib.sha256(named.encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class Kept:
    """A decision, what it is about, and the run it was taken in."""

    subject: Subject
    run_id: str
    decision: Decision


async def hold(connection: AsyncConnection) -> None:
    """Let others that decide wait until this transaction has ended."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text(f"SELECT pg_advisory_xact_lock({DECIDING})"))


async def add(connection: AsyncConnection, kept: Sequence[Kept]) -> None:
    """Add decisions behind those that there are."""
    query = select(func.coalesce(func.max(DECISIONS.c.number), 0))
    last = int((await connection.execute(query)).scalar_one())
    rows = [
        {
            "number": last + place,
            "exception_id": one.subject.exception_id,
            "recipe_id": one.subject.recipe_id,
            "side": one.subject.side,
            "record_key": one.subject.record_key,
            "run_id": one.run_id,
            "who": one.decision.who,
            "at": micros(one.decision.at),
            "state": None if one.decision.state is None else one.decision.state.value,
            "owner": one.decision.owner,
            "reason_code": one.decision.reason_code,
            "note": one.decision.note,
            "match_group": one.decision.group,
            "undo": int(one.decision.undo),
            "kind": one.decision.kind.value,
            "until": one.decision.until,
        }
        for place, one in enumerate(kept, 1)
    ]
    await connection.execute(insert(DECISIONS), rows)


async def of(connection: AsyncConnection, ids: Sequence[str]) -> dict[str, list[Kept]]:
    """Return all decisions about some exceptions, by exception, in order."""
    found: dict[str, list[Kept]] = {}
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        rows = await connection.execute(_OF_SOME, {"ids": some})
        for row in rows.mappings():
            found.setdefault(row["exception_id"], []).append(_kept_of(row))
    return found


async def touched(connection: AsyncConnection, recipe_id: str) -> dict[str, list[Kept]]:
    """Return all decisions about a recipe's exceptions, by exception, in order."""
    found: dict[str, list[Kept]] = {}
    for row in (await connection.execute(_OF_RECIPE, {"recipe_id": recipe_id})).mappings():
        found.setdefault(row["exception_id"], []).append(_kept_of(row))
    return found


async def lasts(connection: AsyncConnection, recipe_ids: Sequence[str]) -> dict[str, int]:
    """Return the number of the latest decision about each of some recipes that has any."""
    rows = (await connection.execute(_LASTS, {"recipe_ids": recipe_ids})).all()
    return {str(name): int(last) for name, last in rows}


def _kept_of(row: Any) -> Kept:
    return Kept(
        Subject(row["recipe_id"], row["side"], row["record_key"]),
        row["run_id"],
        Decision(
            who=row["who"],
            at=moment_of(row["at"]),
            state=None if row["state"] is None else State(row["state"]),
            owner=row["owner"],
            reason_code=row["reason_code"],
            note=row["note"],
            group=row["match_group"],
            undo=bool(row["undo"]),
            kind=Kind(row["kind"] or Kind.DECIDED.value),
            until=row["until"],
        ),
    )
