"""An executor that is told what only newer versions know."""

from __future__ import annotations

import json
from pathlib import Path

from kalla_core.fragments.cause import Cause
from kalla_core.fragments.outcome import FragmentFailed, ScanDone
from kalla_core.wire.executors import to_executor_message
from kalla_core.wire.generated import executors_pb2 as pb
from tests.integration.test_executor import one_executor
from tests.support.pinned_job import job


async def test_what_a_newer_coordinator_asks_for_fails_and_the_executor_goes_on(
    tmp_path: Path,
) -> None:
    given = job(tmp_path, "SELECT l.id FROM l JOIN r ON l.k = r.k")
    launch, known = given.scans()[:2]
    newer = to_executor_message(launch)
    recipe = json.loads(newer.launch.job.recipe_json)
    newer.launch.job.recipe_json = json.dumps({**recipe, "thinks_ahead": True})
    async with one_executor(tmp_path) as (coordinator, line, _):
        line.say_as_it_is(newer)
        line.say_as_it_is(pb.ToExecutor())
        line.say(known)

        told, done = await line.end_of(launch.id), await line.end_of(known.id)
    assert isinstance(told, FragmentFailed)
    assert told.cause is Cause.TRANSIENT
    assert "install the same version of Kalla" in told.error.message
    assert "thinks_ahead" in told.error.message
    assert isinstance(done, ScanDone)
    assert len(coordinator.lines) == 1
