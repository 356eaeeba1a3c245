"""Signs for files, takes them in piece by piece, looks into them, and sweeps what nobody uses."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from kalla_app.errors import Conflict, NotFound
from kalla_app.store import audit, uploads
from kalla_app.store.database import Database
from kalla_app.store.uploads import Upload
from kalla_app.uploads.places import Place
from kalla_app.uploads.ticket import Ticket, is_good, safe_name, ticket
from kalla_core.client.client import Client
from kalla_core.errors import NotAllowed, RequestRefused, RequestTooLarge, StoreUnavailable
from kalla_core.observe.logs import get_logger

Json = dict[str, Any]

LIFE = timedelta(hours=1)
"""How long somebody may begin to put a file."""

KEPT = timedelta(days=7)
"""How long a file stays that no source lies in."""

_SWEEP_INTERVAL_S = 3600.0
_AT_ONCE = 500
_WRITTEN_AT_ONCE = 1 << 20
"""Bytes for which it is worth to wake a thread; pieces come in tens of thousands."""


class Dock:
    """Asyncio.

    Args:
        place: where files lie.
        key: signs tickets.
        address: of the app.
        most_bytes: of a file.
    """

    def __init__(
        self,
        database: Database,
        client: Client,
        place: Place,
        key: bytes,
        address: str,
        most_bytes: int,
    ) -> None:
        self._database = database
        self._client = client
        self._place = place
        self._key = key
        self._address = address
        self._most_bytes = most_bytes

    async def sign(self, filename: str, who: str) -> Json:
        """Return where a file may be put, and where it will lie then.

        Raises:
            RequestRefused: it has no name.
        """
        if not filename.strip():
            raise RequestRefused("Say what the file is called: `filename`.")
        upload_id = secrets.token_hex(16)
        uri = self._place.uri(upload_id, safe_name(filename))
        now = datetime.now(UTC)
        async with self._database.writing() as connection:
            await uploads.add(connection, Upload(upload_id, filename, uri, who, now))
        signed = ticket(upload_id, int((now + LIFE).timestamp()), self._key)
        return {
            "upload_id": upload_id,
            "presigned_url": f"{self._address}/api/uploads/{upload_id}/content?{signed.query}",
            "s3_uri": uri,
        }

    async def take(self, shown: Ticket, pieces: AsyncIterator[bytes]) -> int:
        """Take a file in, all of it or nothing; return its bytes.

        Raises:
            NotAllowed: the ticket is not good, or no longer.
            Conflict: the file is there already.
            RequestTooLarge: it is larger than a file may be.
            OutOfDisk: there is no room for it.
            StoreUnavailable: the bucket does not take it.
        """
        if not is_good(shown, time.time(), self._key):
            raise NotAllowed("This address was not signed by this app, or its hour is over.")
        upload = await self._find(shown.upload_id)
        if upload.bytes is not None:
            raise Conflict("The file is there already.", upload_id=upload.upload_id)
        size, held = 0, bytearray()
        async with self._place.writing(upload.uri) as write:
            async for piece in pieces:
                size += len(piece)
                if size > self._most_bytes:
                    raise RequestTooLarge(
                        f"A file may have {self._most_bytes} bytes.", max_bytes=self._most_bytes
                    )
                held += piece
                if len(held) >= _WRITTEN_AT_ONCE:
                    await write(bytes(held))
                    held.clear()
            await write(bytes(held))
        async with self._database.writing() as connection:
            await uploads.arrived(connection, upload.upload_id, size)
            after = {"filename": upload.filename, "bytes": size}
            subject = f"upload/{upload.upload_id}"
            await audit.add(connection, upload.created_by, "upload.take", subject, after=after)
        return size

    async def look(self, upload_id: str, rows: int, reading: Json) -> Json:
        """Return what is in a file, as the coordinator reads it, or as it seems to be written.

        Args:
            reading: `types` and `format`, as a recipe's source has them.

        Raises:
            NotFound: there is no such upload, or its file has not come.
            KallaError: it cannot be read; says which line and why.
        """
        upload = await self._find(upload_id)
        if upload.bytes is None:
            raise NotFound("The file of this upload has not come yet.", upload_id=upload_id)
        seen = await self._client.preview(
            upload.uri, rows, types=reading.get("types"), format=reading.get("format")
        )
        return {
            "upload_id": upload_id,
            "filename": upload.filename,
            "s3_uri": upload.uri,
            "columns": seen["columns"],
            "row_count": seen["row_count"],
            "rows": seen["rows"],
            "notes": seen["notes"],
            "guess": seen["guess"],
        }

    async def remove(self, upload_id: str, who: str) -> None:
        """Remove a file.

        Raises:
            NotFound: there is no such upload.
        """
        upload = await self._find(upload_id)
        await self._forget(upload)
        async with self._database.writing() as connection:
            await audit.add(connection, who, "upload.remove", f"upload/{upload_id}")

    async def sweep(self, older_than: timedelta = KEPT) -> int:
        """Remove files that are so old and that no source lies in; return how many."""
        async with self._database.reading() as connection:
            found = await uploads.unused(connection, datetime.now(UTC) - older_than, _AT_ONCE)
        for upload in found:
            await self._forget(upload)
        return len(found)

    async def keep_swept(self) -> None:
        """Sweep every hour, until cancelled."""
        while True:
            with suppress(StoreUnavailable):
                if count := await self.sweep():
                    get_logger().info("uploads_swept", count=count)
            await asyncio.sleep(_SWEEP_INTERVAL_S)

    async def _forget(self, upload: Upload) -> None:
        await self._place.remove(upload.uri)
        async with self._database.writing() as connection:
            await uploads.remove(connection, upload.upload_id)

    async def _find(self, upload_id: str) -> Upload:
        async with self._database.reading() as connection:
            found = await uploads.find(connection, upload_id)
        if found is None:
            raise NotFound(f"There is no upload {upload_id}.", upload_id=upload_id)
        return found
