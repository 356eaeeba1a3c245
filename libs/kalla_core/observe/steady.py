"""A stream for lines that tell how things go, which never hurts whoever writes to it."""

from __future__ import annotations

from typing import TextIO


class Steady:
    """What cannot be written, to a full disk or to somebody who has gone, is counted instead.

    Any thread; two that write at the same moment may count a line too few.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lost = 0

    def write(self, text: str) -> int:
        """Write a line; one that follows on lines that were lost says how many."""
        lost = self._lost
        told = f'{{"event": "log_lines_lost", "lines": {lost}}}\n' if lost else ""
        try:
            self._stream.write(told + text)
            self._stream.flush()
        except (OSError, ValueError):  # the latter of a stream that is closed
            self._lost += 1
        else:
            self._lost = 0
        return len(text)

    def flush(self) -> None:
        """Do nothing: each line has been."""
