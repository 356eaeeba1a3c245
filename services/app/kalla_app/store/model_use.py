"""How many tokens models have used up on a day, in all conversations."""

from __future__ import annotations

from datetime import UTC, date, datetime

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from kalla_app.store.tables import MODEL_USE


def today() -> date:
    """Return the day it is, UTC."""
    return datetime.now(UTC).date()


async def used(connection: AsyncConnection, day: date) -> int:
    """Return how many tokens a day has; others who would use some wait until the writing ends."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    first = dialect.insert(MODEL_USE).values(day=day.isoformat(), tokens=0)
    await connection.execute(first.on_conflict_do_nothing())
    query = select(MODEL_USE.c.tokens).where(MODEL_USE.c.day == day.isoformat()).with_for_update()
    return int((await connection.execute(query)).scalar_one())


async def add(connection: AsyncConnection, day: date, tokens: int) -> None:
    """Add to what a day has, once `used` was asked; less than nothing gives back."""
    more = update(MODEL_USE).where(MODEL_USE.c.day == day.isoformat())
    await connection.execute(more.values(tokens=MODEL_USE.c.tokens + tokens))
