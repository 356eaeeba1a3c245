"""Where a CSV source is to be cut, before it is known where records begin. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from kalla_core.sources.csv.body import CsvFile
from kalla_core.sources.protocol import Part

BLOCK_BYTES = 8 << 20
"""About how much of a file is parsed at once."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a block is to begin: at the first record that starts at `offset` or later."""

    offset: int
    part: int


@dataclass(frozen=True, slots=True)
class Block:
    """Whole records of a file, from `start` to `end`; both None if it can only be streamed.

    Attributes:
        rows: how many rows it has, where rows are numbered.
    """

    file: int
    part: int
    start: int | None
    end: int | None
    weight_bytes: int
    rows: int = 0


def targets(files: Sequence[CsvFile], parts: int) -> list[list[Target]]:
    """Return for each file, ascending, where its blocks are to begin and which part they are of.

    Parts are equal shares of all rows' bytes in the files' order; blocks are equal shares of what
    a part has of a file.
    """
    total = sum(file.body_bytes for file in files)
    shares = [total * part // parts for part in range(parts + 1)]
    found = []
    first = 0
    for file in files:
        span = (first, first + file.body_bytes)
        if file.streamed:
            found.append([Target(file.start, _part_at(shares, first))])
        else:
            found.append(list(_targets(shares, span, file.start - first)))
        first = span[1]
    return found


def _part_at(shares: Sequence[int], position: int) -> int:
    last = len(shares) - 2
    return next((part for part in range(last) if position < shares[part + 1]), last)


def _targets(shares: Sequence[int], span: tuple[int, int], shift: int) -> Iterator[Target]:
    for part, (low, high) in enumerate(pairwise(shares)):
        start, end = max(low, span[0]), min(high, span[1])
        if start >= end:
            continue
        blocks = -(-(end - start) // BLOCK_BYTES)
        for block in range(blocks):
            yield Target(start + (end - start) * block // blocks + shift, part)


def parts_of(blocks: Sequence[Block]) -> tuple[Part, ...]:
    """Gather blocks, in order, into parts numbered from 0; parts without a block are left out."""
    found: list[Part] = []
    before = 0
    for _, group in groupby(blocks, key=lambda block: block.part):
        members = list(group)
        pieces = []
        for file, of_file in groupby(members, key=lambda block: block.file):
            pieces.append(_piece(file, list(of_file), before))
            before += sum(block.rows for block in members if block.file == file)
        weight = sum(block.weight_bytes for block in members)
        found.append(Part(len(found), {"pieces": pieces}, weight))
    return tuple(found)


def _piece(file: int, blocks: list[Block], before: int) -> dict[str, object]:
    """Return a piece as data; `before` counts the rows before it, 0 where none are numbered."""
    piece: dict[str, object] = {"file": file, "before": before}
    if blocks[0].start is not None:
        piece["offsets"] = [*(block.start for block in blocks), blocks[-1].end]
    return piece
