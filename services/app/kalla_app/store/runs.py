"""Runs and the outbox of what the coordinator is to be told of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    CompoundSelect,
    Integer,
    Select,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from kalla_app.runs.life import News, RunState, RunStatus, step
from kalla_app.store.cursors import cursor, place_of
from kalla_app.store.tables import OUTBOX, RUNS
from kalla_app.store.vault import Vault
from kalla_core.jobs.model import Counts
from kalla_core.moments import micros, moment_of

Json = dict[str, Any]

SUBMIT, CANCEL = "submit", "cancel"
_OPEN = tuple(status.value for status in RunStatus if not status.final)
_COLUMNS = tuple(column for column in RUNS.columns if column is not RUNS.c.document)

# Made once: to make a query takes longer than to answer it.
_FIND = select(*_COLUMNS).where(RUNS.c.run_id == bindparam("run_id"))
_DOCUMENT = select(RUNS.c.document).where(RUNS.c.run_id == bindparam("run_id"))


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it is kept.

    Attributes:
        recipe_version: None where the recipe came with the request.
    """

    run_id: str
    recipe_id: str
    recipe_version: int | None
    recipe_name: str
    state: RunState
    created_by: str
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Errand:
    """Something the coordinator is to be told; `tries` were made before."""

    run: Run
    action: str
    tries: int


@dataclass(frozen=True, slots=True)
class Request:
    """What the coordinator is sent, word for word the same however often.

    Attributes:
        document: of the recipe, with its secrets.
    """

    document: Json
    output_path: str | None
    callback_url: str


async def add(connection: AsyncConnection, run: Run, request: Request, vault: Vault) -> bool:
    """Keep a new run and what is to be told of it; False if there is one of its id already."""
    if await find(connection, run.run_id) is not None:
        return False
    shown = await vault.keep(connection, _secret(run.run_id), request.document)
    at = micros(run.created_at)
    await connection.execute(
        insert(RUNS).values(
            run_id=run.run_id,
            recipe_id=run.recipe_id,
            recipe_version=run.recipe_version,
            recipe_name=run.recipe_name,
            document=json.dumps(shown),
            output_path=request.output_path,
            callback_url=request.callback_url,
            status=run.state.status.value,
            state=_text(run.state),
            created_by=run.created_by,
            created_at=at,
            updated_at=at,
            looked_at=at,
        )
    )
    await owe(connection, run.run_id, SUBMIT)
    return True


async def find(connection: AsyncConnection, run_id: str) -> Run | None:
    """Return a run; None if there is none."""
    row = (await connection.execute(_FIND, {"run_id": run_id})).mappings().first()
    return None if row is None else _run_of(row)


async def document(connection: AsyncConnection, run_id: str) -> Json | None:
    """Return the recipe that a run was started with, fit to be shown; None without such a run."""
    found = (await connection.execute(_DOCUMENT, {"run_id": run_id})).scalar()
    return None if found is None else dict(json.loads(found))


async def request(connection: AsyncConnection, run_id: str, vault: Vault) -> Request:
    """Return what the coordinator is sent for a run."""
    query = select(RUNS.c.document, RUNS.c.output_path, RUNS.c.callback_url)
    row = (await connection.execute(query.where(RUNS.c.run_id == run_id))).one()
    whole = await vault.whole(connection, _secret(run_id), json.loads(row.document))
    return Request(dict(whole), row.output_path, row.callback_url)


async def page(
    connection: AsyncConnection,
    limit: int,
    after: str | None = None,
    *,
    status: str | None = None,
    recipe_id: str | None = None,
) -> tuple[list[Run], str | None]:
    """Return runs, newest first, and the cursor of the next page.

    Raises:
        InvalidSetting: the cursor is none.
    """
    asked: Json = {"status": status, "recipe_id": recipe_id}
    if after is not None:
        asked["at"], asked["run_id"] = place_of(after, (int, str))
    asked = {name: value for name, value in asked.items() if value is not None}
    query = _page_of(frozenset(asked))
    rows = (await connection.execute(query, {**asked, "most": limit + 1})).mappings().all()
    runs = [_run_of(row) for row in rows[:limit]]
    more = len(rows) > limit
    return runs, cursor(micros(runs[-1].created_at), runs[-1].run_id) if more else None


async def succeeded(
    connection: AsyncConnection,
    recipe_id: str,
    *,
    before: datetime | None = None,
    after: datetime | None = None,
    limit: int = 1,
) -> list[Run]:
    """Return runs of a recipe that have evidence: the newest first, or the oldest after a time."""
    created = RUNS.c.created_at
    query = select(*_COLUMNS).where(
        RUNS.c.recipe_id == recipe_id, RUNS.c.status == RunStatus.SUCCEEDED.value
    )
    if before is not None:
        query = query.where(created < micros(before))
    if after is None:
        query = query.order_by(created.desc())
    else:
        query = query.where(created > micros(after)).order_by(created)
    return [_run_of(row) for row in (await connection.execute(query.limit(limit))).mappings()]


async def newest(
    connection: AsyncConnection, recipe_ids: Sequence[str], each: int, *, succeeded: bool = False
) -> dict[str, list[Run]]:
    """Return the newest runs of some recipes by recipe, the newest first, in one query.

    Args:
        recipe_ids: at most 400; SQLite takes 500 parts of a query.
        each: how many runs of each.
        succeeded: only those that have evidence.
    """
    found: dict[str, list[Run]] = {recipe_id: [] for recipe_id in recipe_ids}
    if not found:
        return found
    query = _newest_of(len(found), each, succeeded=succeeded)
    asked = {f"recipe_{place}": recipe_id for place, recipe_id in enumerate(found)}
    for row in (await connection.execute(query, asked)).mappings():
        found[row["recipe_id"]].append(_run_of(row))
    for runs in found.values():
        runs.sort(key=lambda run: (run.created_at, run.run_id), reverse=True)
    return found


async def change(connection: AsyncConnection, run_id: str, news: News) -> tuple[Run, Run] | None:
    """Let a run take news in; return it before and after, None if there is no such run.

    Runs that others change at the same time wait for each other.
    """
    query = select(*_COLUMNS).where(RUNS.c.run_id == run_id).with_for_update()
    row = (await connection.execute(query)).mappings().first()
    if row is None:
        return None
    before = _run_of(row)
    state = step(before.state, news)
    now = datetime.now(UTC)
    kept: Json = {"looked_at": micros(now)}
    if state != before.state:
        kept |= {"state": _text(state), "status": state.status.value, "updated_at": micros(now)}
        if state.status.final:
            kept["ended_at"] = micros(now)
    await connection.execute(update(RUNS).where(RUNS.c.run_id == run_id).values(**kept))
    after = await find(connection, run_id)
    return before, after or before


async def owe(connection: AsyncConnection, run_id: str, action: str) -> None:
    """Put something into the outbox, once."""
    await settle(connection, run_id, action)
    now = micros(datetime.now(UTC))
    await connection.execute(
        insert(OUTBOX).values(run_id=run_id, action=action, due_at=now, tries=0)
    )


async def claim(connection: AsyncConnection, limit: int, lease: timedelta) -> tuple[Errand, ...]:
    """Return what is due, which is nobody else's for the lease."""
    now = datetime.now(UTC)
    query = (
        select(OUTBOX)
        .where(OUTBOX.c.due_at <= micros(now))
        .order_by(OUTBOX.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = (await connection.execute(query)).mappings().all()
    found = []
    for row in rows:
        await connection.execute(
            _errand(update(OUTBOX), row["run_id"], row["action"]).values(
                due_at=micros(now + lease), tries=row["tries"] + 1
            )
        )
        run = await find(connection, row["run_id"])
        if run is not None:
            found.append(Errand(run, row["action"], row["tries"]))
    return tuple(found)


async def postpone(connection: AsyncConnection, run_id: str, action: str, wait: timedelta) -> None:
    """Let something be due again after a while."""
    due = micros(datetime.now(UTC) + wait)
    await connection.execute(_errand(update(OUTBOX), run_id, action).values(due_at=due))


async def settle(connection: AsyncConnection, run_id: str, action: str | None = None) -> None:
    """Forget what is owed of a run: one thing, or all."""
    if action is not None:
        await connection.execute(_errand(delete(OUTBOX), run_id, action))
    else:
        await connection.execute(delete(OUTBOX).where(OUTBOX.c.run_id == run_id))


async def owed(connection: AsyncConnection, run_id: str, action: str) -> bool:
    """Whether something is in the outbox."""
    return (await connection.execute(_errand(select(OUTBOX), run_id, action))).first() is not None


async def next_due(connection: AsyncConnection) -> datetime | None:
    """Return when something of the outbox is due."""
    at = (await connection.execute(select(func.min(OUTBOX.c.due_at)))).scalar()
    return None if at is None else moment_of(at)


async def not_heard_of(
    connection: AsyncConnection, silence: timedelta, limit: int
) -> Sequence[str]:
    """Return runs that go on and of which nothing was heard for so long, the longest first."""
    since = micros(datetime.now(UTC) - silence)
    query = (
        select(RUNS.c.run_id)
        .where(RUNS.c.status == RunStatus.RUNNING.value, RUNS.c.looked_at < since)
        .order_by(RUNS.c.looked_at)
        .limit(limit)
    )
    return list((await connection.execute(query)).scalars())


async def by_status(connection: AsyncConnection) -> dict[str, int]:
    """Return how many runs stand where."""
    query = select(RUNS.c.status, func.count()).group_by(RUNS.c.status)
    rows = (await connection.execute(query)).all()
    return {str(row[0]): int(row[1]) for row in rows}


def _errand(statement: Any, run_id: str, action: str) -> Any:
    return statement.where(OUTBOX.c.run_id == run_id, OUTBOX.c.action == action)


def _secret(run_id: str) -> str:
    return f"run/{run_id}"


def _text(state: RunState) -> str:
    return json.dumps(asdict(state))


@lru_cache(maxsize=16)
def _page_of(by: frozenset[str]) -> Select[Any]:
    query = select(*_COLUMNS).order_by(RUNS.c.created_at.desc(), RUNS.c.run_id.desc())
    for name in ("status", "recipe_id"):
        if name in by:
            query = query.where(RUNS.c[name] == bindparam(name))
    if "at" in by:
        at: BindParameter[int] = bindparam("at")
        same = and_(RUNS.c.created_at == at, RUNS.c.run_id < bindparam("run_id"))
        query = query.where(or_(RUNS.c.created_at < at, same))
    return query.limit(bindparam("most", type_=Integer))


@lru_cache(maxsize=64)
def _newest_of(recipes: int, each: int, *, succeeded: bool) -> CompoundSelect[Any]:
    query = select(*_COLUMNS).order_by(RUNS.c.created_at.desc(), RUNS.c.run_id.desc()).limit(each)
    if succeeded:
        query = query.where(RUNS.c.status == RunStatus.SUCCEEDED.value)
    # Each recipe for itself: the index ends the search after so many, however many there are.
    names: list[BindParameter[str]] = [bindparam(f"recipe_{place}") for place in range(recipes)]
    parts = [query.where(RUNS.c.recipe_id == name).subquery().select() for name in names]
    return union_all(*parts)


@lru_cache(maxsize=1024)
def _state_of(text: str) -> RunState:
    written = json.loads(text)
    return RunState(
        **{
            **written,
            "status": RunStatus(written["status"]),
            "counts": Counts(**written["counts"]),
        }
    )


def _run_of(row: Any) -> Run:
    ended = row["ended_at"]
    return Run(
        run_id=row["run_id"],
        recipe_id=row["recipe_id"],
        recipe_version=row["recipe_version"],
        recipe_name=row["recipe_name"],
        state=_state_of(row["state"]),
        created_by=row["created_by"],
        created_at=moment_of(row["created_at"]),
        updated_at=moment_of(row["updated_at"]),
        ended_at=None if ended is None else moment_of(ended),
    )
