"""Sessions of browsers; a table holds only what a cookie hashes to."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import bindparam, delete, insert, select

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


_BELIEVED_S = 1.0
"""How long what was read of a session holds here; another app may have ended it meanwhile."""

_MOST = 4096

_FIND = select(SESSIONS).where(
    SESSIONS.c.digest == bindparam("digest"), SESSIONS.c.expires_at > bindparam("now")
)


class Sessions:
    """Asyncio."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._read: dict[str, tuple[float, Session]] = {}

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
        name, now_s = digest(cookie), time.monotonic()
        until_s, known = self._read.get(name, (0.0, None))
        if known is not None and now_s < until_s:
            return known
        self._read.pop(name, None)
        asked = {"digest": name, "now": micros(datetime.now(UTC))}
        async with self._database.reading() as connection:
            row = (await connection.execute(_FIND, asked)).mappings().first()
        if row is None:
            return None
        session = Session(Person(row["name"], Role[row["role"].upper()]), row["csrf"])
        if len(self._read) >= _MOST:
            self._read.clear()
        self._read[name] = now_s + _BELIEVED_S, session
        return session

    async def end(self, cookie: str) -> None:
        """End a session; other apps on this database believe in it for a second more."""
        self._read.pop(digest(cookie), None)
        async with self._database.writing() as connection:
            await connection.execute(delete(SESSIONS).where(SESSIONS.c.digest == digest(cookie)))
