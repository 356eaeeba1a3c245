"""The audit trail: who did what, when, and what was there before and after.

Entries are only ever added, in the transaction of what they tell of. Each holds a hash over itself
and the one before, so that one that was changed or taken out shows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from kalla_app.store.tables import AUDIT, CHAINING
from kalla_core.jobs.document import time_text
from kalla_core.moments import micros, moment_of
from kalla_core.recipe.write import canonical_json

Json = dict[str, Any]


async def add(
    connection: AsyncConnection,
    who: str,
    action: str,
    subject: str,
    *,
    before: Any = None,
    after: Any = None,
) -> None:
    """Add an entry; its documents are fit to be shown.

    Args:
        action: a word, as `source.save`.
        subject: what it was done to, as `source/payments`.
    """
    if connection.dialect.name == "postgresql":
        await connection.execute(text(f"SELECT pg_advisory_xact_lock({CHAINING})"))
    last = select(AUDIT.c.number, AUDIT.c.chain).order_by(AUDIT.c.number.desc()).limit(1)
    found = (await connection.execute(last)).first()
    number, chain = (0, "") if found is None else found
    entry: Json = {
        "number": number + 1,
        "at": micros(datetime.now(UTC)),
        "who": who,
        "action": action,
        "subject": subject,
        "before": _text(before),
        "after": _text(after),
    }
    await connection.execute(insert(AUDIT).values(**entry, chain=link(chain, entry)))


def link(chain: str, entry: Json) -> str:
    """Return the hash of an entry and of all before it."""
    return hashlib.sha256(f"{chain}\n{canonical_json(entry)}".encode()).hexdigest()


async def page(
    connection: AsyncConnection, limit: int, before: int | None, subject: str | None
) -> list[Json]:
    """Return entries, newest first.

    Args:
        before: only those of lesser numbers.
        subject: only those of what this begins, as `run/`.
    """
    query = select(AUDIT).order_by(AUDIT.c.number.desc()).limit(limit)
    if before is not None:
        query = query.where(AUDIT.c.number < before)
    if subject is not None:
        query = query.where(AUDIT.c.subject.startswith(subject, autoescape=True))
    rows = (await connection.execute(query)).mappings().all()
    return [
        {
            **row,
            "at": time_text(moment_of(row["at"])),
            "before": _document(row["before"]),
            "after": _document(row["after"]),
        }
        for row in rows
    ]


async def broken_at(connection: AsyncConnection) -> int | None:
    """Return the number of the first entry that is not as it was added; None if all are."""
    chain, expected = "", 1
    rows = (await connection.execute(select(AUDIT).order_by(AUDIT.c.number))).mappings().all()
    for row in rows:
        entry = {name: value for name, value in row.items() if name != "chain"}
        chain = link(chain, entry)
        if row["number"] != expected or row["chain"] != chain:
            return expected
        expected += 1
    return None


def changed(before: Json, after: Json) -> Sequence[str]:
    """Return the names of the fields that differ."""
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))


def _text(document: Any) -> str | None:
    return None if document is None else canonical_json(document)


def _document(written: str | None) -> Any:
    return None if written is None else json.loads(written)
