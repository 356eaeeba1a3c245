"""The tables of the job store, and how older ones become these."""

from __future__ import annotations

import json

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    select,
    text,
)
from sqlalchemy.schema import CreateIndex, CreateTable

from kalla_coordinator.jobs.outputs import place_of

POSTGRES_SCHEMA = "kalla"

METADATA = MetaData()

VERSION = Table("kalla_schema", METADATA, Column("version", Integer, nullable=False))

JOBS = Table(
    "jobs",
    METADATA,
    # Times are microseconds since 1970, UTC: exact, and the same in both databases.
    Column("run_id", Text, primary_key=True),
    Column("recipe_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("accepted_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("told", BigInteger, nullable=False),
    Column("callback_url", Text),
    Column("request", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("document", Text, nullable=False),
)
_BY_TIME = Index("jobs_by_time", JOBS.c.accepted_at, JOBS.c.run_id)
_BY_STATUS = Index("jobs_by_status", JOBS.c.status, JOBS.c.accepted_at)

DELIVERIES = Table(
    "deliveries",
    METADATA,
    Column("run_id", Text, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("url", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("owed_since", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False),
)

OWNER = Table("owner", METADATA, Column("name", Text, nullable=False))
"""The coordinator that had the store last; one row."""

OUTPUTS = Table(
    "outputs",
    METADATA,
    Column("place", Text, primary_key=True),
    Column("submitter", Text, primary_key=True),
)
"""Who has made what; it outlives the job where the caller named the place."""

# Each entry leads from the version before it; what has landed is never changed.
_MIGRATIONS = (
    (CreateTable(JOBS), CreateTable(DELIVERIES), CreateIndex(_BY_TIME), CreateIndex(_BY_STATUS)),
    (CreateTable(OWNER),),
    (CreateTable(OUTPUTS),),
    (),  # see `_know_outputs`
)
_OUTPUTS_KNOWN = 4
_PAGE_ROWS = 500


def migrate(connection: Connection) -> None:
    """Bring the tables to this version, in one transaction of the caller.

    Raises:
        ValueError: the tables are of a newer Kalla.
    """
    if connection.dialect.name == "postgresql":
        # One coordinator at a time; the lock goes with the transaction.
        connection.execute(text("SELECT pg_advisory_xact_lock(5207317)"))
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {POSTGRES_SCHEMA}"))
    connection.execute(CreateTable(VERSION, if_not_exists=True))
    found = connection.execute(VERSION.select()).scalar()
    version = found or 0
    if version > len(_MIGRATIONS):
        raise ValueError(f"the tables are of version {version}, newer than {len(_MIGRATIONS)}")
    for statements in _MIGRATIONS[version:]:
        for statement in statements:
            connection.execute(statement)
    if found is not None and version < _OUTPUTS_KNOWN:
        _know_outputs(connection)
    if found is None:
        connection.execute(VERSION.insert().values(version=len(_MIGRATIONS)))
    elif version < len(_MIGRATIONS):
        connection.execute(VERSION.update().values(version=len(_MIGRATIONS)))


def _know_outputs(connection: Connection) -> None:
    """Keep whose the outputs of older versions' jobs are: nobody's, where that is not known."""
    pages = select(JOBS.c.run_id, JOBS.c.document).order_by(JOBS.c.run_id).limit(_PAGE_ROWS)
    last = ""
    while rows := connection.execute(pages.where(JOBS.c.run_id > last)).all():
        last = rows[-1].run_id
        documents = [json.loads(row.document) for row in rows]
        made = {(place_of(one["output_path"]), one.get("submitter", "")) for one in documents}
        places = sorted({place for place, _ in made})
        known = connection.execute(select(OUTPUTS).where(OUTPUTS.c.place.in_(places)))
        owned = {row.place for row in known}
        new = [{"place": at, "submitter": who} for at, who in sorted(made) if at not in owned]
        if new:
            connection.execute(OUTPUTS.insert(), new)
