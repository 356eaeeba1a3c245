"""What is written to the job store, each kind for many jobs in one statement; see `GroupWriter`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, bindparam, select

from kalla_coordinator.callbacks.delivery import Delivery
from kalla_coordinator.jobs.outputs import place_of
from kalla_coordinator.jobs.record import JobRecord, record_of, row_of
from kalla_coordinator.jobs.schema import DELIVERIES, JOBS, OUTPUTS, VERSION
from kalla_core.ids import RunId
from kalla_core.moments import micros

Row = dict[str, Any]

_CHANGING = ("status", "phase", "attempt", "ended_at", "told", "document")
"""Columns of a job that its events change; the others stay as they were when it was accepted."""

_TAKEN = select(JOBS).where(JOBS.c.run_id.in_(bindparam("run_ids", expanding=True)))
_INSERT_JOBS = JOBS.insert()
_UPDATE_JOBS = (
    JOBS.update()
    .where(JOBS.c.run_id == bindparam("which"))
    .values({name: bindparam(name) for name in _CHANGING})
)
_DELETE_JOBS = JOBS.delete().where(JOBS.c.run_id == bindparam("which"))
_OUTPUTS_AT = select(OUTPUTS.c.place, OUTPUTS.c.submitter).where(
    OUTPUTS.c.place.in_(bindparam("places", expanding=True))
)
_INSERT_OUTPUTS = OUTPUTS.insert()
_DELETE_OUTPUTS = OUTPUTS.delete().where(OUTPUTS.c.place == bindparam("which"))
_INSERT_DELIVERIES = DELIVERIES.insert()
_THIS = and_(
    DELIVERIES.c.run_id == bindparam("which"), DELIVERIES.c.sequence == bindparam("which_sequence")
)
_DELETE_DELIVERIES = DELIVERIES.delete().where(_THIS)
_COUNT_FAILURES = DELIVERIES.update().where(_THIS).values(failures=bindparam("failures"))


def add_jobs(connection: Connection, records: Sequence[JobRecord]) -> list[JobRecord | None]:
    """Insert jobs and whose their outputs are; return for each the one that had its run id before.

    Those keep it.
    """
    run_ids = [record.job.run_id for record in records]
    found = connection.execute(_TAKEN, {"run_ids": run_ids}).mappings().all()
    taken = {row["run_id"]: record_of(row) for row in found}
    new = [record for record in records if record.job.run_id not in taken]
    if new:
        connection.execute(_INSERT_JOBS, [row_of(record) for record in new])
        _add_outputs(connection, new)
    return [taken.get(run_id) for run_id in run_ids]


def _add_outputs(connection: Connection, records: Sequence[JobRecord]) -> None:
    wanted = {(place_of(one.job.output_path), one.submitter) for one in records}
    places = sorted({place for place, _ in wanted})
    known = connection.execute(_OUTPUTS_AT, {"places": places}).mappings().all()
    missing = sorted(wanted - {(row["place"], row["submitter"]) for row in known})
    if missing:
        connection.execute(
            _INSERT_OUTPUTS, [{"place": place, "submitter": name} for place, name in missing]
        )


def put_jobs(connection: Connection, puts: Sequence[tuple[Row, Delivery | None]]) -> list[None]:
    """Update jobs, and insert what is owed because of it."""
    changes = [
        {"which": row["run_id"], **{name: row[name] for name in _CHANGING}} for row, _ in puts
    ]
    connection.execute(_UPDATE_JOBS, changes)
    owed = [_delivery_row(delivery) for _, delivery in puts if delivery is not None]
    if owed:
        connection.execute(_INSERT_DELIVERIES, owed)
    return [None] * len(puts)


def forget_jobs(connection: Connection, jobs: Sequence[tuple[RunId, str | None]]) -> list[None]:
    """Delete jobs, and whose the outputs are that have gone with them."""
    connection.execute(_DELETE_JOBS, [{"which": run_id} for run_id, _ in jobs])
    gone = [{"which": place_of(output)} for _, output in jobs if output is not None]
    if gone:
        connection.execute(_DELETE_OUTPUTS, gone)
    return [None] * len(jobs)


def settle_deliveries(connection: Connection, deliveries: Sequence[Delivery]) -> list[None]:
    """Delete what is owed no more."""
    connection.execute(_DELETE_DELIVERIES, [_which(one) for one in deliveries])
    return [None] * len(deliveries)


def count_failures(connection: Connection, deliveries: Sequence[Delivery]) -> list[None]:
    """Update how often deliveries have failed."""
    changes = [{**_which(one), "failures": one.failures} for one in deliveries]
    connection.execute(_COUNT_FAILURES, changes)
    return [None] * len(deliveries)


def _which(delivery: Delivery) -> Row:
    return {"which": delivery.run_id, "which_sequence": delivery.sequence}


def _delivery_row(delivery: Delivery) -> Row:
    return {
        "run_id": delivery.run_id,
        "sequence": delivery.sequence,
        "url": delivery.url,
        "body": delivery.body,
        "owed_since": micros(delivery.owed_since),
        "failures": delivery.failures,
    }


def touch(connection: Connection, wanted: Sequence[None]) -> Sequence[None]:
    """Write what is there already: that it goes to disk shows that other writes would."""
    connection.execute(VERSION.update().values(version=VERSION.c.version))
    return wanted


def look(connection: Connection, wanted: Sequence[None]) -> Sequence[None]:
    """Write nothing: that there is a transaction shows whose the store is."""
    connection.execute(select(1))
    return wanted
