"""Jobs and what is owed to their callers, on disk.

A method that writes returns once the write is on disk. Requests hold passwords and are kept as
they are, because a job must be able to run after a restart: the file is readable by its owner
only, and no method returns a request but to those who run it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, and_, or_, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from kalla_coordinator.callbacks.delivery import Delivery
from kalla_coordinator.jobs.database import open_engine
from kalla_coordinator.jobs.model import Job, JobPage, JobStatus
from kalla_coordinator.jobs.ownership import Ownership, Waiting, wait_for_turn
from kalla_coordinator.jobs.probe import Probe
from kalla_coordinator.jobs.record import JobRecord, job_of, record_of, row_of
from kalla_coordinator.jobs.schema import DELIVERIES, JOBS, OUTPUTS, migrate
from kalla_coordinator.jobs.writer import GroupWriter
from kalla_coordinator.jobs.writes import (
    add_jobs,
    count_failures,
    forget_jobs,
    look,
    put_jobs,
    settle_deliveries,
    touch,
)
from kalla_core.errors import InvalidSetting, ShuttingDown, StoreUnavailable
from kalla_core.ids import RunId
from kalla_core.moments import micros, moment_of

_LOOK_INTERVAL_S = 2.0
_FINAL = tuple(status.value for status in JobStatus if status.final)
_OPEN = tuple(status.value for status in JobStatus if not status.final)
# A request may be large, and a page has many.
_WITHOUT_REQUESTS = tuple(column for column in JOBS.columns if column is not JOBS.c.request)


class JobStore:
    """The store; made by `open_store`."""

    def __init__(self, engine: AsyncEngine, ownership: Ownership, writer: GroupWriter) -> None:
        self._engine = engine
        self._ownership = ownership
        self._writer = writer
        self._probe = Probe(lambda: writer.write(touch, None))

    async def add(self, record: JobRecord) -> JobRecord | None:
        """Keep a new job; return the one that has its run id already, which stays as it is."""
        return await self._writer.write(add_jobs, record)

    async def put(self, record: JobRecord, owed: Delivery | None = None) -> None:
        """Keep a job's new state and, in the same transaction, what is owed because of it."""
        await self._writer.write(put_jobs, (row_of(record), owed))

    async def find(self, run_id: RunId) -> JobRecord | None:
        """Return a job; None if there is none."""
        async with self._reading() as connection:
            found = await connection.execute(select(JOBS).where(JOBS.c.run_id == run_id))
            row = found.mappings().first()
        return None if row is None else record_of(row)

    async def page(self, status: JobStatus | None, limit: int, cursor: str | None) -> JobPage:
        """Return jobs, newest first.

        Raises:
            InvalidSetting: the cursor is not one that a page gave.
        """
        query = select(*_WITHOUT_REQUESTS).order_by(JOBS.c.accepted_at.desc(), JOBS.c.run_id.desc())
        if status is not None:
            query = query.where(JOBS.c.status == status.value)
        if cursor is not None:
            at, run_id = _cursor_of(cursor)
            same = and_(JOBS.c.accepted_at == at, JOBS.c.run_id < run_id)
            query = query.where(or_(JOBS.c.accepted_at < at, same))
        async with self._reading() as connection:
            rows = (await connection.execute(query.limit(limit + 1))).mappings().all()
        jobs = tuple(job_of(row) for row in rows[:limit])
        more = len(rows) > limit
        return JobPage(jobs, _cursor(jobs[-1]) if more else None)

    async def unfinished(self) -> tuple[JobRecord, ...]:
        """Return the jobs that are in no final state, in the order they were accepted."""
        query = select(JOBS).where(JOBS.c.status.in_(_OPEN)).order_by(JOBS.c.accepted_at)
        async with self._reading() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return tuple(record_of(row) for row in rows)

    async def owed(self) -> tuple[Delivery, ...]:
        """Return what is owed, the oldest first."""
        query = select(DELIVERIES).order_by(DELIVERIES.c.owed_since, DELIVERIES.c.run_id)
        async with self._reading() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return tuple(
            Delivery(
                run_id=RunId(row["run_id"]),
                sequence=row["sequence"],
                url=row["url"],
                body=row["body"],
                owed_since=moment_of(row["owed_since"]),
                failures=row["failures"],
            )
            for row in rows
        )

    async def settle(self, delivery: Delivery) -> None:
        """Forget what is owed no more."""
        await self._writer.write(settle_deliveries, delivery)

    async def count_failure(self, delivery: Delivery) -> None:
        """Keep how often a delivery has failed."""
        await self._writer.write(count_failures, delivery)

    async def old(self, before: datetime, limit: int) -> tuple[Job, ...]:
        """Return jobs that ended before a moment and owe nothing, the oldest first."""
        owing = select(DELIVERIES.c.run_id)
        query = (
            select(*_WITHOUT_REQUESTS)
            .where(JOBS.c.status.in_(_FINAL))
            .where(JOBS.c.ended_at < micros(before))
            .where(JOBS.c.run_id.not_in(owing))
            .order_by(JOBS.c.ended_at)
            .limit(limit)
        )
        async with self._reading() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return tuple(job_of(row) for row in rows)

    async def forget(self, run_id: RunId, output: str | None = None) -> None:
        """Remove a job; `output` is the place of its evidence if that is gone as well."""
        await self._writer.write(forget_jobs, (run_id, output))

    async def owners(
        self, places: Collection[str], below: Collection[str] = ()
    ) -> dict[str, set[str]]:
        """Return the tokens that submitted jobs, by the place of the output.

        Args:
            places: of outputs.
            below: what the places of further outputs begin with, whatever the case of letters.
        """
        begins = (OUTPUTS.c.place.istartswith(base, autoescape=True) for base in sorted(below))
        query = select(OUTPUTS).where(or_(OUTPUTS.c.place.in_(sorted(places)), *begins))
        async with self._reading() as connection:
            rows = (await connection.execute(query)).mappings().all()
        owners: dict[str, set[str]] = {}
        for row in rows:
            owners.setdefault(row["place"], set()).add(row["submitter"])
        return owners

    async def lost(self) -> None:
        """Return once another coordinator owns the store: whoever worked from it has to end.

        Whether it still is ours is looked at every few seconds.
        """
        while not self._ownership.lost.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ownership.lost.wait(), _LOOK_INTERVAL_S)
            with suppress(StoreUnavailable, ShuttingDown):
                await self._writer.write(look, None)

    async def check(self) -> None:
        """Raise `StoreUnavailable` or `ShuttingDown` unless the store can be written."""
        await self._probe.check()

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._engine.connect() as connection:
                yield connection
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            raise StoreUnavailable("The job store cannot be read; try again later.") from error


@asynccontextmanager
async def open_store(
    database_url: str | None, staging: Path, waiting: Waiting | None = None
) -> AsyncIterator[JobStore]:
    """Own the store for a block, its tables brought up to date.

    Args:
        waiting: what is done while another owns it; None not to wait.

    Raises:
        StoreUnavailable: it does not answer, is of a newer version, or is another's.
        ShuttingDown: told to end while another owned it.
        InvalidSetting: the URL is none.
    """
    engine, ownership = open_engine(database_url, staging)
    try:
        await _prepare(ownership, waiting)
        writer = GroupWriter(ownership)
        writer.start()
        try:
            yield JobStore(engine, ownership, writer)
        finally:
            await writer.close()
    finally:
        await ownership.close()
        await engine.dispose()


async def _prepare(ownership: Ownership, waiting: Waiting | None) -> None:
    try:
        # First the lock: an older coordinator may work with the tables as they are.
        await wait_for_turn(ownership, waiting)
        await ownership.transact(partial(_brought_up_to_date, ownership))
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        cause = str(getattr(error, "orig", error)).splitlines()[0][:200] or type(error).__name__
        raise StoreUnavailable(f"The job store cannot be opened: {cause}") from error
    except ValueError as error:
        raise StoreUnavailable(f"The job store cannot be used: {error}.") from error


def _brought_up_to_date(ownership: Ownership, connection: Connection) -> None:
    migrate(connection)
    ownership.sign(connection)


def _cursor(job: Job) -> str:
    place = [micros(job.accepted_at), job.run_id]
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def _cursor_of(text: str) -> tuple[int, str]:
    try:
        at, run_id = json.loads(base64.b64decode(text, altchars=b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error) as error:
        raise _no_cursor() from error
    if type(at) is not int or not isinstance(run_id, str) or not 0 <= at < 1 << 62:
        raise _no_cursor()
    return at, run_id


def _no_cursor() -> InvalidSetting:
    return InvalidSetting(
        "The cursor is not one that a page of jobs gave; leave it out to start anew.",
        settings=["cursor"],
    )
