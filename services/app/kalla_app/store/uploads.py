"""Uploads as they are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, exists, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from kalla_app.store.tables import SOURCES, UPLOADS
from kalla_core.moments import micros, moment_of


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that somebody brings.

    Attributes:
        uri: where it lies, or will.
        bytes: None until it is there.
    """

    upload_id: str
    filename: str
    uri: str
    created_by: str
    created_at: datetime
    bytes: int | None = None


async def add(connection: AsyncConnection, upload: Upload) -> None:
    """Keep a new upload."""
    await connection.execute(
        insert(UPLOADS).values(
            upload_id=upload.upload_id,
            filename=upload.filename,
            uri=upload.uri,
            created_by=upload.created_by,
            created_at=micros(upload.created_at),
        )
    )


async def find(connection: AsyncConnection, upload_id: str) -> Upload | None:
    """Return an upload; None if there is none."""
    query = select(UPLOADS).where(UPLOADS.c.upload_id == upload_id)
    row = (await connection.execute(query)).mappings().first()
    return None if row is None else _upload_of(row)


async def arrived(connection: AsyncConnection, upload_id: str, size_bytes: int) -> None:
    """Keep that the file is there."""
    await connection.execute(
        update(UPLOADS).where(UPLOADS.c.upload_id == upload_id).values(bytes=size_bytes)
    )


async def unused(connection: AsyncConnection, before: datetime, limit: int) -> list[Upload]:
    """Return uploads that are older and that no source lies in."""
    used = exists().where(SOURCES.c.uri == UPLOADS.c.uri)
    query = select(UPLOADS).where(UPLOADS.c.created_at < micros(before), ~used).limit(limit)
    return [_upload_of(row) for row in (await connection.execute(query)).mappings().all()]


async def remove(connection: AsyncConnection, upload_id: str) -> None:
    """Forget an upload."""
    await connection.execute(delete(UPLOADS).where(UPLOADS.c.upload_id == upload_id))


def _upload_of(row: Any) -> Upload:
    return Upload(
        row["upload_id"],
        row["filename"],
        row["uri"],
        row["created_by"],
        moment_of(row["created_at"]),
        row["bytes"],
    )
