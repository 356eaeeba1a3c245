"""Applies events to jobs: the state machine decides, the store keeps, then the actions follow.

What is owed to a caller is stored with the state that it tells of. Events of one job are applied
one after the other.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from kalla_coordinator.callbacks.delivery import Delivery, address
from kalla_coordinator.callbacks.outbox import Outbox
from kalla_coordinator.callbacks.payloads import (
    Payload,
    complete_payload,
    error_payload,
    progress_payload,
)
from kalla_coordinator.jobs.life import Action, Event, OweComplete, OweError, step
from kalla_coordinator.jobs.live import LiveJob
from kalla_coordinator.jobs.model import Job
from kalla_coordinator.jobs.record import JobRecord
from kalla_coordinator.jobs.store import JobStore


class Ledger:
    """Where events of jobs go. Asyncio, one event loop."""

    def __init__(self, store: JobStore, outbox: Outbox) -> None:
        self._store = store
        self._outbox = outbox

    async def apply(self, live: LiveJob, event: Event, **fields: Any) -> tuple[Action, ...]:
        """Return what an event calls for, once the state it leads to is on disk.

        Args:
            fields: of the job, which the event tells.

        Raises:
            InvalidTransition: the event cannot be.
            StoreUnavailable: nothing has changed.
        """
        async with live.lock:
            state, actions = step(live.record.state, event)
            if state == live.record.state:
                return actions
            record = live.record.after(state, **fields)
            if record.job.status.final:
                job = replace(record.job, ended_at=datetime.now(UTC))
                record = replace(record, job=_with_error(job, actions))
            owed = _owed(live, record, actions)
            if owed is not None:
                record = replace(record, told=owed.sequence)
            await self._store.put(record, owed)
            # Progress may have come meanwhile; what the event says of the job is newer.
            live.record = record
            if owed is not None:
                self._outbox.owe(owed)
            elif record.job.status.final:
                self._outbox.forget(record.job.run_id)
            live.news.tell()
            return actions

    def tell_progress(self, live: LiveJob) -> None:
        """Tell the caller how far a job has come, if it wants to know."""
        payload = progress_payload(live.job)
        if live.record.callback_url is not None and payload is not None:
            self._outbox.tell(live.job.run_id, partial(_delivery, live, payload))


def _owed(live: LiveJob, record: JobRecord, actions: tuple[Action, ...]) -> Delivery | None:
    if record.callback_url is None:
        return None
    for action in actions:
        match action:
            case OweComplete():
                return _delivery(live, complete_payload(record.job))
            case OweError(error):
                return _delivery(live, error_payload(record.job, error))
    return None


def _delivery(live: LiveJob, payload: Payload) -> Delivery:
    return Delivery(
        run_id=live.job.run_id,
        sequence=live.next_sequence(),
        url=address(live.record.callback_url or "", payload.kind),
        body=payload.body(),
        owed_since=datetime.now(UTC),
        trace=live.record.trace,
    )


def _with_error(job: Job, actions: tuple[Action, ...]) -> Job:
    errors = [action.error for action in actions if isinstance(action, OweError)]
    return replace(job, error=errors[0]) if errors else job
