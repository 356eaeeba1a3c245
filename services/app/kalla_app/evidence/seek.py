"""Which rows of a large set are asked for, found out a row group at a time on two threads.

While that goes on, it can be told of the rows that were looked through so far.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from kalla_app.evidence.asked import Asked
from kalla_app.evidence.order import Mask
from kalla_app.evidence.rows import RowSet, SoFar

_AT_ONCE = 2


class Seek:
    """Begins with `run`; others may ask meanwhile, from any thread.

    Args:
        folder: with the run's evidence.
        beside: where what makes looking through many rows quick may lie.

    Raises:
        KallaError: its rows cannot be read.
    """

    def __init__(self, folder: Path, asked: Asked, beside: Path) -> None:
        self._of = folder, asked.set, beside
        self._asked = asked
        with RowSet(*self._of) as rows:
            self._groups = rows.row_groups
            self._count = rows.count
        self._mask: Mask = np.zeros(0, np.bool_)  # while it waits it takes no room
        self._known = [False] * len(self._groups)
        self._stopped = False

    def run(self) -> Mask:
        """Look through all rows and return which are asked for. Blocking.

        Raises:
            KallaError: they cannot be read.
        """
        self._mask = np.zeros(self._count, np.bool_)
        numbers = iter(range(len(self._groups)))  # each thread takes the next
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for looking in [pool.submit(self._look, numbers) for _ in range(_AT_ONCE)]:
                looking.result()
        return self._mask

    def stop(self) -> None:
        """Let `run` end before it has looked through all."""
        self._stopped = True

    def so_far(self) -> tuple[Mask, SoFar]:
        """Return which rows are known to be asked for, up to where all are known."""
        first = self._known.index(False) if False in self._known else len(self._known)
        end = self._groups[first][2] if first < len(self._groups) else self._count
        mask = np.zeros(self._count, np.bool_)
        mask[:end] = self._mask[:end]
        return mask, SoFar(end, self._count)

    def _look(self, numbers: Iterator[int]) -> None:
        with RowSet(*self._of) as rows:
            look = rows.look(self._asked)
            for number in numbers:
                if self._stopped:
                    return
                _, _, start, end = self._groups[number]
                self._mask[start:end] = look(number)
                self._known[number] = True
