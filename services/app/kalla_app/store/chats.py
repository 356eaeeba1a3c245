"""Conversations of the recipe builder as they are kept: their events, in order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import and_, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from kalla_app.builder.events import Event, Kind
from kalla_app.store.cursors import cursor, place_of
from kalla_app.store.tables import CHAT_EVENTS, CHATS
from kalla_core.moments import micros, moment_of


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation.

    Attributes:
        events: how many there are.
    """

    session_id: str
    title: str
    phase: str
    events: int
    created_by: str
    created_at: datetime
    updated_at: datetime


_COLUMNS = [column for column in CHATS.c if not column.name.startswith("held_")]


async def add(connection: AsyncConnection, chat: Chat) -> None:
    """Keep a new conversation, without events."""
    await connection.execute(
        insert(CHATS).values(
            session_id=chat.session_id,
            title=chat.title,
            phase=chat.phase,
            events=0,
            created_by=chat.created_by,
            created_at=micros(chat.created_at),
            updated_at=micros(chat.updated_at),
            held_until=0,
        )
    )


async def find(
    connection: AsyncConnection, session_id: str, *, change: bool = False
) -> Chat | None:
    """Return a conversation; None if there is none.

    Args:
        change: whether it is about to be changed, so that others who would wait.
    """
    query = select(*_COLUMNS).where(CHATS.c.session_id == session_id)
    query = query.with_for_update() if change else query
    row = (await connection.execute(query)).mappings().first()
    return None if row is None else _chat_of(row)


async def page(
    connection: AsyncConnection, limit: int, after: str | None
) -> tuple[list[Chat], str | None]:
    """Return conversations, those that changed last first, and the cursor of the next page.

    Raises:
        InvalidSetting: the cursor is none.
    """
    query = select(*_COLUMNS).order_by(CHATS.c.updated_at.desc(), CHATS.c.session_id.desc())
    if after is not None:
        at, session_id = place_of(after, (int, str))
        same = and_(CHATS.c.updated_at == at, CHATS.c.session_id < session_id)
        query = query.where(or_(CHATS.c.updated_at < at, same))
    rows = (await connection.execute(query.limit(limit + 1))).mappings().all()
    found = [_chat_of(row) for row in rows[:limit]]
    more = len(rows) > limit
    return found, cursor(micros(found[-1].updated_at), found[-1].session_id) if more else None


async def events(connection: AsyncConnection, session_id: str, behind: int = 0) -> list[Event]:
    """Return the events of a conversation in order, those behind a number."""
    query = (
        select(CHAT_EVENTS)
        .where(CHAT_EVENTS.c.session_id == session_id, CHAT_EVENTS.c.number > behind)
        .order_by(CHAT_EVENTS.c.number)
    )
    rows = (await connection.execute(query)).mappings().all()
    return [
        Event(
            row["number"],
            Kind(row["kind"]),
            row["who"],
            moment_of(row["at"]),
            json.loads(row["document"]),
        )
        for row in rows
    ]


async def append(
    connection: AsyncConnection, chat: Chat, kind: Kind, who: str, document: Mapping[str, Any]
) -> Event:
    """Add the next event of a conversation that was found to be changed."""
    event = Event(chat.events + 1, kind, who, datetime.now(UTC), document)
    await connection.execute(
        insert(CHAT_EVENTS).values(
            session_id=chat.session_id,
            number=event.number,
            kind=kind.value,
            who=who,
            at=micros(event.at),
            document=json.dumps(document),
        )
    )
    await connection.execute(
        update(CHATS)
        .where(CHATS.c.session_id == chat.session_id)
        .values(events=event.number, updated_at=micros(event.at))
    )
    return event


async def describe(connection: AsyncConnection, session_id: str, title: str, phase: str) -> None:
    """Keep what lists say of a conversation."""
    chat = update(CHATS).where(CHATS.c.session_id == session_id)
    await connection.execute(chat.values(title=title, phase=phase))


async def hold(connection: AsyncConnection, session_id: str, holder: str, lease: timedelta) -> bool:
    """Take a conversation for a while, or longer; return whether nobody else has it."""
    now = datetime.now(UTC)
    free = or_(CHATS.c.held_by == holder, CHATS.c.held_until < micros(now))
    taken = await connection.execute(
        update(CHATS)
        .where(CHATS.c.session_id == session_id, free)
        .values(held_by=holder, held_until=micros(now + lease))
    )
    return bool(taken.rowcount)


async def release(connection: AsyncConnection, session_id: str, holder: str) -> None:
    """Let others take a conversation that this holder has."""
    await connection.execute(
        update(CHATS)
        .where(CHATS.c.session_id == session_id, CHATS.c.held_by == holder)
        .values(held_by=None, held_until=0)
    )


def _chat_of(row: Any) -> Chat:
    return Chat(
        session_id=row["session_id"],
        title=row["title"],
        phase=row["phase"],
        events=row["events"],
        created_by=row["created_by"],
        created_at=moment_of(row["created_at"]),
        updated_at=moment_of(row["updated_at"]),
    )
