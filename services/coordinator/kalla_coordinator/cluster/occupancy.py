"""Which attempt has a slot of which executor, found by attempt, by executor and by run.

The three are kept together as they change, for each is asked for at every event.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

from kalla_coordinator.cluster.works import RunName
from kalla_core.fragments.attempt import AttemptId

K = TypeVar("K")


class Occupancy:
    """The slots that are taken; what is neither ended nor lost goes with its run."""

    def __init__(self) -> None:
        self._where: dict[AttemptId, str] = {}
        self._on: defaultdict[str, set[AttemptId]] = defaultdict(set)
        self._of: defaultdict[RunName, set[AttemptId]] = defaultdict(set)

    @property
    def where(self) -> Mapping[AttemptId, str]:
        """The executor of each attempt that has a slot."""
        return MappingProxyType(self._where)

    def __contains__(self, attempt: AttemptId) -> bool:
        return attempt in self._where

    def take(self, attempt: AttemptId, executor: str) -> None:
        """Note that an attempt has a slot; it has one at most."""
        self.leave(attempt)
        self._where[attempt] = executor
        self._on[executor].add(attempt)
        self._of[run_of(attempt)].add(attempt)

    def leave(self, attempt: AttemptId) -> bool:
        """Give the slot of an attempt back; False if it has none."""
        executor = self._where.pop(attempt, None)
        if executor is None:
            return False
        _drop(self._on, executor, attempt)
        _drop(self._of, run_of(attempt), attempt)
        return True

    def on(self, executor: str) -> frozenset[AttemptId]:
        """Return what has slots of an executor."""
        return frozenset(self._on.get(executor, ()))

    def of(self, run: RunName) -> frozenset[AttemptId]:
        """Return what has slots for a run attempt."""
        return frozenset(self._of.get(run, ()))

    def taken(self, executor: str) -> int:
        """Return how many slots of an executor are taken."""
        return len(self._on.get(executor, ()))


def run_of(attempt: AttemptId) -> RunName:
    """Return the run attempt that an attempt at a fragment belongs to."""
    return RunName(attempt.run_id, attempt.run_attempt)


def _drop(groups: defaultdict[K, set[AttemptId]], key: K, attempt: AttemptId) -> None:
    groups[key].discard(attempt)
    if not groups[key]:
        del groups[key]
