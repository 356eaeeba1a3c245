"""Files held open: what was looked at is what is read, whoever changes names meanwhile.

Nothing is opened twice, no link is followed on the way, and only regular files are opened, which
never block.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

_HASHED_BYTES = 1 << 20
# Where there is such a thing, a folder on the way need not be readable, only to be passed.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NotRegularError(OSError):
    """A folder, a pipe or a device where a file should be."""


class HeldFile:
    """A regular file, open; closing it a second time does nothing.

    Attributes:
        status: as it was when it was opened.
        size_bytes: as it was when it was opened.
        links: how many names the file has.
    """

    def __init__(self, descriptor: int) -> None:
        """Take over a descriptor.

        Raises:
            NotRegularError: it is no regular file; the descriptor is closed.
        """
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise NotRegularError(errno.EISDIR, "it is no regular file")
        self.status = status
        self.size_bytes = status.st_size
        self.links = status.st_nlink
        self._descriptor: int | None = descriptor

    def arrow(self) -> pa.NativeFile:
        """Return the file for Arrow to read; it has a life of its own.

        Arrow gets no Python object: its threads may still hold one when the interpreter has gone.
        """
        return pa.OSFile(f"/dev/fd/{self._fd()}")

    def reader(self) -> io.BufferedReader:
        """Return the bytes from the start, for as long as the file is held."""
        return io.BufferedReader(_Positioned(self))

    def sha256(self) -> str:
        """Return the SHA-256 of all bytes, in hexadecimal."""
        digest, at = hashlib.sha256(), 0
        while data := self.read_at(at, _HASHED_BYTES):
            digest.update(data)
            at += len(data)
        return digest.hexdigest()

    def read_at(self, start: int, count: int) -> bytes:
        """Return up to `count` bytes from `start`; nothing at the end."""
        return os.pread(self._fd(), count, start)

    def close(self) -> None:
        """Let go of it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _fd(self) -> int:
        if self._descriptor is None:
            raise ValueError("the file is closed")
        return self._descriptor


def open_at(path: Path) -> HeldFile:
    """Open a file by its real path.

    Args:
        path: absolute, without symbolic links in it.

    Raises:
        OSError: it is not there, lies behind a link, or is no regular file.
    """
    with opened_folder(path.parent) as folder:
        return HeldFile(open_below(folder, (), path.name))


@contextmanager
def opened_folder(folder: Path) -> Iterator[int]:
    """Hold a folder by its names from the root on, none of which may be a link; a descriptor."""
    descriptor = os.open(folder.anchor, _FOLDER)
    try:
        for name in folder.parts[1:]:
            inner = os.open(name, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def open_below(top: int, folders: Sequence[str], name: str) -> int:
    """Return a descriptor of a file below a folder that is held; no link leads to it.

    Raises:
        OSError: it is not there, or a link or no folder lies on the way.
    """
    descriptor = os.dup(top)
    try:
        for folder in folders:
            inner = os.open(folder, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        return os.open(name, _FILE, dir_fd=descriptor)
    finally:
        os.close(descriptor)


class _Positioned(io.RawIOBase):
    """A held file read from a position of its own."""

    def __init__(self, file: HeldFile) -> None:
        super().__init__()
        self._file = file
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._file.size_bytes}
        self._at = max(base[whence] + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._file.read_at(self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
