"""Keeps what people decide, and lays it over the rows of a run."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy.ext.asyncio import AsyncConnection

from kalla_app.errors import NotFound
from kalla_app.evidence.place import EvidencePlace
from kalla_app.evidence.rows import KEY, Asked, RowSet
from kalla_app.exceptions.life import Decision, Standing, State, checked, counting, standing
from kalla_app.store import audit, exceptions
from kalla_app.store.database import Database
from kalla_app.store.exceptions import Kept, Subject
from kalla_app.store.runs import Run
from kalla_core.errors import Fault, InvalidSetting, RecipeInvalid
from kalla_core.jobs.document import time_text

Json = dict[str, Any]

SIDES = ("left", "right")
MOST_AT_ONCE = 500
_FIELDS = frozenset({"state", "owner", "note", "reason_code", "undo"})


@dataclass(frozen=True, slots=True)
class Overlaid:
    """Open rows of one side of a run, with what was decided about each.

    Attributes:
        keys: of the rows, in their order; as many as there are rows.
        total: rows of the whole selection.
    """

    rows: pa.Table
    keys: tuple[str, ...]
    standings: tuple[Standing, ...]
    total: int


def eid_of(side: str, record_key: str) -> str:
    """Return the name of an exception, the same in every run of its recipe."""
    word = base64.urlsafe_b64encode(json.dumps([side, record_key]).encode())
    return word.decode().rstrip("=")


class ExceptionBook:
    """Asyncio."""

    def __init__(self, database: Database, evidence: EvidencePlace) -> None:
        self._database = database
        self._evidence = evidence

    async def page(
        self,
        run: Run,
        side: str,
        asked: Asked,
        offset: int,
        limit: int,
        *,
        state: State | None = None,
        owner: str | None = None,
    ) -> Overlaid:
        """Return open rows of a side; with a state or owner, only those that it was decided of.

        Raises:
            NotFound: there is no such side.
            KallaError: the run has no evidence.
        """
        _demand_side(side)
        async with self._database.reading() as connection:
            decided = await exceptions.touched(connection, run.recipe_id)
        found = {
            kept[0].subject.record_key: standing([one.decision for one in kept])
            for kept in decided.values()
            if kept[0].subject.side == side
        }
        asked = _narrowed(replace(asked, set=f"unmatched_{side}"), found, state, owner)
        folder = await self._evidence.folder(run)
        page, keys = await asyncio.to_thread(_read, folder, asked, offset, limit)
        standings = tuple(found.get(key, Standing()) for key in keys)
        return Overlaid(page.rows, keys, standings, page.total)

    async def history(self, run: Run, eid: str) -> tuple[Subject, Standing, list[Kept]]:
        """Return an exception as it stands, and all that was decided about it.

        Raises:
            NotFound: the run has no such row.
        """
        subject = await self._subject(run, eid)
        async with self._database.reading() as connection:
            kept = (await exceptions.of(connection, [subject.exception_id])).get(
                subject.exception_id, []
            )
        return subject, standing([one.decision for one in kept]), kept

    async def decide(
        self, run: Run, eids: Sequence[str], given: Mapping[str, Any], who: str
    ) -> int:
        """Take one decision about some exceptions, about all or none; return about how many.

        Args:
            given: `state`, `owner`, `note`, `reason_code`; or `undo`.

        Raises:
            NotFound: the run has no such row.
            InvalidSetting: it cannot be decided so.
        """
        decision = _decision(given, who)
        subjects = await self._subjects(run, eids)
        async with self._database.writing() as connection:
            await exceptions.hold(connection)
            if decision.undo:
                subjects = await self._with_groups(connection, run, subjects)
            await self._add(connection, run, subjects, decision)
        return len(subjects)

    async def match(self, run: Run, eids: Sequence[str], given: Mapping[str, Any], who: str) -> str:
        """Match some rows by hand, with each other; return the name of their group.

        Raises:
            NotFound: the run has no such row.
            InvalidSetting: it is one row only, or one of them is closed already.
        """
        subjects = await self._subjects(run, eids)
        if len(subjects) < 2:
            raise InvalidSetting("A match by hand takes two rows or more.")
        group = secrets.token_hex(8)
        note = {name: given[name] for name in ("note", "reason_code") if given.get(name)}
        decision = replace(_decision({"state": State.MATCHED.value, **note}, who), group=group)
        async with self._database.writing() as connection:
            await exceptions.hold(connection)
            decided = await exceptions.of(connection, [one.exception_id for one in subjects])
            for subject in subjects:
                before = [one.decision for one in decided.get(subject.exception_id, [])]
                if standing(before).state.closed:
                    raise InvalidSetting(
                        f"{subject.record_key} is {standing(before).state.value} already; "
                        "reopen it first."
                    )
            await self._add(connection, run, subjects, decision)
        return group

    async def _add(
        self, connection: AsyncConnection, run: Run, subjects: Sequence[Subject], decision: Decision
    ) -> None:
        decided = await exceptions.of(connection, [one.exception_id for one in subjects])
        made = []
        for subject in subjects:
            before = [one.decision for one in decided.get(subject.exception_id, [])]
            taken = checked(before, decision)
            made.append(Kept(subject, run.run_id, taken))
            await audit.add(
                connection,
                decision.who,
                "exception.undo" if decision.undo else "exception.decide",
                f"exception/{run.recipe_id}/{subject.side}/{subject.record_key}",
                before=standing_json(standing(before)),
                after=standing_json(standing([*before, taken])),
            )
        await exceptions.add(connection, made)

    async def _with_groups(
        self, connection: AsyncConnection, run: Run, subjects: Sequence[Subject]
    ) -> list[Subject]:
        """Return rows, and those that were matched with them by what is undone now."""
        decided = await exceptions.touched(connection, run.recipe_id)
        last = {name: counting([one.decision for one in kept]) for name, kept in decided.items()}
        groups = {
            last[one.exception_id][-1].group
            for one in subjects
            if last.get(one.exception_id) and last[one.exception_id][-1].group
        }
        others = [
            kept[0].subject
            for name, kept in decided.items()
            if last[name] and last[name][-1].group in groups
        ]
        return list(dict.fromkeys([*subjects, *others]))

    async def _subject(self, run: Run, eid: str) -> Subject:
        return (await self._subjects(run, [eid]))[0]

    async def _subjects(self, run: Run, eids: Sequence[str]) -> list[Subject]:
        """Return the rows that names stand for, all of which the run has left open."""
        if not 1 <= len(eids) <= MOST_AT_ONCE:
            raise InvalidSetting(f"Decide about 1 to {MOST_AT_ONCE} rows at once.")
        subjects = [_named(run, eid) for eid in dict.fromkeys(eids)]
        folder = await self._evidence.folder(run)
        for side in SIDES:
            keys = tuple(one.record_key for one in subjects if one.side == side)
            if keys:
                asked = Asked(f"unmatched_{side}", keys=keys)
                _, found = await asyncio.to_thread(_read, folder, asked, 0, len(keys))
                missing = sorted({*keys} - {*found})
                if missing:
                    raise NotFound(f"The run has no open row {missing[0]} on the {side}.")
        return subjects


def standing_json(now: Standing) -> Json:
    """Return an exception as the API shows it."""
    return {
        "state": now.state.value,
        "owner": now.owner or None,
        "reason_code": now.reason_code or None,
        "note": now.note or None,
        "match_group": now.group or None,
    }


def kept_json(kept: Kept) -> Json:
    """Return a decision as the API shows it: what it changed, who took it, when, in which run."""
    one = kept.decision
    fields = {
        "state": None if one.state is None else one.state.value,
        "owner": one.owner,
        "reason_code": one.reason_code,
        "note": one.note,
        "match_group": one.group,
    }
    told = {name: value for name, value in fields.items() if value is not None}
    return {
        "who": one.who,
        "at": time_text(one.at),
        "run_id": kept.run_id,
        "undo": one.undo,
        **told,
    }


def _decision(given: Mapping[str, Any], who: str) -> Decision:
    faults = [
        Fault("unknown_field", name, f"A decision has no `{name}`.")
        for name in sorted({*given} - _FIELDS)
    ]
    for name in ("owner", "note", "reason_code"):
        value = given.get(name)
        if value is not None and (not isinstance(value, str) or len(value) > 4000):
            faults.append(Fault("wrong_type", name, "It is text of at most 4000 characters."))
    states = [state.value for state in State]
    if given.get("state") not in (None, *states):
        faults.append(Fault("unknown_value", "state", f"States are {', '.join(states)}."))
    if faults:
        raise RecipeInvalid(faults, "decision")
    state = given.get("state")
    return Decision(
        who=who,
        at=datetime.now(UTC),
        state=None if state is None else State(state),
        owner=given.get("owner"),
        reason_code=given.get("reason_code"),
        note=given.get("note"),
        undo=given.get("undo") is True,
    )


def _named(run: Run, eid: str) -> Subject:
    try:
        side, key = json.loads(base64.urlsafe_b64decode(eid + "=" * (-len(eid) % 4)))
    except (ValueError, TypeError) as error:
        raise NotFound(f"There is no exception {eid}.") from error
    if side not in SIDES or not isinstance(key, str):
        raise NotFound(f"There is no exception {eid}.")
    return Subject(run.recipe_id, side, key)


def _demand_side(side: str) -> None:
    if side not in SIDES:
        raise NotFound(f"There is no side {side}; there are left and right.")


def _narrowed(
    asked: Asked, found: Mapping[str, Standing], state: State | None, owner: str | None
) -> Asked:
    """Return a selection of those rows only that are in a state, or somebody's."""
    if state is None and owner is None:
        return asked
    if state is State.OPEN and owner is None:
        return replace(asked, without=tuple(key for key, one in found.items() if one.state.closed))
    kept = (
        key
        for key, one in found.items()
        if state in (None, one.state) and owner in (None, one.owner)
    )
    return replace(asked, keys=tuple(kept))


def _read(folder: Path, asked: Asked, offset: int, limit: int) -> Any:
    with RowSet(folder, asked.set) as rows:
        page = rows.page(asked, offset, limit)
        return page, tuple(page.rows.column(KEY).to_pylist())
