"""Conversations and what models use up, as both databases keep them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kalla_app.builder.events import Kind
from kalla_app.store import chats, model_use
from kalla_app.store.database import Database, opened

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
async def database(database_url: str | None, tmp_path: Path) -> AsyncIterator[Database]:
    async with opened(database_url, tmp_path) as database:
        yield database


async def test_what_a_model_used_up_counts_for_its_day_and_no_other(database: Database) -> None:
    today = model_use.today()
    async with database.writing() as connection:
        before = await model_use.used(connection, today)
        await model_use.add(connection, today, 500)
        await model_use.add(connection, today, -200)
    async with database.writing() as connection:
        after = await model_use.used(connection, today)
        tomorrow = await model_use.used(connection, today + timedelta(days=1))

    assert (before, after, tomorrow) == (0, 300, 0)


async def test_a_conversation_is_kept_event_by_event_and_held_by_one_at_a_time(
    database: Database,
) -> None:
    chat = chats.Chat("c1", "New recipe", "greeting", 0, "anna", NOW, NOW)
    async with database.writing() as connection:
        await chats.add(connection, chat)
        await chats.append(connection, chat, Kind.SAID, "anna", {"text": "\N{SNOWMAN} hello"})
        mine = await chats.hold(connection, "c1", "one", timedelta(seconds=60))
        others = await chats.hold(connection, "c1", "two", timedelta(seconds=60))
        await chats.release(connection, "c1", "one")
        then = await chats.hold(connection, "c1", "two", timedelta(seconds=60))
        await chats.describe(connection, "c1", "Paid invoices", "intent")
    async with database.reading() as connection:
        found = await chats.find(connection, "c1")
        (event,) = await chats.events(connection, "c1")
        page, following = await chats.page(connection, 5, None)

    assert (mine, others, then) == (True, False, True)
    assert found is not None
    assert (found.title, found.phase, found.events) == ("Paid invoices", "intent", 1)
    assert (event.number, event.who, event.document["text"]) == (1, "anna", "\N{SNOWMAN} hello")
    assert ([one.session_id for one in page], following) == (["c1"], None)
