"""Windows of parts: what joins tell of rows is kept by them, so that few rows are sorted at a time.

A window is up to `WINDOW_ROWS` rows of one part that follow each other. Windows are counted through
all parts of both sides, in the order in which these are read; whoever knows how many rows each part
has counts alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

WINDOW_ROWS = 1 << 20


def window_count(rows: int) -> int:
    """Return how many windows a part of so many rows has."""
    return -(-rows // WINDOW_ROWS)


def window_starts(rows: Iterable[int]) -> Sequence[int]:
    """Return the number of each part's first window, given their rows; and in the end the count."""
    return list(accumulate(map(window_count, rows), initial=0))
