"""Steps that a Ctrl-C must not cut in two."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let SIGINT and SIGTERM wait for the end of the block; other threads get none anyway."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    late: list[int] = []

    def keep(number: int, _frame: FrameType | None) -> None:
        late.append(number)

    held = {number: signal.signal(number, keep) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in held.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if late:
            signal.raise_signal(late[0])
