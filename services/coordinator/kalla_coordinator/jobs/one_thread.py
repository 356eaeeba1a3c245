"""A thread that does one thing after the other, for the event loop that asks."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

_Task = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]", Callable[[], Any]]


class OneThread:
    """Ends with the process, whatever it is at: a disk that hangs does not hold that up."""

    def __init__(self, name: str) -> None:
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    async def do(self, work: Callable[[], T]) -> T:
        """Return what `work` does in the thread, after all that was asked for before.

        It is done to its end even if the caller is cancelled.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._tasks.put((loop, done, work))
        return await done

    def end(self) -> None:
        """Let the thread end once it has done what was asked for."""
        self._tasks.put(None)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            loop, done, work = task
            result, failure = None, None
            try:
                result = work()
            except BaseException as error:
                failure = error
            if not loop.is_closed():
                loop.call_soon_threadsafe(_tell, done, result, failure)


def _tell(done: asyncio.Future[Any], result: Any, failure: BaseException | None) -> None:
    if done.done():
        return  # nobody waits any more
    if failure is None:
        done.set_result(result)
    else:
        done.set_exception(failure)
