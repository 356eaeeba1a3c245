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


FORMS = 16
"""How many forms of sentences a join can tell with: the first one of a single piece."""

WORDS = 0
"""The bucket of what is told in which the words of these forms are."""


def told_bucket(window: int, form: int) -> int:
    """Return the bucket of what is told of rows of a window by one form of sentences."""
    return 1 + window * FORMS + form


def told_buckets(window: int, count: int) -> Sequence[int]:
    """Return the buckets of what is told of rows of `count` windows, from the one with a number."""
    return range(told_bucket(window, 0), told_bucket(window + count, 0))
