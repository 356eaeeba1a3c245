"""Which fragment gets which free slot: fairly among jobs, near its bytes, else spread.

Jobs take turns, the one with the fewest slots first; of a job the fragments come in its own
order, heavy ones first, so that the last to end is a light one. A fragment goes to the executor
with a free slot that has most of its bytes already; where nobody has any, to the one with the
largest share of its slots free.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from kalla_coordinator.cluster.attempts import FragmentKey

NOWHERE: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Seat:
    """An executor that may be given fragments.

    Attributes:
        free: slots of `slots` that nobody has taken.
    """

    executor: str
    slots: int
    free: int


@dataclass(frozen=True, slots=True)
class Ready:
    """A fragment that could run now.

    Attributes:
        local_bytes: of its inputs, by the executor that has them.
        allowed: executors it may run on; None for all.
        avoided: executors it should not run on while there are others.
        unable: executors that cannot reach what it reads, or from where nobody could read what it
            leaves.
    """

    key: FragmentKey
    weight_bytes: int = 0
    local_bytes: Mapping[str, int] = field(default_factory=lambda: NOWHERE)
    allowed: frozenset[str] | None = None
    avoided: frozenset[str] = frozenset()
    unable: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Wish:
    """What a job could do now.

    Attributes:
        busy: slots that it has.
        ready: in the order in which they should start; no more is taken than there are slots for.
        allowed: executors beside which none of `ready` may run; None if all may be.
    """

    job: str
    busy: int
    ready: Iterable[Ready]
    allowed: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """A free slot that a fragment gets."""

    job: str
    key: FragmentKey
    executor: str


def assign(seats: Sequence[Seat], wishes: Sequence[Wish]) -> tuple[Grant, ...]:
    """Return who gets the free slots, in the order in which they were given."""
    free = {seat.executor: seat.free for seat in seats}
    slots = {seat.executor: seat.slots for seat in seats}
    queues = {wish.job: iter(wish.ready) for wish in wishes}
    seated = {wish.job: _allowed(wish, free) for wish in wishes}
    busy = {wish.job: wish.busy for wish in wishes}
    grants: list[Grant] = []
    while queues and any(free.values()):
        job = min(queues, key=lambda name: (busy[name], name))
        grant = None
        if any(free[name] for name in seated[job]):
            grant = _first_that_fits(job, queues[job], free, slots)
        if grant is None:
            del queues[job]
            continue
        free[grant.executor] -= 1
        busy[job] += 1
        grants.append(grant)
    return tuple(grants)


def _allowed(wish: Wish, free: Mapping[str, int]) -> list[str]:
    return [name for name in free if wish.allowed is None or name in wish.allowed]


def _first_that_fits(
    job: str, queue: Iterator[Ready], free: Mapping[str, int], slots: Mapping[str, int]
) -> Grant | None:
    """Take the first fragment for which there is a slot out of the queue.

    Those before it are gone too: slots are only ever taken, so there will be none for them.
    """
    for ready in queue:
        executor = _best(ready, free, slots)
        if executor is not None:
            return Grant(job, ready.key, executor)
    return None


def _best(ready: Ready, free: Mapping[str, int], slots: Mapping[str, int]) -> str | None:
    """Return the executor for a fragment, None if none may take it now.

    One where it failed before is taken only if it is the only kind there is at all, busy or not.
    """
    able = [name for name in free if name not in ready.unable]
    allowed = [name for name in able if ready.allowed is None or name in ready.allowed]
    wanted = [name for name in allowed if name not in ready.avoided] or allowed
    able = [name for name in wanted if free[name] > 0]
    if not able:
        return None
    return max(
        able,
        key=lambda name: (ready.local_bytes.get(name, 0), free[name] / slots[name], name),
    )
