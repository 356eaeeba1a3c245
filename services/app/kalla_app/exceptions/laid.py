"""The newest runs of recipes with what was decided laid over them, kept while nothing changes."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from kalla_app.exceptions.age import BUCKETS
from kalla_app.exceptions.ages import Ages
from kalla_app.exceptions.follow import Follower
from kalla_app.exceptions.heap import Heap, heap_of
from kalla_app.exceptions.life import Queue, Standing, standing
from kalla_app.exceptions.policy import SIDES, Policy
from kalla_app.store import exceptions, policies, runs
from kalla_app.store.database import Database
from kalla_app.store.exceptions import Kept
from kalla_app.store.runs import Run
from kalla_core.errors import EvidenceGone

_MOST_ROWS = 12_000_000
"""Rows that are kept in all; each has six bytes."""

_MINUTE = timedelta(minutes=1)

_Key = tuple[str, Policy, int, datetime]


@dataclass(frozen=True, slots=True)
class Laid:
    """A recipe's newest run with evidence, and what was decided about rows of it.

    Attributes:
        heaps: by side; none where the rows are gone.
        closed: the last decision about each exception that is closed, and how that leaves it; the
            latest first.
        at: when that was so, to the minute.
        mark: what is laid anew when it changes.
    """

    run: Run
    heaps: Mapping[str, Heap]
    closed: Sequence[tuple[Kept, Standing]]
    at: datetime
    mark: Hashable
    _counted: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many rows there are on both sides."""
        return sum(len(heap.days) for heap in self.heaps.values())

    def count(self, queue: str, me: str) -> int:
        """Return how many rows are in a queue, as `Heap.mask` names them."""
        found = self._counted.get((queue, me))
        if found is None:
            found = sum(int(heap.mask(queue, me).sum()) for heap in self.heaps.values())
            self._counted[queue, me] = found
        return found

    def by_bucket(self) -> tuple[int, ...]:
        """Return how many open rows are of each age, as `BUCKETS`."""
        for place, bucket in enumerate(BUCKETS):
            if (bucket, "") not in self._counted:
                counts = [heap.by_bucket()[place] for heap in self.heaps.values()]
                self._counted[bucket, ""] = int(sum(counts))
        return tuple(self._counted[bucket, ""] for bucket in BUCKETS)


class Layers:
    """Asyncio."""

    def __init__(self, database: Database, ages: Ages, follower: Follower) -> None:
        self._database = database
        self._ages = ages
        self._follower = follower
        self._kept: OrderedDict[str, tuple[_Key, Laid]] = OrderedDict()

    async def of(self, recipe_ids: Sequence[str]) -> list[Laid]:
        """Return those of some recipes that have a run with evidence.

        Raises:
            KallaError: the coordinator that has the evidence does not answer.
        """
        now = datetime.now(UTC)
        now -= timedelta(seconds=now.second, microseconds=now.microsecond)
        async with self._database.reading() as connection:
            newest = await runs.newest(connection, recipe_ids, 1, succeeded=True)
            demanded = await policies.of(connection, recipe_ids)
            lasts = await exceptions.lasts(connection, recipe_ids)
            followed = await policies.followed_of(connection, list(lasts))
        for recipe_id in lasts:
            run = newest[recipe_id][0] if newest[recipe_id] else None
            seen = followed.get(recipe_id)
            if run is not None and (seen is None or seen < run.created_at):
                await self._follower.follow(recipe_id)
                async with self._database.reading() as connection:
                    lasts |= await exceptions.lasts(connection, [recipe_id])
        return [
            await self._laid(found[0], demanded.get(recipe_id, Policy()), lasts.get(recipe_id), now)
            for recipe_id, found in newest.items()
            if found
        ]

    async def _laid(self, run: Run, policy: Policy, last: int | None, now: datetime) -> Laid:
        key = (run.run_id, policy, last or 0, now)
        kept = self._kept.get(run.recipe_id)
        if kept is not None and kept[0] == key:
            self._kept.move_to_end(run.recipe_id)
            return kept[1]
        decided: Mapping[str, Sequence[Kept]] = {}
        if last is not None:
            async with self._database.reading() as connection:
                decided = await exceptions.touched(connection, run.recipe_id)
        try:
            file = await self._ages.file(run, policy)
        except EvidenceGone:
            return Laid(run, {}, _closed(decided, now), now, key)
        heaps = {
            side: await asyncio.to_thread(heap_of, file, side, _standings(decided, side), now)
            for side in SIDES
        }
        laid = Laid(run, heaps, _closed(decided, now), now, key)
        self._kept[run.recipe_id] = key, laid
        self._kept.move_to_end(run.recipe_id)
        while sum(one.rows for _, one in self._kept.values()) > _MOST_ROWS:
            self._kept.popitem(last=False)
        return laid


def _closed(decided: Mapping[str, Sequence[Kept]], now: datetime) -> list[tuple[Kept, Standing]]:
    found = [(kept[-1], standing([one.decision for one in kept])) for kept in decided.values()]
    closed = [one for one in found if one[1].queue(now.date()) is Queue.CLOSED]
    return sorted(closed, key=lambda one: one[0].decision.at, reverse=True)


def _standings(decided: Mapping[str, Sequence[Kept]], side: str) -> dict[str, Standing]:
    return {
        kept[0].subject.record_key: standing([one.decision for one in kept])
        for kept in decided.values()
        if kept[0].subject.side == side
    }
