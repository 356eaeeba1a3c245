"""The rows that a run left open on one side, as arrays, with what was decided laid over them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kalla_app.exceptions.age import BUCKETS, Days, Ranks, Severity, buckets_of, days_of
from kalla_app.exceptions.age import severities_of as graded
from kalla_app.exceptions.ages_file import aged, places_of
from kalla_app.exceptions.life import Queue, Standing

Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]

_UNTOUCHED = Standing()


@dataclass(frozen=True, slots=True)
class Heap:
    """Rows of one side; arrays are as long as there are rows, in the order of the evidence.

    Attributes:
        touched: how exceptions stand, by the place of their row.
        queues: where each of them waits.
    """

    days: Days
    severities: Ranks
    suggested: Mask
    touched: Mapping[int, Standing]
    queues: Mapping[int, Queue]

    def standing(self, place: int) -> Standing:
        """Return how a row stands."""
        return self.touched.get(place, _UNTOUCHED)

    def mask(self, shelf: str, me: str, owner: str | None = None) -> Mask:
        """Return which rows are in a queue: `Queue`'s, `mine`, `unassigned` or `suggested`.

        Args:
            me: whose rows `mine` are.
            owner: only somebody's.
        """
        if shelf in (Queue.WAITING, Queue.SUSPENDED):
            mask = self._only(place for place, of in self.queues.items() if of == shelf)
        else:
            mask = np.ones(len(self.days), np.bool_)
            mask[[place for place, of in self.queues.items() if of is not Queue.OPEN]] = False
        if shelf == "unassigned":
            mask[[place for place, one in self.touched.items() if one.owner]] = False
        if shelf == "suggested":
            mask &= self.suggested
        whose = me if shelf == "mine" else owner
        if whose is not None:
            mask &= self._only(place for place, one in self.touched.items() if one.owner == whose)
        return mask

    def narrowed(self, mask: Mask, bucket: int | None, severity: Severity | None) -> Mask:
        """Return which of some rows are of an age and of a severity."""
        if bucket is not None:
            mask = mask & (buckets_of(self.days) == bucket)
        if severity is not None:
            mask = mask & (self.severities == severity.value)
        return mask

    def ranks(self, places: Places, *, gravest: bool) -> Places:
        """Return what rows are ordered by, also those of several heaps; the first has the least."""
        ranks = -self.days[places].astype(np.int64)
        if gravest:
            ranks = ranks - self.severities[places].astype(np.int64) * (1 << 40)
        return ranks

    def by_bucket(self) -> npt.NDArray[np.int64]:
        """Return how many open rows are of each age."""
        mask = self.mask(Queue.OPEN, "")
        counts = np.bincount(buckets_of(self.days[mask]), minlength=len(BUCKETS))
        return counts.astype(np.int64)

    def _only(self, places: Iterable[int]) -> Mask:
        mask = np.zeros(len(self.days), np.bool_)
        mask[list(places)] = True
        return mask


def chosen(
    heaps: Sequence[Heap], masks: Sequence[Mask], offset: int, limit: int, *, gravest: bool
) -> tuple[list[tuple[int, int]], int]:
    """Return some rows of a selection over heaps, in one order, and how many all of it are.

    Rows are told by the number of their heap and their place in it. Those that none comes before
    stand as heaps and their rows do. It takes as long wherever in the order the rows stand.

    Args:
        masks: which rows of each heap are selected.
        offset: rows that stand before the first.
    """
    places = [np.flatnonzero(mask) for mask in masks]
    starts = np.cumsum([0, *map(len, places)])
    total = int(starts[-1])
    end = min(offset + limit, total)
    if offset >= end:
        return [], total
    ranks = np.concatenate(
        [heap.ranks(here, gravest=gravest) for heap, here in zip(heaps, places, strict=True)]
    )
    bounds = np.partition(ranks, (offset, end - 1))
    least, greatest = bounds[offset], bounds[end - 1]
    before = int(np.count_nonzero(ranks < least))
    found = np.flatnonzero(ranks == least)[offset - before :][: end - offset]
    if greatest > least:
        between = np.flatnonzero((ranks > least) & (ranks < greatest))
        between = between[np.argsort(ranks[between], kind="stable")]
        found = np.concatenate([found, between, np.flatnonzero(ranks == greatest)])
    found = found[: end - offset]
    numbers = np.searchsorted(starts, found, side="right") - 1
    within = (found - starts[numbers]).tolist()
    return [
        (of, int(places[of][at])) for of, at in zip(numbers.tolist(), within, strict=True)
    ], total


def heap_of(path: Path, side: str, found: Mapping[str, Standing], now: datetime) -> Heap:
    """Return the rows of a side of a run. Blocking.

    Args:
        path: the run's file of ages.
        found: how exceptions of the side stand, by their keys.
    """
    days: list[Days] = [np.zeros(0, np.int32)]
    grades: list[Ranks] = [np.zeros(0, np.int8)]
    suggested: list[Mask] = [np.zeros(0, np.bool_)]
    for table in aged(path, side):
        days.append(days_of(table.column("since").cast("int64").to_numpy(), now))
        grades.append(graded(days[-1], table.column("amount_rank").to_numpy()))
        suggested.append(table.column("suggested").to_numpy())
    places = places_of(path, side, list(found))
    touched = {place: found[key] for key, place in places.items()}
    return Heap(
        np.concatenate(days),
        np.concatenate(grades),
        np.concatenate(suggested),
        touched,
        {place: one.queue(now.date()) for place, one in touched.items()},
    )
