"""Steps that a Ctrl-C must not cut in two."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def uninterrupted(done: str = "") -> Iterator[None]:
    """Let SIGINT and SIGTERM wait for the end of the block; other threads get none anyway.

    Args:
        done: a sentence about what the block has done, for whoever is interrupted then: a note of
            the exception.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    late: list[int] = []

    def keep(number: int, _frame: FrameType | None) -> None:
        late.append(number)

    succeeded = False
    held = {number: signal.signal(number, keep) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
        succeeded = True
    finally:
        for number, handler in held.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if late:
            _interrupt(late[0], done if succeeded else "")


def _interrupt(number: int, done: str) -> None:
    try:
        signal.raise_signal(number)
    except KeyboardInterrupt as stop:
        if done:
            stop.add_note(done)
        raise
