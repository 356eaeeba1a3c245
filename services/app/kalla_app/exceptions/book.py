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
import pyarrow.compute as pc
from sqlalchemy.ext.asyncio import AsyncConnection

from kalla_app.errors import NotFound
from kalla_app.evidence.asked import Asked
from kalla_app.evidence.open_rows import is_rest, open_keys
from kalla_app.evidence.pages import RowPages
from kalla_app.evidence.place import EvidencePlace
from kalla_app.evidence.rows import RowPage, RowSet, SoFar
from kalla_app.evidence.wanted import KEY
from kalla_app.exceptions.life import Decision, Kind, Standing, State, checked, latest, standing
from kalla_app.exceptions.policy import SIDES, Policy, policy_json, policy_of
from kalla_app.store import audit, exceptions, policies
from kalla_app.store.database import Database
from kalla_app.store.exceptions import Kept, Subject
from kalla_app.store.runs import Run
from kalla_core.errors import Fault, InvalidSetting, RecipeInvalid, UnknownColumn
from kalla_core.jobs.document import time_text

Json = dict[str, Any]

_KINDS = {None: Kind.DECIDED, True: Kind.APPROVED, False: Kind.RETURNED}
MOST_AT_ONCE = 500
_FIELDS = frozenset({"state", "owner", "note", "reason_code", "undo", "until", "approve"})


@dataclass(frozen=True, slots=True)
class Overlaid:
    """Open rows of one side of a run, with what was decided about each.

    Attributes:
        keys: of the rows, in their order; as many as there are rows.
        total: rows of the whole selection, or of what of it was found so far.
        so_far: None where it is the whole one.
    """

    rows: pa.Table
    keys: tuple[str, ...]
    standings: tuple[Standing, ...]
    total: int
    so_far: SoFar | None = None


def eid_of(side: str, record_key: str) -> str:
    """Return the name of an exception, the same in every run of its recipe."""
    word = base64.urlsafe_b64encode(json.dumps([side, record_key]).encode())
    return word.decode().rstrip("=")


class ExceptionBook:
    """Asyncio."""

    def __init__(self, database: Database, evidence: EvidencePlace, rows: RowPages) -> None:
        self._database = database
        self._evidence = evidence
        self._rows = rows

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
        within_s: float | None = None,
    ) -> Overlaid:
        """Return open rows of a side; with a state or owner, only those that it was decided of.

        Args:
            asked: of one set of the side; where it names none, of all: rows without a partner, and
                behind them the rests of those that are matched in part.
            within_s: as of `RowPages.page`.

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
        asked = _narrowed(asked, found, state, owner)
        sets = await self._rows.open_sets(run, side)
        pages: list[RowPage] = []
        before = 0
        for name in sets if not asked.set else (asked.set,):
            start, left = max(0, offset - before), limit - sum(len(one.places) for one in pages)
            part = replace(asked, set=name)
            pages.append(await self._page(run, part, start, left, within_s))
            before += pages[-1].total
        rows = _together([one.rows for one in pages])
        keys = tuple(rows.column(KEY).to_pylist())
        standings = tuple(found.get(key, Standing()) for key in keys)
        so_far = next((one.so_far for one in pages if one.so_far is not None), None)
        return Overlaid(rows, keys, standings, before, so_far)

    async def _page(
        self, run: Run, asked: Asked, offset: int, limit: int, within_s: float | None
    ) -> RowPage:
        """Return rows of a set; of rests in the order of the file where they lack the column."""
        try:
            return await self._rows.page(run, asked, offset, limit, within_s)
        except UnknownColumn:
            if not is_rest(asked.set):
                raise
            return await self._rows.page(run, replace(asked, sort=None), offset, limit, within_s)

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

    async def standings(self, run: Run, side: str, keys: Sequence[str]) -> dict[str, Standing]:
        """Return how rows of a side stand, whether the run has left them open or not."""
        subjects = {key: Subject(run.recipe_id, side, key) for key in keys}
        async with self._database.reading() as connection:
            kept = await exceptions.of(connection, [one.exception_id for one in subjects.values()])
        return {
            key: standing([one.decision for one in kept.get(subject.exception_id, [])])
            for key, subject in subjects.items()
        }

    async def decide(
        self, run: Run, eids: Sequence[str], given: Mapping[str, Any], who: str
    ) -> int:
        """Take one decision about some exceptions, about all or none; return about how many.

        Args:
            given: `state`, `owner`, `note`, `reason_code`, `until`; or `approve`, or `undo`.

        Raises:
            NotFound: the run has no such row.
            InvalidSetting: it cannot be decided so.
            NotAllowed: whoever asked for it wants to approve it.
        """
        return await self.decide_all([(run, eids)], given, who)

    async def decide_all(
        self, asked: Sequence[tuple[Run, Sequence[str]]], given: Mapping[str, Any], who: str
    ) -> int:
        """Take one decision about exceptions of several runs, as `decide`."""
        decision = _decision(given, who)
        if not 1 <= sum(len(eids) for _, eids in asked) <= MOST_AT_ONCE:
            raise InvalidSetting(f"Decide about 1 to {MOST_AT_ONCE} rows at once.")
        found = [(run, await self._subjects(run, eids)) for run, eids in asked]
        count = 0
        async with self._database.writing() as connection:
            await exceptions.hold(connection)
            for run, subjects in found:
                if decision.undo:
                    subjects = await self._with_groups(connection, run, subjects)
                await self._add(connection, run, subjects, decision)
                count += len(subjects)
        return count

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

    async def confirm(self, run: Run, eids: Sequence[str], given: Json, who: str) -> list[str]:
        """Match rows with what the engine has suggested for them; return their groups.

        Raises:
            NotFound: the run has no such row.
            InvalidSetting: nothing is suggested for one of them, or more than one row.
        """
        subjects = await self._subjects(run, eids)
        partners = await self.suggested(run, subjects)
        groups: dict[tuple[str, str], str] = {}
        for subject, found in zip(subjects, partners, strict=True):
            if len(found) != 1:
                raise InvalidSetting(
                    f"{len(found)} rows are suggested for {subject.record_key}; match it by hand."
                )
            other = "right" if subject.side == "left" else "left"
            own, its = eid_of(subject.side, subject.record_key), eid_of(other, found[0])
            pair = (own, its) if subject.side == "left" else (its, own)
            if pair not in groups:  # both rows of a pair may have been named
                groups[pair] = await self.match(run, pair, given, who)
        return list(groups.values())

    async def suggested(self, run: Run, subjects: Sequence[Subject]) -> list[list[str]]:
        """Return the keys that the engine suggests as partner of each row, on the other side.

        Raises:
            KallaError: the run has no evidence.
        """
        folder = await self._evidence.folder(run)
        return await asyncio.to_thread(_partners, folder, subjects)

    async def policy(self, recipe_id: str) -> Policy:
        """Return what a recipe demands of decisions."""
        async with self._database.reading() as connection:
            return await policies.find(connection, recipe_id)

    async def set_policy(self, recipe_id: str, document: object, who: str) -> Policy:
        """Set what a recipe demands of decisions from now on.

        Raises:
            RecipeInvalid: with all faults.
        """
        policy = policy_of(document)
        async with self._database.writing() as connection:
            before = await policies.find(connection, recipe_id)
            await policies.put(connection, recipe_id, policy)
            await audit.add(
                connection,
                who,
                "policy.set",
                f"recipe/{recipe_id}",
                before=policy_json(before),
                after=policy_json(policy),
            )
        return policy

    async def _add(
        self, connection: AsyncConnection, run: Run, subjects: Sequence[Subject], decision: Decision
    ) -> None:
        decided = await exceptions.of(connection, [one.exception_id for one in subjects])
        policy = await policies.find(connection, run.recipe_id)
        made = []
        for subject in subjects:
            before = [one.decision for one in decided.get(subject.exception_id, [])]
            taken = checked(before, decision, needs_second=policy.approval)
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
        groups = {}
        for name, kept in decided.items():
            last = latest([one.decision for one in kept])
            if last is not None and last.group:
                groups[name] = last.group
        undone = {groups[one.exception_id] for one in subjects if one.exception_id in groups}
        others = [kept[0].subject for name, kept in decided.items() if groups.get(name) in undone]
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
                found = await asyncio.to_thread(open_keys, folder, side, keys)
                missing = sorted({*keys} - found)
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
        "until": now.until or None,
        "wanted": None if now.wanted is None else now.wanted.value,
        "asked_by": now.asked_by or None,
        "gone": now.gone,
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
        "until": one.until,
    }
    told = {name: value for name, value in fields.items() if value is not None}
    return {
        "who": one.who,
        "at": time_text(one.at),
        "run_id": kept.run_id,
        "undo": one.undo,
        "kind": one.kind.value,
        **told,
    }


def _decision(given: Mapping[str, Any], who: str) -> Decision:
    faults = [
        Fault("unknown_field", name, f"A decision has no `{name}`.")
        for name in sorted({*given} - _FIELDS)
    ]
    for name in ("owner", "note", "reason_code", "until"):
        value = given.get(name)
        if value is not None and (not isinstance(value, str) or len(value) > 4000):
            faults.append(Fault("wrong_type", name, "It is text of at most 4000 characters."))
    states = [state.value for state in State]
    if given.get("state") not in (None, *states):
        faults.append(Fault("unknown_value", "state", f"States are {', '.join(states)}."))
    approve = given.get("approve")
    if approve is not None and not isinstance(approve, bool):
        faults.append(Fault("wrong_type", "approve", "It is true, or false to return it."))
    if approve is not None and given.get("state") is not None:
        faults.append(Fault("contradiction", "state", "What is approved has its state already."))
    if faults:
        raise RecipeInvalid(faults, "decision")
    state = given.get("state")
    return Decision(
        kind=_KINDS[approve],
        who=who,
        at=datetime.now(UTC),
        state=None if state is None else State(state),
        owner=given.get("owner"),
        reason_code=given.get("reason_code"),
        note=given.get("note"),
        undo=given.get("undo") is True,
        until=given.get("until"),
    )


def _named(run: Run, eid: str) -> Subject:
    try:
        side, key = json.loads(base64.urlsafe_b64decode(eid + "=" * (-len(eid) % 4)))
    except (ValueError, TypeError) as error:
        raise NotFound(f"There is no exception {eid}.") from error
    if side not in SIDES or not isinstance(key, str):
        raise NotFound(f"There is no exception {eid}.")
    return Subject(run.recipe_id, side, key)


def _together(tables: Sequence[pa.Table]) -> pa.Table:
    """Return rows of several sets: all columns of those that have rows, in the order they come."""
    with_rows = [table for table in tables if table.num_rows] or tables[:1]
    return pa.concat_tables(with_rows, promote_options="default")


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


def _partners(folder: Path, subjects: Sequence[Subject]) -> list[list[str]]:
    try:
        with RowSet(folder, "suggested") as rows:
            pairs = rows.columns(["left_key", "right_key"])
    except NotFound:
        return [[] for _ in subjects]
    found = []
    for subject in subjects:
        own, other = (
            ("left_key", "right_key") if subject.side == "left" else ("right_key", "left_key")
        )
        is_its = pc.equal(pairs.column(own), subject.record_key)
        found.append(pairs.column(other).filter(is_its).to_pylist())
    return found
