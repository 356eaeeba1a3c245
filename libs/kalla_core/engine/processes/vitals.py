"""What the kernel says of a process: its memory, and whether it moves; and what it gets back."""

from __future__ import annotations

import os
import time
from contextlib import suppress

MOST_STILL_S = 30.0
"""How long a process that somebody stopped (SIGSTOP, a debugger) is waited for."""

_LONGEST_STEP_S = 1.0
_STOPPED = "Tt"


def private_bytes(pid: int) -> int:
    """Return the memory that a process alone holds; 0 once it has ended or where nobody tells.

    Pages of files do not count (programs, libraries, spool files that are mapped): the kernel
    takes them back when it needs them.
    """
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            _, resident, shared, *_ = map(int, file.read().split())
            return (resident - shared) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def give_back() -> None:
    """Give the kernel what Arrow and the C library keep of memory that nobody holds any more."""
    import ctypes

    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    with suppress(AttributeError, OSError):  # a C library that has no such function
        ctypes.CDLL(None).malloc_trim(0)


class Standstill:
    """How long a process has been stopped while somebody watched it.

    Only time between two looks counts, and no more than a second of it: Ctrl-Z stops the one that
    waits as well, and when both go on nothing was waited for.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._looked = time.monotonic()
        self._still_s = 0.0

    def too_long(self) -> bool:
        """Look once more; whether it has been stopped for `MOST_STILL_S` without going on."""
        now = time.monotonic()
        passed, self._looked = min(now - self._looked, _LONGEST_STEP_S), now
        self._still_s = self._still_s + passed if _is_stopped(self._pid) else 0.0
        return self._still_s > MOST_STILL_S


def _is_stopped(pid: int) -> bool:
    """Whether it is stopped; no where nobody tells."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] in _STOPPED
    except (OSError, IndexError):
        return False
