"""The workbench: exceptions of all recipes in queues, the oldest or the gravest first.

Of each recipe the newest run with evidence counts. Rows that nobody has touched are read from its
files; what was decided is laid over them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from heapq import merge
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from kalla_app.evidence.kept import Kept
from kalla_app.evidence.open_rows import OURS, REST, is_rest, open_sets
from kalla_app.evidence.place import EvidencePlace
from kalla_app.evidence.row_texts import texts
from kalla_app.evidence.rows import RowSet
from kalla_app.exceptions.age import BUCKETS, Severity
from kalla_app.exceptions.ages_file import amount_of
from kalla_app.exceptions.heap import Heap, chosen
from kalla_app.exceptions.laid import Laid, Layers
from kalla_app.exceptions.life import Standing
from kalla_app.store.runs import Run
from kalla_core.answers.selection import REASON

_SHOWN_VALUES = 4
_KEPT_BYTES = 8 << 20
_ITEM_BYTES = 2000
"""What an exception takes that is kept, about."""

_Told = tuple[str, str, str | None, tuple[str, ...]]


class Tray(StrEnum):
    """A queue of the workbench: what `Queue` has, and parts of what is open."""

    OPEN = "open"
    MINE = "mine"
    UNASSIGNED = "unassigned"
    SUGGESTED = "suggested"
    WAITING = "waiting"
    SUSPENDED = "suspended"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which exceptions, and in which order.

    Attributes:
        me: whose queue `MINE` is.
        recipe_id, owner, bucket, severity: only those; None for all.
        gravest: the gravest come first, else the oldest.
    """

    tray: Tray
    me: str
    recipe_id: str | None = None
    owner: str | None = None
    bucket: str | None = None
    severity: Severity | None = None
    gravest: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """An exception on the workbench; what only a row tells is None where it is gone."""

    run: Run
    side: str
    record_key: str
    standing: Standing
    days: int | None = None
    severity: Severity | None = None
    reason: str | None = None
    amount: str | None = None
    values: tuple[str, ...] = ()
    by: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Ageing:
    """Open exceptions of a recipe by age, as `BUCKETS`."""

    run: Run
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BenchPage:
    """Some exceptions; `total` of the whole selection, `queues` of the recipes looked at."""

    items: tuple[Item, ...]
    total: int
    queues: Mapping[str, int]
    ageing: tuple[Ageing, ...]


class Bench:
    """Asyncio."""

    def __init__(self, evidence: EvidencePlace, layers: Layers) -> None:
        self._evidence = evidence
        self._layers = layers
        self._pages = Kept[tuple[Sequence[Item], int]](_KEPT_BYTES)

    async def page(
        self, wanted: Wanted, recipe_ids: Sequence[str], offset: int, limit: int
    ) -> BenchPage:
        """Return exceptions of some recipes.

        Raises:
            KallaError: the coordinator that has the evidence does not answer.
        """
        laid = await self._layers.of(recipe_ids)
        queues = await asyncio.to_thread(_queues, laid, wanted.me)
        found: Sequence[Item]
        if wanted.tray is Tray.CLOSED:
            found, total = _closed(laid, wanted.owner, offset, limit)
        else:
            found, total = await self._kept(laid, wanted, offset, limit)
        return BenchPage(tuple(found), total, queues, _ageing(laid))

    async def ageing(self, recipe_ids: Sequence[str]) -> tuple[Ageing, ...]:
        """Return open exceptions of some recipes by age.

        Raises:
            KallaError: the coordinator that has the evidence does not answer.
        """
        return _ageing(await self._layers.of(recipe_ids))

    async def _kept(
        self, laid: Sequence[Laid], wanted: Wanted, offset: int, limit: int
    ) -> tuple[Sequence[Item], int]:
        """Return the same as `_open`, which stays so while what it is of does."""
        if not all(one.heaps for one in laid):
            return await self._open(laid, wanted, offset, limit)
        key = tuple(one.mark for one in laid), wanted, offset, limit
        page = self._pages.find(key)
        if page is None:
            page = await self._open(laid, wanted, offset, limit)
            self._pages.keep(key, page, _ITEM_BYTES * (1 + len(page[0]) + len(laid)))
        return page

    async def _open(
        self, laid: Sequence[Laid], wanted: Wanted, offset: int, limit: int
    ) -> tuple[list[Item], int]:
        """Return a page of what is not closed, over the heaps of all recipes."""
        heaps = [(one.run, side, heap) for one in laid for side, heap in one.heaps.items()]
        piles = [heap for _, _, heap in heaps]
        found, total = await asyncio.to_thread(_chosen, piles, wanted, offset, limit)
        items: dict[tuple[int, int], Item] = {}
        for number, (run, side, heap) in enumerate(heaps):
            here = [place for of, place in found if of == number]
            if here:
                folder = await self._evidence.folder(run)
                made = await asyncio.to_thread(_items, folder, run, side, heap, here)
                items |= {(number, place): made[place] for place in here}
        return [items[one] for one in found], total


def _ageing(laid: Sequence[Laid]) -> tuple[Ageing, ...]:
    return tuple(Ageing(one.run, one.by_bucket()) for one in laid if one.heaps)


def _queues(laid: Sequence[Laid], me: str) -> dict[str, int]:
    """Return how many exceptions are in each queue. Blocking, where many have not been counted."""
    return {tray.value: sum(_count(one, tray, me) for one in laid) for tray in Tray}


def _count(one: Laid, tray: Tray, me: str) -> int:
    return len(one.closed) if tray is Tray.CLOSED else one.count(tray.value, me)


def _closed(
    laid: Sequence[Laid], owner: str | None, offset: int, limit: int
) -> tuple[list[Item], int]:
    """Return a page of what is closed, the latest first."""
    piles = [
        [(one.run, kept, now) for kept, now in one.closed if owner in (None, now.owner)]
        for one in laid
    ]
    total = sum(len(pile) for pile in piles)
    latest_first = merge(*piles, key=lambda one: one[1].decision.at, reverse=True)
    return [
        Item(
            run,
            kept.subject.side,
            kept.subject.record_key,
            now,
            by=kept.decision.who,
            at=kept.decision.at,
        )
        for run, kept, now in islice(latest_first, offset, offset + limit)
    ], total


def _chosen(
    heaps: Sequence[Heap], wanted: Wanted, offset: int, limit: int
) -> tuple[list[tuple[int, int]], int]:
    """Return where the rows of a page stand, as `chosen`. Blocking."""
    bucket = None if wanted.bucket is None else BUCKETS.index(wanted.bucket)
    masks = [
        heap.narrowed(
            heap.mask(wanted.tray.value, wanted.owner or wanted.me, wanted.owner),
            bucket,
            wanted.severity,
        )
        for heap in heaps
    ]
    return chosen(heaps, masks, offset, limit, gravest=wanted.gravest)


def _items(folder: Path, run: Run, side: str, heap: Heap, places: Sequence[int]) -> dict[int, Item]:
    told = _told_of(folder, side, places)
    return {
        place: Item(
            run,
            side,
            key,
            heap.standing(place),
            int(heap.days[place]),
            Severity(int(heap.severities[place])),
            reason,
            amount,
            values,
        )
        for place, (key, reason, amount, values) in told.items()
    }


def _told_of(folder: Path, side: str, places: Sequence[int]) -> dict[int, _Told]:
    """Return what is told of open rows, by their places; rests stand behind all other rows."""
    found: dict[int, _Told] = {}
    start = 0
    for name in open_sets(folder, side):
        with RowSet(folder, name) as rows:
            here = [place for place in places if start <= place < start + rows.count]
            table = rows.take(np.array(here, np.int64) - start)
            found |= zip(here, _told(table, name), strict=True)
            start += rows.count
    return found


def _told(table: pa.Table, set_name: str) -> list[_Told]:
    """Return of each row its key, reason, amount, and the first of what else it holds."""
    names = table.column_names
    money = amount_of(table.schema)
    amount = None if money is None else names.index(money)
    own = [place for place, name in enumerate(names) if name not in OURS and place != amount]
    return [
        (
            row[0] or "",
            REST if is_rest(set_name) else row[names.index(REASON)] or "",
            None if amount is None else row[amount],
            tuple(row[place] or "" for place in own[:_SHOWN_VALUES]),
        )
        for row in texts(table)
    ]
