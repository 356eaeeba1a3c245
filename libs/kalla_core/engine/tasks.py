"""Several fragments at a time in one process: threads with one way to fail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar

from kalla_core.errors import Cancelled

T = TypeVar("T")


class Stop:
    """Set once a fragment fails, so that the others do not finish for nothing."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Ask every fragment to end."""
        self._event.set()

    def check(self) -> None:
        """Raise `Cancelled` once another fragment has failed."""
        if self._event.is_set():
            raise Cancelled("Another fragment of the run failed.")


def run_all(tasks: Iterable[Callable[[], T]], threads: int, stop: Stop) -> list[T]:
    """Run `tasks` on at most `threads` threads; return their results in order.

    When one fails, the others are told to stop, and its error is raised once they have.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="fragment") as pool:
        futures = [pool.submit(task) for task in tasks]
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        failed = [future for future in done if future.exception() is not None]
        if failed:
            stop.set()
            pool.shutdown(cancel_futures=True)
    errors = [future.exception() for future in futures if not future.cancelled()]
    causes = [error for error in errors if error is not None]
    for cause in sorted(causes, key=lambda error: isinstance(error, Cancelled)):
        raise cause
    return [future.result() for future in futures]
