"""Ctrl-C and other requests to end: the first counts, and is answered with one sentence.

Whoever wants something to end presses Ctrl-C until it does. Only the first request unwinds what is
under way; another one in the middle of that would leave behind what was being removed. Once
unwinding has taken `UNWINDING_S`, a further request ends the process as it is.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
UNWINDING_S = 10.0


_before_ending: list[Callable[[], None]] = []


class Terminated(KeyboardInterrupt):
    """Somebody asked the process to end (SIGTERM, SIGHUP); unwinds as Ctrl-C does."""


@dataclass
class Stops:
    """Tells the first request to end from those that follow it."""

    _first_at: float | None = field(default=None)

    @property
    def came(self) -> bool:
        """Whether there was a request."""
        return self._first_at is not None

    def is_first(self, number: int) -> bool:
        """Whether a request is the first; one long after the first ends the process."""
        now = time.monotonic()
        if self._first_at is None:
            self._first_at = now
            return True
        if now - self._first_at > UNWINDING_S:
            _end(number, "it did not come to an end, and may have left something behind")
        return False


class _Mode(Enum):
    STARTING = "starting"
    WORKING = "working"
    ENDING = "ending"


@dataclass(eq=False)
class _Handler:
    mode: _Mode
    stops: Stops = field(default_factory=Stops)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.mode is _Mode.ENDING or not self.stops.is_first(number):
            return
        if self.mode is _Mode.STARTING:
            _end(number, "nothing was left behind")
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)


def heed() -> None:
    """Answer requests to end from now on, while nothing is under way that would be left behind."""
    _install(_Handler(_Mode.STARTING))


def before_ending(action: Callable[[], None]) -> None:
    """Do something quick at a request to end that unwinds nothing: end what would be left alone."""
    _before_ending.append(action)


@contextmanager
def unwinding() -> Iterator[None]:
    """Raise at the first request to end within the block, and never again.

    Requests that whoever started this process had it ignore, as `nohup` does, are ignored on.

    Raises:
        KeyboardInterrupt: Ctrl-C.
        Terminated: SIGTERM or SIGHUP.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = _Handler(_Mode.WORKING)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    _install(handler)
    try:
        yield
    finally:
        for number, earlier in before.items():
            if isinstance(earlier, _Handler):
                earlier.mode = _Mode.ENDING  # what was to be done is done
            if not handler.stops.came:
                signal.signal(number, earlier)


def _install(handler: _Handler) -> None:
    for number in SIGNALS:
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
            signal.signal(number, handler)


def _end(number: int, sentence: str) -> NoReturn:
    for action in _before_ending:
        action()
    head = "Interrupted" if number == signal.SIGINT else "Terminated"
    os.write(2, f"{head}: {sentence}.\n".encode())
    os._exit(128 + (number if number == signal.SIGINT else signal.SIGTERM))
