"""Cutting tables into ranges of blocks: arithmetic, nothing else.

A row's `ctid` begins with the number of its block, and stays for as long as a snapshot sees the
row. A range scan over `ctid` reads its own blocks only, so parts share no work. The last range of
a table is open-ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class BlockRange:
    """Blocks `[start, end)` of one of a source's tables; `end` None for all that follow."""

    table: int
    start: int
    end: int | None

    @property
    def condition(self) -> str:
        """The range in SQL."""
        above = f"ctid >= '({self.start},0)'::tid"
        return above if self.end is None else f"{above} AND ctid < '({self.end},0)'::tid"


@dataclass(frozen=True, slots=True)
class BlockPart:
    """Ranges that are read one after the other, and how many blocks they have together."""

    ranges: tuple[BlockRange, ...]
    blocks: int


def cut(blocks: Sequence[int], parts: int) -> tuple[BlockPart, ...]:
    """Cut tables of so many blocks, one after the other, into at most `parts` even parts.

    Together they cover every block of every table that had any.
    """
    total = sum(blocks)
    count = min(max(parts, 1), total)
    bounds = [total * index // count for index in range(count + 1)] if count else []
    return tuple(
        BlockPart(_between(blocks, start, end), end - start) for start, end in pairwise(bounds)
    )


def pieces(whole: BlockRange, blocks: int, most: int) -> Iterator[BlockRange]:
    """Yield a range of a table of so many blocks in pieces of at most so many.

    The last piece of an open-ended range has no end either.
    """
    end = blocks if whole.end is None else whole.end
    for start in range(whole.start, end, most):
        last = start + most >= end
        yield BlockRange(whole.table, start, whole.end if last else start + most)


def _between(blocks: Sequence[int], start: int, end: int) -> tuple[BlockRange, ...]:
    """Return the ranges of blocks `[start, end)`, counted through all tables."""
    ranges = []
    first = 0
    for table, count in enumerate(blocks):
        low, high = max(start - first, 0), min(end - first, count)
        if low < high:
            ranges.append(BlockRange(table, low, None if high == count else high))
        first += count
    return tuple(ranges)
