"""Processes that work on jobs give way to the coordinator, which answers while cores are busy."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress

from kalla_core.engine.processes.spawned import ChildProcess, Start

_NICENESS = 5


def giving_way(start: Start) -> Start:
    """Return `start`, with children of a lower priority than this process."""
    nice = os.getpriority(os.PRIO_PROCESS, 0) + _NICENESS

    def start_nicely(command: Sequence[str], environment: Mapping[str, str]) -> ChildProcess:
        child = start(command, environment)
        with suppress(OSError):  # it has ended already
            os.setpriority(os.PRIO_PROCESS, child.pid, nice)  # threads that it starts have it too
        return child

    return start_nicely
