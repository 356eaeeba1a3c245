"""`kallad cluster` and its executors: none is left behind, and one that dies comes back."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.support.processes import children_of, ends_soon
from tests.support.real_cluster import END_PATIENCE_S, real_cluster, until


def test_an_executor_that_dies_is_started_again_and_none_outlives_a_killed_cluster(
    tmp_path: Path,
) -> None:
    with real_cluster(tmp_path, executors=1) as cluster:
        (first,) = cluster.pids()
        known = {one["executor_id"] for one in cluster.executors()}

        os.kill(first, signal.SIGKILL)
        back = until(
            lambda: {one["executor_id"] for one in cluster.executors()} - known, END_PATIENCE_S
        )
        (second,) = cluster.pids()
        theirs = [second, *children_of(second)]
        os.kill(cluster.service.process.pid, signal.SIGKILL)

        assert back
        assert second != first
        assert len(theirs) > 1
        assert all(ends_soon(pid) for pid in theirs)
    assert cluster.service.events("process_restarts")[0]["exit_code"] == -signal.SIGKILL
    assert list((tmp_path / "spools").iterdir()) == []
