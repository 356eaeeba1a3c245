"""A lock on a folder that dies with the process that holds it."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from kalla_core.errors import OutputInUse

LOCK = "lock"


class FolderLock:
    """The one holder of a working folder; made by `acquire`, which makes the folder too.

    The lock file is removed before it is let go, so whoever gets hold of a file that is no longer
    there under its name has locked nothing, and starts again.
    """

    def __init__(self, folder: Path, descriptor: int) -> None:
        self.folder = folder
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, folder: Path) -> FolderLock:
        """Create and lock `folder`, without waiting.

        Raises:
            OutputInUse: another process, or this one, holds it.
            OSError: the folder cannot be made or locked.
        """
        while True:
            folder.mkdir(exist_ok=True)
            try:
                descriptor = _open_locked(folder / LOCK)
            except FileNotFoundError:
                continue  # the last holder has just removed the folder
            except OSError:
                with suppress(OSError):
                    folder.rmdir()
                raise
            if _is_at(folder / LOCK, descriptor):
                return cls(folder, descriptor)
            os.close(descriptor)

    def release(self) -> None:
        """Remove the lock and, if nothing else is in it, the folder.

        Raises:
            OSError: something cannot be removed; the lock is let go all the same.
        """
        try:
            (self.folder / LOCK).unlink()
            if not os.listdir(self.folder):
                self.folder.rmdir()
        finally:
            os.close(self._descriptor)


def _open_locked(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise OutputInUse(
            f"Another run is writing its evidence here ({path.parent}); wait for it, or choose "
            "another output folder.",
            path=str(path.parent),
        ) from error
    except OSError:
        os.close(descriptor)
        path.unlink()  # there are no locks here, so nobody can hold it
        raise
    return descriptor


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
