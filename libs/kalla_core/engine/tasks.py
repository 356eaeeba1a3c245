"""Several fragments at a time in one process: threads with one way to fail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from kalla_core.errors import Cancelled

T = TypeVar("T")

WORTH_THREADS = 1 << 15
"""Rows of both sides. For fewer, threads that take turns cost more than they gain."""

_PATIENCE_S = 2.0


class Stop:
    """Set once a fragment of a run fails, so that the others do not finish for nothing."""

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

    A single one, or all on one thread, are run by the caller's: another is not worth its start.
    When one fails, or this thread is interrupted, the others are told to stop, and the error is
    raised once they have, or after two seconds: a query that brings out no rows does not look up.
    """
    return list(run_each(tasks, threads, stop))


def run_each(tasks: Iterable[Callable[[], T]], threads: int, stop: Stop) -> Generator[T]:
    """Do what `run_all` does; yield the results in order, while further tasks still run."""
    asked = list(tasks)
    if threads == 1 or len(asked) <= 1:
        yield from (_unless_stopped(task, stop) for task in asked)
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="fragment")
    futures = [pool.submit(_unless_stopped, task, stop) for task in asked]
    try:
        yield from _results_until_one_fails(futures)
    finally:
        pool.shutdown(wait=_all_ended(futures, stop), cancel_futures=True)
    ended = [future for future in futures if future.done() and not future.cancelled()]
    errors = [error for future in ended if (error := future.exception()) is not None]
    if errors:
        raise _first_cause(errors)


def _results_until_one_fails(futures: Sequence[Future[T]]) -> Iterator[T]:
    running = set(futures)
    for future in futures:
        while not future.done():
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            if any(one.exception() is not None for one in ended):
                return
        if future.exception() is not None:
            return
        yield future.result()


def _unless_stopped(task: Callable[[], T], stop: Stop) -> T:
    stop.check()
    try:
        return task()
    except BaseException:
        stop.set()  # here, before this thread takes the next task
        raise


def _all_ended(futures: Sequence[Future[Any]], stop: Stop) -> bool:
    """Let what still runs know that it is for nothing, and give it time to end."""
    if not all(future.done() for future in futures):
        stop.set()
        for future in futures:
            future.cancel()
        wait(futures, timeout=_PATIENCE_S)
    return all(future.done() for future in futures)


def _first_cause(errors: Sequence[BaseException]) -> BaseException:
    """Return the error that is not only the consequence of another."""
    return min(errors, key=lambda error: isinstance(error, Cancelled))
