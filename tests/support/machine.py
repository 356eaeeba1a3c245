"""How much of this machine others leave to a test."""

from __future__ import annotations

import time

_WORK_S = 0.05


def stretched(seconds: float) -> float:
    """Return how long may take here and now what takes so long on a machine that is idle.

    A bound on the time that something takes holds for what it does, and not for what else the
    machine has to do meanwhile: that is measured by how long a bit of work takes beside it.
    """
    began, worked = time.monotonic(), time.thread_time()
    while (computed := time.thread_time() - worked) < _WORK_S:
        pass
    return seconds * max(1.0, (time.monotonic() - began) / computed)
