"""Who runs, who waits, who is sent away. Pure: no clock, no I/O.

At most `most_running` jobs run, at most `most_waiting` wait, first come first served. A request
that was answered before is answered the same again, however full the queue is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kalla_core.errors import JobConflict, QueueFull
from kalla_core.ids import RunId

_LONGEST_RETRY_AFTER_S = 60


@dataclass(frozen=True, slots=True)
class Places:
    """The jobs that run and those that wait, in the order they will start.

    Jobs that this process found when it started count as waiting, however many they are.

    Attributes:
        arriving: jobs that have a place but are not on disk yet, so that none may start.
    """

    most_running: int
    most_waiting: int
    running: frozenset[RunId] = frozenset()
    waiting: tuple[RunId, ...] = ()
    arriving: frozenset[RunId] = frozenset()

    @property
    def full(self) -> bool:
        """Whether a new job would be sent away: all slots are taken and the queue is full."""
        free = max(0, self.most_running - len(self.running))
        return len(self.waiting) + len(self.arriving) >= self.most_waiting + free


def admit(
    places: Places, run_id: RunId, request: str, known: str | None, job_s: float
) -> Places | None:
    """Return the places with one for a new job, which arrives; None for a repeated request.

    Args:
        request: the fingerprint of the request.
        known: that of the request which made the job of this run id; None if there is none.
        job_s: how long a job takes, about; for when to ask again.

    Raises:
        JobConflict: another request has this run id.
        QueueFull: too many jobs wait.
    """
    if known is not None:
        if known != request:
            raise JobConflict(
                f"The run id {run_id} belongs to another request; take a new one.", run_id=run_id
            )
        return None
    if places.full:
        raise QueueFull(
            f"{len(places.waiting)} jobs wait already, and {len(places.running)} run; try again "
            "later.",
            retry_after_s=retry_after_s(places, job_s),
        )
    return replace(places, arriving=places.arriving | {run_id})


def arrive(places: Places, run_id: RunId) -> Places:
    """Return the places with a job, which is on disk now, at the end of the queue."""
    return replace(places, waiting=(*places.waiting, run_id), arriving=places.arriving - {run_id})


def start(places: Places) -> tuple[Places, tuple[RunId, ...]]:
    """Return the places with as many jobs started as may run, and those jobs, in order."""
    free = max(0, places.most_running - len(places.running))
    started, waiting = places.waiting[:free], places.waiting[free:]
    if not started:
        return places, ()
    return replace(places, running=places.running.union(started), waiting=waiting), started


def leave(places: Places, run_id: RunId) -> Places:
    """Return the places without a job that has ended; one that is not there is no matter."""
    waiting = places.waiting
    if run_id in places.running:
        return replace(places, running=places.running - {run_id})
    if run_id in places.arriving:
        return replace(places, arriving=places.arriving - {run_id})
    if run_id not in waiting:
        return places
    return replace(places, waiting=tuple(one for one in waiting if one != run_id))


def retry_after_s(places: Places, job_s: float) -> int:
    """Return when a place may be free: about when the next job ends, in whole seconds."""
    return int(min(max(1.0, job_s / places.most_running + 0.5), _LONGEST_RETRY_AFTER_S))
