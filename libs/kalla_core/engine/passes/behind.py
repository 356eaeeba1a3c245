"""What is done of one pass while the next is carried out already."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")

_LITTLE_BYTES = 32 << 20
"""What may be held by tasks that wait for others."""


class Behind:
    """Does tasks in a thread of its own, one at a time; few that hold little wait for others.

    A task that fails raises where the next is given, or at the end; none is done after it.

    Args:
        beside: whether in a thread; otherwise each is done when it is given, because what it holds
            would be in memory beside what comes next.
    """

    def __init__(self, *, beside: bool) -> None:
        self.beside = beside
        self._pool = ThreadPoolExecutor(1, "behind") if beside else None
        self._under_way: deque[tuple[Future[Any], int]] = deque()

    def do(self, task: Callable[[], T], held_bytes: int = _LITTLE_BYTES) -> Future[T]:
        """Do a task, now or soon, once the one before it is done.

        Args:
            held_bytes: what is held until it is done; where that is much, who gives it waits until
                nothing else is under way.
        """
        if self._pool is None:
            done: Future[T] = Future()
            done.set_result(task())
            return done
        while self._under_way and (self._under_way[0][0].done() or self._hold_much(held_bytes)):
            self._under_way.popleft()[0].result()
        before = self._under_way[-1][0] if self._under_way else None
        asked = self._pool.submit(partial(_after, before, task))
        self._under_way.append((asked, held_bytes))
        return asked

    def _hold_much(self, more_bytes: int) -> bool:
        return sum(held for _, held in self._under_way) + more_bytes > _LITTLE_BYTES

    def __enter__(self) -> Behind:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=error is not None)
        if error is None:
            for asked, _ in self._under_way:
                asked.result()


def _after(before: Future[Any] | None, task: Callable[[], T]) -> T:
    """Do a task unless the one before it, which has ended, has failed."""
    if before is not None:
        before.result()
    return task()
