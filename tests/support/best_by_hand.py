"""What a pass accepts, by its definition and in plain Python; slow, to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, count
from typing import Any

Row = tuple[Any, ...]
_SHOWN = 3


@dataclass(frozen=True)
class Pair:
    left: int
    right: int
    rank: int
    reach: int
    order: int


@dataclass
class ByHand:
    """Goes through candidates one rank at a time."""

    one_left: bool
    one_right: bool
    hold: bool

    def settle(self, pairs: Sequence[Pair]) -> tuple[set[Pair], list[frozenset[Pair]]]:
        """Return the accepted pairs, and the ties."""
        accepted: set[Pair] = set()
        ties: list[frozenset[Pair]] = []
        self.full: set[tuple[str, int]] = set()
        self.out: set[tuple[str, int]] = set()
        for rank in sorted({pair.rank for pair in pairs}):
            live = [p for p in pairs if p.rank >= rank and not self._struck(p)]
            now = [p for p in live if p.rank == rank]
            edges = {p: {q for q in live if q != p and self._compete(p, q)} for p in now}
            groups = _together(now, edges)
            alone = [g for g in groups if len(g) == 1]
            several = [g for g in groups if len(g) > 1]
            for group in alone:
                accepted |= group
                self._take(*group)
            for group in several:
                ties.append(group)
                if self.hold:
                    self.out |= {row for p in group for row in _rows(p)}
                    continue
                for pair in sorted((p for p in group if p.rank == rank), key=lambda p: p.order):
                    if not self._struck(pair):
                        accepted.add(pair)
                        self._take(pair)
        return accepted, ties

    def _struck(self, pair: Pair) -> bool:
        return any(row in self.full or row in self.out for row in _rows(pair))

    def _compete(self, one: Pair, other: Pair) -> bool:
        if other.rank > one.reach:
            return False
        return (self.one_left and one.left == other.left) or (
            self.one_right and one.right == other.right
        )

    def _take(self, pair: Pair) -> None:
        left, right = _rows(pair)
        self.full |= {left} if self.one_left else set()
        self.full |= {right} if self.one_right else set()


@dataclass(frozen=True)
class Sums:
    """What becomes of targets that rows are added up to, by their ids.

    Attributes:
        accepted: the rows that make it.
        held: those of the first sets that would, of which there are several, or which are of
            rows that others want as well.
    """

    accepted: dict[int, frozenset[int]]
    held: dict[int, frozenset[int]]
    rounds: int


def sums_by_hand(
    items: Sequence[Row], targets: Sequence[Row], tolerance: int, most_items: int, most: int
) -> Sums:
    """Return what becomes of each target.

    Args:
        items: rows of an id, a block and an amount; `targets` likewise.
        most: items that are tried.
    """
    accepted: dict[int, frozenset[int]] = {}
    items = sorted(items)
    for number in count():
        taken = {row for some in accepted.values() for row in some}
        free = [item for item in items if item[0] not in taken]
        fitting: dict[int, list[frozenset[int]]] = {}
        for target in targets:
            mine = [item for item in free if item[1] == target[1]]
            if target[0] not in accepted and len(mine) <= most:
                fitting[target[0]] = smallest_sets(mine, target[2], tolerance, most_items)
        unique = {n: fits[0] for n, fits in fitting.items() if len(fits) == 1}
        alone = {
            n: some
            for n, some in unique.items()
            if not any(m != n and some & other for m, other in unique.items())
        }
        if not alone:
            held = {n: frozenset().union(*fits[:_SHOWN]) for n, fits in fitting.items() if fits}
            return Sums(accepted, held, number)
        accepted |= alone
    raise AssertionError


def smallest_sets(
    items: Sequence[Row], target: Any, tolerance: int, most_items: int
) -> list[frozenset[int]]:
    for size in range(1, most_items + 1):
        fits = [
            frozenset(item[0] for item in some)
            for some in combinations(items, size)
            if abs(sum(item[2] for item in some) - target) <= tolerance
        ]
        if fits:
            return fits
    return []


def _rows(pair: Pair) -> tuple[tuple[str, int], tuple[str, int]]:
    return ("left", pair.left), ("right", pair.right)


def _together(now: Sequence[Pair], edges: dict[Pair, set[Pair]]) -> list[frozenset[Pair]]:
    groups: list[set[Pair]] = []
    for pair in now:
        mine = {pair, *edges[pair]}
        touching = [g for g in groups if g & mine]
        groups = [g for g in groups if not g & mine] + [mine.union(*touching)]
    return [frozenset(g) for g in groups]
