"""What becomes of the jobs that a coordinator finds when it starts.

Those that were queued wait as before. One that was running has its evidence, and then it has
succeeded; or it has not, and it runs again from the start as the next attempt. What the process
before this one left of its work is removed, as nobody may claim that place again. Evidence in S3 is
looked for while the coordinator works already: S3 may be slow to answer, or not answer at all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Protocol

from kalla_coordinator.jobs.life import Queued, Recovered
from kalla_coordinator.jobs.live import LiveJob
from kalla_coordinator.jobs.record import JobRecord, request_of
from kalla_coordinator.jobs.runner import Runner
from kalla_coordinator.jobs.stages import succeeded
from kalla_coordinator.jobs.store import JobStore
from kalla_core.errors import KallaError, OutputUnavailable, RequestRefused
from kalla_core.evidence.metadata import RunMetadata
from kalla_core.evidence.output import tidy_output
from kalla_core.evidence.reader import open_evidence
from kalla_core.ids import RunId
from kalla_core.observe.logs import get_logger
from kalla_core.s3.location import is_s3

_LOOK_AGAIN_S = 5.0
_LONGEST_LOOK_S = 600.0


class FindEvidence(Protocol):
    """Looks for the evidence of a run; blocks, so call it in a thread."""

    def __call__(self, output: str, run_id: RunId) -> RunMetadata | None:
        """Return the metadata of a run if its evidence is complete in `output`.

        Raises:
            OutputUnavailable: nobody can tell now.
        """
        ...


def find_evidence(output: str, run_id: RunId) -> RunMetadata | None:
    """Look into a folder or a bucket; see `FindEvidence`."""
    try:
        with open_evidence(output, settled=True) as evidence:
            metadata = evidence.metadata
    except OutputUnavailable:
        raise
    except KallaError:
        return None
    return metadata if metadata.run_id == run_id else None


async def recover(
    store: JobStore, runner: Runner, find: FindEvidence = find_evidence
) -> tuple[LiveJob, ...]:
    """Take up all jobs that are not over, those that were running before those that waited.

    Returns:
        Those whose evidence is still to be looked for, by `look_further`.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    found = await store.unfinished()
    further: list[LiveJob] = []
    for record in sorted(found, key=lambda one: isinstance(one.state, Queued)):
        live = _live(record)
        if isinstance(record.state, Queued):
            runner.take_up(live)
        elif is_s3(live.job.output_path):
            runner.live[live.job.run_id] = live
            further.append(live)
        else:
            await _look(runner, live, find)
    runner.go_on()
    return tuple(further)


async def look_further(
    runner: Runner,
    jobs: Sequence[LiveJob],
    find: FindEvidence = find_evidence,
    look_again_s: float = _LOOK_AGAIN_S,
) -> None:
    """Look for the evidence of jobs, again and again while that is in a place without answer.

    Where there is none within ten minutes, the job runs again, and fails if that is still so.
    """
    await asyncio.gather(*(_look(runner, live, find, look_again_s) for live in jobs))


async def _look(
    runner: Runner, live: LiveJob, find: FindEvidence, look_again_s: float | None = None
) -> None:
    metadata = await _found(live, find, look_again_s)
    job = live.job
    fields = {} if metadata is None else succeeded(metadata, job.output_path)
    event = Recovered(metadata is not None)
    await runner.patience.insist(lambda: runner.ledger.apply(live, event, **fields))
    get_logger().info(
        "job_recovered",
        run_id=job.run_id,
        evidence=event.evidence,
        attempt=job.attempt,
        status=live.job.status.value,
    )
    if not (is_s3(job.output_path) and isinstance(live.record.state, Queued)):
        # What a job left in a bucket that runs again is swept by its own next claim.
        await asyncio.to_thread(_tidy, job.run_id, job.output_path)
    runner.take_up(live)
    if look_again_s is not None:
        runner.go_on()


async def _found(
    live: LiveJob, find: FindEvidence, look_again_s: float | None
) -> RunMetadata | None:
    job, began = live.job, time.monotonic()
    while True:
        try:
            return await asyncio.to_thread(find, job.output_path, job.run_id)
        except OutputUnavailable as error:
            get_logger().warning("evidence_not_seen", run_id=job.run_id, cause=error.message)
        except Exception:  # one job must not keep the coordinator from starting
            get_logger().exception("evidence_not_understood", run_id=job.run_id)
            return None
        if look_again_s is None or time.monotonic() - began > _LONGEST_LOOK_S:
            return None
        await asyncio.sleep(look_again_s)


def _tidy(run_id: RunId, output: str) -> None:
    try:
        tidy_output(output, run_id)
    except KallaError as error:
        get_logger().warning("output_not_tidied", run_id=run_id, cause=error.message)


def _live(record: JobRecord) -> LiveJob:
    try:
        return LiveJob(record, request_of(record.request), found=True)
    except KallaError as error:
        get_logger().error("request_unreadable", run_id=record.job.run_id, code=error.code)
        told = f"The request as it was stored cannot be read by this version of Kalla: {error}"
        refused = RequestRefused(f"{told} Submit it again under a new run id.")
        return LiveJob(record, refused, found=True)
