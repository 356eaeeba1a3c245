"""How the rows of a run are laid out over joins: arithmetic on exact sizes, nothing else.

One mapping of buckets to joins holds for both sides. A bucket that is larger than what a join
should take is alone in its join, which divides it further by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from kalla_core.engine.budget import GIB, MIB, SMALLEST_LIMIT, budget
from kalla_core.fragments.cut import MAX_BUCKETS, bucket_count, coalesce, evenly
from kalla_core.fragments.remote import CENSUS_CLASSES
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.strategy import Strategy

ALONE_BYTES = 16 * MIB
"""Rows that are not worth being spread: one join takes them unless the recipe says otherwise."""

_WAVES = 3
"""Joins per slot, so that one that takes longer than thought does not hold up the others."""

_WORTH_BYTES = 64 * MIB
"""Rows that are worth a join of their own while every slot has one: each costs a tenth of a second
beside its rows."""

_UNKNOWN_BYTES = GIB


@dataclass(frozen=True, slots=True)
class Room:
    """What the executors of a run offer.

    Attributes:
        slots: of all of them together.
        slot_memory_bytes: of the smallest.
        most_bytes: what joins may have beside what all of them have whole; None for as much as
            the memory allows.
    """

    slots: int
    slot_memory_bytes: int
    most_bytes: int | None = None

    @property
    def join_bytes(self) -> int:
        """Rows of both sides, as Arrow batches, that one join should take at most."""
        return budget(max(self.slot_memory_bytes, SMALLEST_LIMIT), 1).join_bytes


@dataclass(frozen=True, slots=True)
class Join:
    """One join fragment, before anything is known of where its inputs lie.

    Attributes:
        whole: sides that it takes whole; of the others it takes `buckets`.
        settle_later: it decides on pairs only.
        divisible: two joins, of half its buckets each, do the same.
        weight_bytes: of the rows that it reads.
    """

    buckets: tuple[int, ...]
    weight_bytes: int
    whole: frozenset[Side] = frozenset()
    settle_later: bool = False
    divisible: bool = True
    census_classes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Settle:
    """One settle fragment.

    Attributes:
        divisible: its buckets may as well be settled in two fragments.
        delivers: numbers of the scans whose unmatched rows it reads and writes, in a late run;
            it has no buckets then.
    """

    buckets: tuple[int, ...]
    weight_bytes: int
    divisible: bool = True
    delivers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """All joins of a run, and what is settled after them; the place is the fragment's number."""

    joins: tuple[Join, ...]
    settles: tuple[Settle, ...] = ()


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a run decides how it is laid out.

    Attributes:
        spread: the recipe says how many buckets it wants, so small runs are spread too.
        scattered: unmatched rows can only be explained with all rows at hand.
        in_passes: what later passes look at hangs on what earlier ones decided over all rows.
        parts: of a late run, the bytes of each part that is scanned; None of any other.
    """

    strategy: Strategy
    replicable: frozenset[Side] = frozenset()
    spread: bool = False
    scattered: bool = False
    in_passes: bool = False
    parts: tuple[int, ...] | None = None


def first_buckets(known_bytes: int | None, room: Room) -> int:
    """Return how many buckets a run begins with, given the bytes of both sides if known."""
    size = _UNKNOWN_BYTES if known_bytes is None else known_bytes
    if size <= ALONE_BYTES:
        return 1
    return min(max(bucket_count(size, room.join_bytes), 2 * _WAVES * room.slots), MAX_BUCKETS)


def more_buckets(buckets: int) -> int | None:
    """Return how many buckets to try after these were too large; None if there are no more."""
    return None if buckets >= MAX_BUCKETS else min(4 * max(buckets, 4), MAX_BUCKETS)


def lay_out(sizes: Mapping[Side, Sequence[int]], shape: Shape, room: Room) -> Layout:
    """Return the joins of a run.

    Args:
        sizes: bytes of each bucket of each side, as Arrow batches.
    """
    joins = _joined(sizes, shape, room)
    return joins if shape.parts is None else replace(joins, settles=_delivering(shape.parts, room))


def uncounted(layout: Layout) -> Layout:
    """Return a layout none of whose joins counts primary keys."""
    return replace(layout, joins=tuple(replace(j, census_classes=()) for j in layout.joins))


def _joined(sizes: Mapping[Side, Sequence[int]], shape: Shape, room: Room) -> Layout:
    every = tuple(range(len(sizes[Side.LEFT])))
    total = sum(sum(sizes[side]) for side in Side)
    alone = Join(every, total, divisible=shape.strategy is Strategy.COPARTITION)
    if shape.in_passes:
        return Layout(_counting((replace(alone, divisible=False),)))
    if shape.strategy is Strategy.SINGLE or (total <= ALONE_BYTES and not shape.spread):
        return Layout(_counting((alone,)))
    if shape.strategy is Strategy.COPARTITION:
        both = [left + right for left, right in zip(*(sizes[side] for side in Side), strict=True)]
        joins = tuple(Join(group, size) for group, size in _groups(both, shape, room))
        return Layout(_counting(joins))
    whole = _whole_side(sizes, shape, room)
    if whole is None:
        return Layout(_counting((replace(alone, divisible=False),)))
    return _against_whole(sizes, whole, shape, room)


def _delivering(parts: Sequence[int], room: Room) -> tuple[Settle, ...]:
    """Deal parts to fragments: every slot gets several, unless they are too small for that.

    They pass through memory, so it does not matter how much a fragment has.
    """
    total = sum(parts)
    worth = max(-(-total // (_WAVES * room.slots)), min(-(-total // room.slots), _WORTH_BYTES), 1)
    groups = evenly(parts, max(-(-total // worth), 1)) or ((),)
    return tuple(
        Settle((), sum(parts[one] for one in group), divisible=False, delivers=group)
        for group in groups
    )


def divided(join: Join, count: int) -> tuple[Join, ...]:
    """Return so many joins that do what `join` does; only for one that is divisible."""
    groups = pieces(join.buckets, count)
    size = join.weight_bytes // len(groups)
    first, *others = (replace(join, buckets=group, weight_bytes=size) for group in groups)
    return (first, *(replace(other, census_classes=()) for other in others))


def pieces(buckets: tuple[int, ...], count: int) -> tuple[tuple[int, ...], ...]:
    """Return so many pieces of some buckets, as even as they can be, in their order."""
    ends = [len(buckets) * place // count for place in range(count + 1)]
    return tuple(buckets[start:end] for start, end in pairwise(ends))


def _against_whole(
    sizes: Mapping[Side, Sequence[int]], whole: Side, shape: Shape, room: Room
) -> Layout:
    copied = sum(sizes[whole])
    joins = tuple(
        Join(group, size + copied, frozenset({whole}), settle_later=True)
        for group, size in _groups(sizes[whole.other], shape, room)
    )
    both = [left + right for left, right in zip(*(sizes[side] for side in Side), strict=True)]
    if shape.scattered:
        every = tuple(range(len(both)))
        return Layout(_counting(joins), (Settle(every, sum(both), divisible=False),))
    settles = tuple(Settle(group, size) for group, size in _groups(both, shape, room))
    return Layout(_counting(joins), settles)


def _whole_side(sizes: Mapping[Side, Sequence[int]], shape: Shape, room: Room) -> Side | None:
    """Return the smaller side that every join may take whole; None if none is small enough."""
    totals = {side: sum(sizes[side]) for side in sorted(shape.replicable)}
    fits = [side for side, size in totals.items() if size <= room.join_bytes]
    return min(fits, key=totals.__getitem__, default=None)


def _groups(sizes: Sequence[int], shape: Shape, room: Room) -> list[tuple[tuple[int, ...], int]]:
    """Group buckets so that a group fits into a slot and every slot has its share; with its size.

    Every slot gets several, unless the rows are too few to be worth that.
    """
    groups = _even_groups(sizes, shape, room)
    return [(group, sum(sizes[bucket] for bucket in group)) for group in groups]


def _even_groups(sizes: Sequence[int], shape: Shape, room: Room) -> tuple[tuple[int, ...], ...]:
    total = sum(sizes)
    most = min(room.join_bytes, room.join_bytes if room.most_bytes is None else room.most_bytes)
    several = -(-total // (_WAVES * room.slots))
    if shape.spread:
        return coalesce(sizes, min(most, several))
    worth = max(several, min(-(-total // room.slots), _WORTH_BYTES), ALONE_BYTES // 2)
    worth = min(worth, most)
    even = evenly(sizes, max(-(-total // worth), 1))
    fits = all(sum(sizes[bucket] for bucket in group) <= most for group in even)
    return even if fits else coalesce(sizes, worth)


def _counting(joins: tuple[Join, ...]) -> tuple[Join, ...]:
    """Divide the classes of primary keys among the joins, for each to count."""
    count = len(joins)
    return tuple(
        replace(join, census_classes=tuple(range(place, CENSUS_CLASSES, count)))
        for place, join in enumerate(joins)
    )
