"""Processes as the kernel knows them."""

import os
import select
from contextlib import suppress
from pathlib import Path

PATIENCE_S = 60


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or only waits to be waited for."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


def ends_soon(pid: int) -> bool:
    """Wait until a process is gone; False if it is still there after a while."""
    with suppress(ProcessLookupError):
        process = os.pidfd_open(pid)
        try:
            select.select([process], [], [], PATIENCE_S)
        finally:
            os.close(process)
    return has_ended(pid)


def children_of(pid: int) -> list[int]:
    """The processes that a process has started and that are still there."""
    with suppress(FileNotFoundError, ProcessLookupError):
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    return []
