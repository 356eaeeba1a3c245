"""What is done of one pass while the next is carried out already."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")


class Behind:
    """Does tasks in a thread of its own, one at a time; who gives the next waits for the last.

    A task that fails raises where the next is given, or at the end.

    Args:
        beside: whether in a thread; otherwise each is done when it is given, because what it holds
            would be in memory beside what comes next.
    """

    def __init__(self, *, beside: bool) -> None:
        self.beside = beside
        self._pool = ThreadPoolExecutor(1, "behind") if beside else None
        self._last: Future[Any] | None = None

    def do(self, task: Callable[[], T]) -> Future[T]:
        """Do a task, now or soon, once the one before it is done."""
        if self._last is not None:
            self._last.result()
        if self._pool is None:
            done: Future[T] = Future()
            done.set_result(task())
            return done
        self._last = asked = self._pool.submit(task)
        return asked

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
        if self._last is not None and error is None:
            self._last.result()
