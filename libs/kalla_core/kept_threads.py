"""Threads that stay for what a process does next.

To start one takes as long as much of what small runs have for it, and all memory is new to it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache


@cache
def kept_threads(threads: int, name: str) -> ThreadPoolExecutor:
    """Return so many threads, which hold nothing of what they have done; the same ones each time.

    Whoever uses them waits for what he has asked for before he ends. Where several may ask at a
    time in one process, they wait for each other.
    """
    return ThreadPoolExecutor(threads, name)
