"""Files of evidence held open: what was looked at is what is read, whoever changes names meanwhile.

A folder of evidence may lie where others can write. So nothing is opened twice, no link is
followed below the folder, and only regular files are opened, which never block.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import pyarrow as pa

from kalla_core.evidence.publish import CURRENT, INSIDE

_HASHED_BYTES = 1 << 20
_TRIES = 100
_MOVED = (errno.ENOENT, errno.ELOOP, errno.ENOTDIR)
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class HeldFile:
    """A regular file, open; closing it a second time does nothing.

    Attributes:
        size_bytes: as it was when it was opened.
        links: how many names the file has.
    """

    def __init__(self, descriptor: int) -> None:
        """Take over a descriptor.

        Raises:
            OSError: it is no regular file; the descriptor is closed.
        """
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise OSError(errno.EISDIR, "it is no regular file")
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


def open_held(folder: Path, name: str) -> HeldFile:
    """Open a file below a folder, as `matched.parquet` or `matched.parquet/join-0-1.parquet`.

    Args:
        folder: without symbolic links in it.
        name: relative, its parts divided by `/`.

    Raises:
        OSError: it is not there, lies behind a link, or is no regular file.
    """
    parts = PurePosixPath(name).parts
    before: tuple[object, ...] = ()
    for _ in range(_TRIES):
        with _opened_folder(folder) as top:
            now, way = _settled(top, parts)
            try:
                return HeldFile(_below(top, way[:-1], way[-1]))
            except OSError as error:
                seen = (os.fstat(top).st_ino, now)
                if seen == before or error.errno not in _MOVED:
                    raise
                before = seen  # evidence may be taking the place of older: look once more
    raise OSError(errno.EAGAIN, "it is replaced all the time")


@contextmanager
def _opened_folder(folder: Path) -> Iterator[int]:
    """Open a folder by its names from the root on, none of which may be a link."""
    descriptor = os.open(folder.anchor, _FOLDER)
    try:
        for name in folder.parts[1:]:
            inner = os.open(name, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def _settled(top: int, parts: Sequence[str]) -> tuple[str, Sequence[str]]:
    """Return what a final name is, and where it leads while it is replaced (see `publish`)."""
    try:
        link = os.readlink(parts[0], dir_fd=top)
        if link != f"{INSIDE}/{CURRENT}/{parts[0]}":
            return link, parts
        folder = os.readlink(f"{INSIDE}/{CURRENT}", dir_fd=top)
    except OSError:
        return "", parts
    if "/" in folder or folder == "..":
        return folder, parts
    return folder, (INSIDE, folder, *parts)


def _below(top: int, folders: Sequence[str], name: str) -> int:
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
