"""Sessions of browsers; a table holds only what a cookie hashes to."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, insert, select

from kalla_app.access.people import Person, Role, digest
from kalla_app.store.database import Database
from kalla_app.store.tables import SESSIONS
from kalla_core.moments import micros

LIFE = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that somebody came in by.

    Attributes:
        csrf: the word that forms of this session bring along.
    """

    person: Person
    csrf: str = field(repr=False)


class Sessions:
    """Asyncio."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, person: Person) -> tuple[str, Session]:
        """Return the cookie of a new session, and the session."""
        cookie, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
        now = datetime.now(UTC)
        async with self._database.writing() as connection:
            await connection.execute(delete(SESSIONS).where(SESSIONS.c.expires_at < micros(now)))
            await connection.execute(
                insert(SESSIONS).values(
                    digest=digest(cookie),
                    name=person.name,
                    role=person.role.word,
                    csrf=csrf,
                    expires_at=micros(now + LIFE),
                )
            )
        return cookie, Session(person, csrf)

    async def find(self, cookie: str) -> Session | None:
        """Return the session of a cookie, if it has not ended."""
        query = select(SESSIONS).where(
            SESSIONS.c.digest == digest(cookie), SESSIONS.c.expires_at > micros(datetime.now(UTC))
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).mappings().first()
        if row is None:
            return None
        return Session(Person(row["name"], Role[row["role"].upper()]), row["csrf"])

    async def end(self, cookie: str) -> None:
        """End a session."""
        async with self._database.writing() as connection:
            await connection.execute(delete(SESSIONS).where(SESSIONS.c.digest == digest(cookie)))
