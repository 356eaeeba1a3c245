"""How fast this machine is at the moment, and how much of it others leave to a test.

A bound on time holds for what is done, and not for the machine that does it: what it was set for
is a processor of the machine where it was set, which has nothing else to do.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterator

_USUAL_S = 0.0008
"""Of a processor, for `_work` on the machine where the bounds of the tests were set (a server's of
2021); half as much again where the other half of its core is busy."""

_WORK_S = 0.05
_PAUSES_S = (0.0, 0.02, 0.1, 0.3, 0.6, 1.0, 1.5, 2.0)
"""Together longer than most of what disturbs a measure."""


def stretched(seconds: float) -> float:
    """Return how long may take here and now what takes so long on a machine that is idle."""
    began, worked = time.monotonic(), time.thread_time()
    while (computed := time.thread_time() - worked) < _WORK_S:
        pass
    return seconds * max(1.0, (time.monotonic() - began) / computed) * slowness()


def slowness() -> float:
    """Return how many times as much processor time something takes here and now; 1 at least."""
    return max(1.0, min(_spent() for _ in range(3)) / _USUAL_S)


def least(spend: Callable[[], float], bound_s: float) -> float:
    """Return the least that something takes of a processor, as it is where the bounds were set.

    It is measured once if that is within the bound, else a few times with pauses: a busy machine
    makes work longer, never shorter.

    Args:
        spend: does it, and returns the seconds of processor time that it took here.
        bound_s: what it may take.
    """
    least_s = math.inf
    for _ in tries():
        least_s = min(least_s, spend() / slowness())
        if least_s < bound_s:
            break
    return least_s


def tries() -> Iterator[int]:
    """Number the times that something is measured, with pauses that become longer."""
    for number, pause_s in enumerate(_PAUSES_S):
        time.sleep(pause_s)
        yield number


def _spent() -> float:
    began = time.thread_time()
    _work()
    return time.thread_time() - began


def _work() -> None:
    """Do a bit of what most of Kalla's own work is made of: texts, mappings, JSON, patterns."""
    document = {f"name {n}": {"n": n, "text": "abc" * 10, "list": [n, str(n)]} for n in range(400)}
    text = json.dumps(document)
    found = json.loads(text)
    sorted(f"{name}{one['n'] * 7 % 13}" for name, one in found.items())
    re.findall(r"name (\d+)", text)
