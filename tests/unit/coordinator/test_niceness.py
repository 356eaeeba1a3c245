"""Who comes first when all cores are busy."""

from __future__ import annotations

import os
import sys

from kalla_coordinator.jobs.niceness import giving_way
from kalla_core.engine.processes.spawned import spawn


def test_a_process_that_works_on_a_job_gives_way_to_the_coordinator() -> None:
    child = giving_way(spawn)((sys.executable, "-c", "input()"), {})

    try:
        theirs = os.getpriority(os.PRIO_PROCESS, child.pid)
    finally:
        child.end()

    assert theirs > os.getpriority(os.PRIO_PROCESS, 0)
