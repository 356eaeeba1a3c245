"""Where uploads lie: a folder of this machine, or a bucket that several apps see.

A file appears whole or not at all, whoever is killed meanwhile.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from pathlib import Path
from typing import Protocol

from kalla_app.errors import Conflict
from kalla_core.errors import OutOfDisk, StoreUnavailable
from kalla_core.s3 import multipart
from kalla_core.s3.bucket import Bucket
from kalla_core.s3.location import S3Location, is_s3
from kalla_core.s3.multipart import MOST_PARTS, PART_BYTES, PendingUpload
from kalla_core.s3.troubles import S3Error, Trouble

Write = Callable[[bytes], Awaitable[None]]
_PARTIAL = ".part"


class Place(Protocol):
    """Keeps files of uploads; asyncio."""

    def uri(self, upload_id: str, name: str) -> str:
        """Return where a file will lie, as a coordinator reads it."""

    def writing(self, uri: str) -> AbstractAsyncContextManager[Write]:
        """Write a file piece by piece; it is there when the block has ended well.

        Raises:
            OutOfDisk: there is no room for it.
            StoreUnavailable: the bucket does not take it.
            Conflict: it has come already, by another request.
        """

    async def remove(self, uri: str) -> None:
        """Remove a file and what is left of tries to bring it; that there is none is fine.

        Raises:
            StoreUnavailable: the bucket does not answer.
        """


class FolderPlace:
    """Keeps them below a folder, which need not exist."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def uri(self, upload_id: str, name: str) -> str:
        """Return the path of a file."""
        return str(self._folder / upload_id / name)

    @asynccontextmanager
    async def writing(self, uri: str) -> AsyncIterator[Write]:
        """Write a file under another name, which it loses at the end."""
        path = Path(uri)
        part = path.with_name(f"{path.name}.{secrets.token_hex(4)}{_PARTIAL}")
        try:
            await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True, mode=0o700)
            file = await asyncio.to_thread(part.open, "xb")
            try:

                async def write(piece: bytes) -> None:
                    await asyncio.to_thread(file.write, piece)

                yield write
            finally:
                await asyncio.to_thread(file.close)
            await asyncio.to_thread(part.replace, path)
        except OSError as error:
            raise OutOfDisk(f"The file cannot be kept: {error.strerror}.") from error
        finally:
            with suppress(OSError):
                await asyncio.to_thread(part.unlink, missing_ok=True)

    async def remove(self, uri: str) -> None:
        """Remove the folder of an upload."""
        folder = Path(uri).parent
        if folder.parent == self._folder:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


class BucketPlace:
    """Keeps them in a bucket, each below a key of its own.

    Args:
        most_bytes: of a file; by it the parts are measured that one is put in.
    """

    def __init__(self, bucket: Bucket, most_bytes: int) -> None:
        self._bucket = bucket
        self._part_bytes = max(PART_BYTES, -(-most_bytes // MOST_PARTS))

    def uri(self, upload_id: str, name: str) -> str:
        """Return the address of a file."""
        return str(S3Location(self._bucket.name, f"{upload_id}/{name}"))

    @asynccontextmanager
    async def writing(self, uri: str) -> AsyncIterator[Write]:
        """Put a file in parts; the store shows it when all are there."""
        key = S3Location.parse(uri).key
        with _told():
            upload_id = await asyncio.to_thread(multipart.begin, self._bucket, key)
        held, etags, size = bytearray(), list[str](), 0

        async def put(data: bytes) -> None:
            number = len(etags) + 1
            given = (self._bucket, key, upload_id, number, data)
            etags.append(await asyncio.to_thread(multipart.put_part, *given))

        async def write(piece: bytes) -> None:
            nonlocal size
            size += len(piece)
            held.extend(piece)
            while len(held) >= self._part_bytes:
                with _told():
                    await put(bytes(held[: self._part_bytes]))
                del held[: self._part_bytes]

        try:
            yield write
            with _told():
                if held or not etags:  # an empty file is one empty part
                    await put(bytes(held))
                pending = PendingUpload(key, upload_id, tuple(etags), size)
                await asyncio.to_thread(multipart.complete, self._bucket, pending)
        except BaseException:
            with suppress(S3Error):
                await asyncio.to_thread(multipart.abort_by_id, self._bucket, key, upload_id)
            raise
        with suppress(StoreUnavailable):  # the sweep comes by as well
            await self._abort(key)

    async def remove(self, uri: str) -> None:
        """Remove an object."""
        if not is_s3(uri):
            return
        key = S3Location.parse(uri).key
        await self._abort(key)
        with _told():
            await asyncio.to_thread(self._bucket.delete, key)

    async def _abort(self, key: str) -> None:
        """Let go of what other tries have brought, also those of apps that were killed."""

        def abort() -> None:
            for found, upload_id in list(self._bucket.uploads(key)):
                multipart.abort_by_id(self._bucket, found, upload_id)

        with _told():
            await asyncio.to_thread(abort)


@contextmanager
def _told() -> Iterator[None]:
    """Say as one of our errors what the store has answered."""
    try:
        yield
    except S3Error as error:
        if error.trouble is Trouble.NO_KEY:
            raise Conflict("The file has come already, by another request.") from error
        raise StoreUnavailable(f"The bucket of uploads {error.sentence}") from error
