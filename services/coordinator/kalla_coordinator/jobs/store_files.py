"""The files of a SQLite database, which goes on without them when somebody removes them.

Jobs would be accepted, and be gone after a crash.
"""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

from kalla_core.errors import StoreUnavailable


class StoreFiles:
    """A database and its write-ahead log, as they were when they were opened. Any thread."""

    def __init__(self, path: Path) -> None:
        """Make the database's file if it is not there.

        Raises:
            StoreUnavailable: it can be no database.
        """
        self._path = path
        self._made = _made(path)
        self._log = path.with_name(f"{path.name}-wal")
        self._seen: os.stat_result | None = None
        self._open = 0
        self._lock = threading.Lock()

    def opened(self) -> None:
        """Count a connection."""
        with self._lock:
            if self._open == 0:
                self._seen = None  # with the last connection the log goes away, and comes anew
            self._open += 1

    def closed(self) -> None:
        """Count a connection no more."""
        with self._lock:
            self._open -= 1

    def missing(self) -> str | None:
        """Return the path of the file that is not what it was; None if all are."""
        with self._lock:
            database, log = _found(self._path), _found(self._log)
            if database is None or not os.path.samestat(self._made, database):
                return str(self._path)
            self._seen = self._seen or log
            if self._seen is None or (log is not None and os.path.samestat(self._seen, log)):
                return None
            return str(self._log)


def _found(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _made(path: Path) -> os.stat_result:
    try:
        # Requests hold passwords: nobody else is to read them. Files beside it take its mode.
        flags = os.O_CREAT | os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
            made = os.fstat(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreUnavailable(
            f"The job store {path} cannot be opened: {error.strerror}."
        ) from error
    if not stat.S_ISREG(made.st_mode):
        raise StoreUnavailable(f"The job store {path} cannot be opened: it is no regular file.")
    return made
