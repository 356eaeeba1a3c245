"""What becomes of the jobs that a coordinator finds when it starts.

Those that were queued wait as before. One that was running has its evidence, and then it has
succeeded; or it has not, and it runs again from the start as the next attempt.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from kalla_coordinator.jobs.life import Queued, Recovered
from kalla_coordinator.jobs.live import LiveJob
from kalla_coordinator.jobs.record import request_of
from kalla_coordinator.jobs.runner import Runner
from kalla_coordinator.jobs.stages import succeeded
from kalla_coordinator.jobs.store import JobStore
from kalla_core.errors import KallaError
from kalla_core.evidence.metadata import MetadataError, RunMetadata, from_json
from kalla_core.evidence.schema import METADATA
from kalla_core.ids import RunId
from kalla_core.observe.logs import get_logger


class FindEvidence(Protocol):
    """Looks for the evidence of a run; blocks, so call it in a thread."""

    def __call__(self, output: str, run_id: RunId) -> RunMetadata | None:
        """Return the metadata of a run if its evidence is complete in `output`."""
        ...


def find_evidence(output: str, run_id: RunId) -> RunMetadata | None:
    """Look into a folder: metadata.json is written last, so where it is, all is."""
    try:
        document = json.loads((Path(output) / METADATA).read_bytes())
        metadata = from_json(document)
    except (OSError, ValueError, MetadataError):
        return None
    return metadata if metadata.run_id == run_id else None


async def recover(store: JobStore, runner: Runner, find: FindEvidence = find_evidence) -> None:
    """Take up all jobs that are not over, those that were running before those that waited.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    found = await store.unfinished()
    for record in sorted(found, key=lambda one: isinstance(one.state, Queued)):
        job = record.job
        try:
            live = LiveJob(record, request_of(record.request))
        except KallaError as error:  # of another version of Kalla; it waits for that one
            get_logger().error("job_unreadable", run_id=job.run_id, code=error.code)
            continue
        if not isinstance(record.state, Queued):
            metadata = await asyncio.to_thread(find, job.output_path, job.run_id)
            fields = {} if metadata is None else succeeded(metadata, job.output_path)
            await runner.ledger.apply(live, Recovered(metadata is not None), **fields)
            get_logger().info(
                "job_recovered",
                run_id=job.run_id,
                evidence=metadata is not None,
                attempt=job.attempt,
                status=live.job.status.value,
            )
        if not live.job.status.final:
            runner.live[job.run_id] = live
            waiting = (*runner.places.waiting, job.run_id)
            runner.places = replace(runner.places, waiting=waiting)
    runner.go_on()
