"""A limit on how large the files of running processes may become, set and taken away from outside.

To whoever writes it is what a quota is: there is room on the disk, and a write fails.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.support.processes import children_of


@contextmanager
def ceiling(pid: int, size_bytes: int) -> Iterator[None]:
    """Let no process of a family write a file beyond a size; what they start inherits it."""
    for one in family_of(pid):
        _limit(one, size_bytes)
    try:
        yield
    finally:
        for one in family_of(pid):
            _limit(one, resource.RLIM_INFINITY)


def family_of(pid: int) -> list[int]:
    """Return a process and all that it has started, directly or not."""
    found = [pid]
    for one in found:
        found += children_of(one)
    return found


def _limit(pid: int, size_bytes: int) -> None:
    with suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))
