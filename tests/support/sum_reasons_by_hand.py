"""What rows that a pass by sums leaves unmatched are told, in plain Python; slow, to compare with.

Rows are of an id, a block and an amount, as `sums_by_hand` takes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import combinations

from tests.support.best_by_hand import Row, smallest_sets, sums_by_hand

_SHOWN = 3
Told = tuple[str, str, str | None]
"""The code, the sentence, and the key of the closest row."""


@dataclass(frozen=True)
class Block:
    """A target with what is left to be added up to it."""

    target: Row
    free: Sequence[Row]

    @property
    def name(self) -> str:
        return str(self.target[0])


@dataclass
class SumReasons:
    """What is told of the rows of both sides, by their ids.

    Attributes:
        items: of the rows that may be added up; `targets` of those that they are added up to.
    """

    items: dict[int, Told] = field(default_factory=dict)
    targets: dict[int, Told] = field(default_factory=dict)


def sum_reasons(
    name: str,
    items: Sequence[Row],
    targets: Sequence[Row],
    tolerance: int,
    most_items: int,
    most: int,
) -> SumReasons:
    """Return what the one pass of a recipe tells of the rows that it does not match."""
    done = sums_by_hand(items, targets, tolerance, most_items, most)
    taken = {row for some in done.accepted.values() for row in some}
    free = [item for item in sorted(items) if item[0] not in taken]
    blocks = [
        Block(target, [item for item in free if item[1] == target[1]])
        for target in sorted(targets)
        if target[0] not in done.accepted
    ]
    told = SumReasons()
    nearest = _nearest(name, blocks, tolerance, most_items, most)
    for mine, theirs, near, found in (
        (free, targets, nearest.items, told.items),
        ([block.target for block in blocks], items, nearest.targets, told.targets),
    ):
        for row in mine:
            if any(row[1] == other[1] for other in theirs):
                alone = f"In the pass `{name}`: no set of rows of its block adds up."
                found[row[0]] = near.get(row[0], ("predicate_failed", alone, None))
            else:
                found[row[0]] = ("key_not_found", "", None)
    aside = _aside(name, blocks, tolerance, most_items, most)
    told.items |= aside.items
    told.targets |= aside.targets
    return told


def _aside(
    name: str, blocks: Sequence[Block], tolerance: int, most_items: int, most: int
) -> SumReasons:
    """Tell of rows whose sets are held, and of those with more rows than are tried."""
    held: dict[tuple[int, int], str] = {}
    exceeded: dict[tuple[int, int], str] = {}
    alone: dict[int, frozenset[int]] = {}
    for block in blocks:
        at = block.target[0]
        if len(block.free) > most:
            words = (
                f"{len(block.free)} rows could be added up for one of the other side, more than "
                f"the {most} that are tried (`max_candidates`)."
            )
            exceeded |= {(item[0], at): words for item in block.free}
            continue
        fits = smallest_sets(block.free, block.target[2], tolerance, most_items)
        if len(fits) == 1:
            alone[at] = fits[0]
        elif fits:
            count = f"More than {_SHOWN}" if len(fits) > _SHOWN else str(len(fits))
            words = f"{count} sets of {len(fits[0])} rows add up equally well."
            held |= {(item, at): words for some in fits[:_SHOWN] for item in some}
    words = "Sets for several rows share a row; each adds up alone."
    held |= {(item, at): words for at, some in alone.items() for item in some}
    told = SumReasons()
    for code, pairs in (("sum_budget_exceeded", exceeded), ("sum_ambiguous", held)):
        for place, found in ((0, told.items), (1, told.targets)):
            rivals: dict[int, list[tuple[str, str]]] = {}
            for pair, words in pairs.items():
                rivals.setdefault(pair[place], []).append((str(pair[1 - place]), words))
            for row, some in rivals.items():
                closest, words = min(some)
                shown = closest if code == "sum_ambiguous" else None
                found[row] = (code, f"In the pass `{name}`: {words}", shown)
    return told


def _nearest(
    name: str, blocks: Sequence[Block], tolerance: int, most_items: int, most: int
) -> SumReasons:
    """Tell of targets that no set makes which comes nearest; and of its rows in which they are."""
    start = f"In the pass `{name}`: no set of rows of its block adds up; the nearest"
    told, best = SumReasons(), dict[int, tuple[tuple[int, int, str], Told]]()
    for block in blocks:
        size, (at, _, amount) = len(block.free), block.target
        if not 0 < size <= most or smallest_sets(block.free, amount, tolerance, most_items):
            continue
        near, above = _nearest_set(block, most_items)
        keys = ", ".join(str(item[0]) for item in near)
        than = f"{_money(abs(above))} {'more' if above > 0 else 'less'} than"
        makes = f"makes {_money(amount + above)}, which is {than}"
        closest = str(near[0][0]) if len(near) == 1 else None
        words = f"{start} {makes} its {_money(amount)}: {keys}."
        told.targets[at] = ("predicate_failed", words, closest)
        words = f"{start} with it {makes} the {_money(amount)} of {at}: {keys}."
        for item in near:
            rank = (abs(above), len(near), block.name)
            one: Told = ("predicate_failed", words, block.name)
            best[item[0]] = min(best.get(item[0], (rank, one)), (rank, one))
    told.items = {item: one for item, (_, one) in best.items()}
    return told


def _nearest_set(block: Block, most_items: int) -> tuple[tuple[Row, ...], int]:
    sets = [
        some
        for size in range(1, min(most_items, len(block.free)) + 1)
        for some in combinations(block.free, size)
    ]
    above: Mapping[int, int] = {
        n: sum(item[2] for item in some) - block.target[2] for n, some in enumerate(sets)
    }
    least = min(above, key=lambda n: (abs(above[n]), n))
    return sets[least], above[least]


def _money(units: int) -> str:
    return f"{Decimal(units):.2f}"
