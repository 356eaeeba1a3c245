"""What the file system answers, in Kalla's words; and a file that is hashed as it is written."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kalla_core.errors import KallaError, OutOfDisk, OutputNotWritable

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

Bytes = bytes | memoryview

_SYNCED_AT_ONCE_BYTES = 8 << 20
"""After so many more a file is synced while it grows, so that little is left to wait for."""


def is_full(error: OSError) -> bool:
    """Whether there was no room: on the disk, within a quota, or within a limit of file sizes."""
    return error.errno in _FULL


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an `OSError` of the block into `OutOfDisk` or `OutputNotWritable`, naming `path`."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, path) from error


def disk_error(error: OSError, path: Path) -> KallaError:
    """Return what `error` means for somebody who wants output at `path`."""
    said = (error.strerror or str(error)).lower()
    if is_full(error):
        return OutOfDisk(f"There is no space left to write {path}: {said}.", path=str(path))
    return OutputNotWritable(f"The output {path} cannot be written: {said}.", path=str(path))


def sync_folder(path: Path) -> None:
    """Make the names in a folder survive a power cut, where the file system can do that."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot sync a folder
            raise
    finally:
        os.close(descriptor)


def sizes_below(folder: Path) -> dict[str, int]:
    """Return the bytes of each file below a folder, by its name in it; links are not followed."""
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return {str(path.relative_to(folder)): path.lstat().st_size for path in found}


class HashedFile:
    """A new file that only grows; knows its length and its SHA-256. Not thread-safe.

    Its methods raise `OutOfDisk` and `OutputNotWritable`.
    """

    def __init__(self, path: Path, head: bytes = b"") -> None:
        """Create or empty the file at `path`, and write `head`."""
        import hashlib  # brings OpenSSL, and who only commits files has hashed none

        self.path = path
        self.bytes = 0
        self._hash = hashlib.sha256()
        self._synced = 0
        self._syncing: Future[None] | None = None
        self._pool: ThreadPoolExecutor | None = None
        with disk_errors(path):
            self._file = path.open("wb", buffering=0)
        try:
            self.write(head)
        except KallaError:
            self.abandon()
            raise

    def write(self, data: Bytes) -> None:
        """Add `data` at the end."""
        rest = memoryview(data).cast("B")
        self._hash.update(rest)
        self.bytes += len(rest)
        with disk_errors(self.path):
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
            if self.bytes - self._synced >= _SYNCED_AT_ONCE_BYTES:
                self._sync_beside()

    def finish(self) -> str:
        """Make the file durable, close it, and return its SHA-256 in hexadecimal."""
        with disk_errors(self.path):
            try:
                if self._syncing is not None:
                    self._syncing.result()  # what went wrong is told once, to that thread
                os.fsync(self._file.fileno())
            finally:
                self._close()
        return self._hash.hexdigest()

    def abandon(self) -> None:
        """Close the file as it is; a second time does nothing."""
        with disk_errors(self.path):
            self._close()

    def _sync_beside(self) -> None:
        if self._syncing is not None:
            if not self._syncing.done():
                return
            self._syncing.result()
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(1, "sync")
        self._synced = self.bytes
        self._syncing = self._pool.submit(os.fsync, self._file.fileno())

    def _close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()  # it has the file's number
        self._file.close()
