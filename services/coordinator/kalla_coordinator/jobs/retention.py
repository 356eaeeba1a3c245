"""Removes jobs that ended long ago, and the evidence of those that named no output.

A wall clock that is set forward while the coordinator runs makes nothing older; one that was
wrong when it started has a while to be put right before anything is removed by it.
"""

from __future__ import annotations

import asyncio
import shutil
from datetime import datetime, timedelta
from pathlib import Path

from kalla_coordinator.jobs.allowed import Allowed
from kalla_coordinator.jobs.model import Job
from kalla_coordinator.jobs.store import JobStore
from kalla_core.errors import StoreUnavailable
from kalla_core.observe.logs import get_logger
from kalla_core.serving.clock import SteadyClock, settled

_INTERVAL_S = 60.0
_AT_ONCE = 200


async def keep_tidy(store: JobStore, allowed: Allowed, retention: timedelta) -> None:
    """Remove what is older than `retention`, every minute, until cancelled."""
    clock = await settled()
    while True:
        try:
            await tidy(store, allowed, retention, clock)
        except StoreUnavailable:
            get_logger().warning("retention_postponed")
        await asyncio.sleep(_INTERVAL_S)


async def tidy(store: JobStore, allowed: Allowed, retention: timedelta, clock: SteadyClock) -> None:
    """Remove what is older than `retention` by a clock that nobody sets.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    while await remove_old(store, allowed, clock.now() - retention):
        pass


async def remove_old(store: JobStore, allowed: Allowed, before: datetime) -> int:
    """Remove jobs that ended before a moment and owe nothing; return how many there were.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    jobs = await store.old(before, _AT_ONCE)
    for job in jobs:
        folder = _own_evidence(job, allowed)
        if folder is not None:
            await asyncio.to_thread(shutil.rmtree, folder, True)
        await store.forget(job.run_id, None if folder is None else job.output_path)
        get_logger().info("job_forgotten", run_id=job.run_id)
    return len(jobs)


def _own_evidence(job: Job, allowed: Allowed) -> Path | None:
    """Return the folder that the coordinator chose; what a caller named is the caller's."""
    own = allowed.default_output(job.run_id)
    return own if job.output_path == str(own) else None
