"""What can happen to a job on a cluster: each fault shows that it happened, and is mended."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.processes import ends_soon, has_ended
from tests.support.real_cluster import until
from tests.support.wired_cluster import WiredCluster, WiredExecutor

SPOOLS = ("*.spool", "*.keys", "*.marks")


@dataclass(frozen=True)
class Fault:
    """Something bad.

    Attributes:
        happens: makes it happen to one executor, while a run is under way; asserts that it did.
        mended: makes it good again, as far as that can be.
        errors: that the job may end with; none if it has to succeed.
    """

    happens: Callable[[WiredCluster, WiredExecutor, str], None]
    mended: Callable[[WiredExecutor], None] = lambda worker: None
    errors: tuple[str, ...] = ()


def _killed(cluster: WiredCluster, worker: WiredExecutor, run_id: str) -> None:
    os.kill(worker.pid, signal.SIGKILL)
    assert worker.service.process.wait(20) == -signal.SIGKILL


def _drained(cluster: WiredCluster, worker: WiredExecutor, run_id: str) -> None:
    os.kill(worker.pid, signal.SIGTERM)
    assert ends_soon(worker.pid)


def _frozen(cluster: WiredCluster, worker: WiredExecutor, run_id: str) -> None:
    os.kill(worker.pid, signal.SIGSTOP)
    stat = Path(f"/proc/{worker.pid}/stat")
    assert until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", 20)


def _thawed(worker: WiredExecutor) -> None:
    if not has_ended(worker.pid):
        os.kill(worker.pid, signal.SIGCONT)


def _silent(there: bool, back: bool) -> Callable[[WiredCluster, WiredExecutor, str], None]:
    def happens(cluster: WiredCluster, worker: WiredExecutor, run_id: str) -> None:
        worker.upward.cut(there=there, back=back)
        if there:
            assert worker.upward.held_up.wait(20)  # heartbeats go there all the time

    return happens


def _upward_mended(worker: WiredExecutor) -> None:
    worker.upward.mend()


def _snapped(cluster: WiredCluster, worker: WiredExecutor, run_id: str) -> None:
    before = worker.upward.carried
    assert before
    worker.upward.snap()


def _from_peers(cluster: WiredCluster, worker: WiredExecutor, run_id: str) -> None:
    worker.inward.cut()


def _inward_mended(worker: WiredExecutor) -> None:
    worker.inward.mend()


def _damaged(cluster: WiredCluster, worker: WiredExecutor, run_id: str) -> None:
    for path in (one for pattern in SPOOLS for one in worker.spool.rglob(pattern)):
        with suppress(FileNotFoundError), path.open("r+b") as file:
            size = path.stat().st_size
            file.seek(size // 2)
            file.write(bytes(255 - byte for byte in path.read_bytes()[size // 2 : size // 2 + 64]))


def _cancelled(cluster: WiredCluster, worker: WiredExecutor, run_id: str) -> None:
    answer = httpx.post(f"{cluster.url}/api/jobs/{run_id}/cancel", timeout=30)
    assert answer.status_code in (200, 202, 409), answer.text


FAULTS: Mapping[str, Fault] = {
    "killed": Fault(_killed),
    "drained": Fault(_drained),
    "frozen": Fault(_frozen, _thawed),
    "cut from the coordinator": Fault(_silent(True, True), _upward_mended),
    "not heard by the coordinator": Fault(_silent(True, False), _upward_mended),
    "not hearing the coordinator": Fault(_silent(False, True), _upward_mended),
    "off its stream": Fault(_snapped),
    "cut from its peers": Fault(_from_peers, _inward_mended),
    "with damaged spools": Fault(_damaged, errors=("fetch_failed",)),
    "cancelled": Fault(_cancelled, errors=("cancelled",)),
}
