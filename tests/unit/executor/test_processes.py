"""Processes of slots: kept for the next fragment as long as they are as good as new."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from kalla_core.engine.processes.children import Limits
from kalla_core.engine.processes.fork_pool import ForkPool, Resting
from kalla_core.engine.processes.spawned import ChildProcess
from kalla_core.engine.spool.spool_folder import SpoolFolder
from kalla_core.errors import Cancelled, Crashed
from kalla_core.fragments.outcome import FragmentFailed, Outcome, ProveDone, ScanDone
from kalla_core.fragments.remote import (
    JoinWork,
    Launch,
    ProveWork,
    ScanWork,
    SpoolInput,
    SpoolPlace,
)
from kalla_executor.child import __name__ as child_module
from kalla_executor.metrics import ExecutorMetrics
from kalla_executor.processes import SlotProcesses, leaves_nothing
from kalla_executor.slots import slot_share
from kalla_executor.tasks import Task
from tests.support.pinned_job import SLOW, Job, job
from tests.support.processes import ends_soon, has_ended

SHARE = slot_share(1 << 30, 1)
PATIENCE = timedelta(seconds=60)


@dataclass
class Slot:
    """A slot of an executor that carries out one launch after the other."""

    fork_pool: ForkPool
    folder: SpoolFolder
    pids: list[int] = field(default_factory=list)
    killing: bool = False

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> ChildProcess:
        child = self.fork_pool.start(command, environment)
        self.pids.append(child.pid)
        if self.killing:
            os.kill(child.pid, signal.SIGKILL)
        return child

    def run(
        self,
        launch: Launch,
        rest_bytes: int | None = SHARE.rest_bytes,
        stop: threading.Event | None = None,
    ) -> Outcome:
        task = Task(launch, "here", self.folder, SHARE.budget, {}, rest_bytes)
        limits = Limits(SHARE.memory_bytes, PATIENCE, stop)
        processes = SlotProcesses(self.start, ExecutorMetrics())
        return processes.carry_out(task, lambda: limits, lambda _: None, lambda: None)

    def has_had(self, count: int) -> None:
        """Wait until it was given so many processes."""
        until = time.monotonic() + PATIENCE.total_seconds()
        while len(self.pids) < count:
            assert time.monotonic() < until
            threading.Event().wait(0.01)


@pytest.fixture(scope="module")
def fork_pool() -> Iterator[ForkPool]:
    with ForkPool([child_module], resting=Resting(1, None)) as fork_pool:
        yield fork_pool


@pytest.fixture
def slot(tmp_path: Path, fork_pool: ForkPool) -> Slot:
    return Slot(fork_pool, SpoolFolder(tmp_path / "spool"))


def proof(given: Job, number: int = 0) -> Launch:
    return given.launch("prove", number, ProveWork("", ""))


def join_of(slot: Slot, given: Job) -> Launch:
    """Scan everything; return the join of it all."""
    inputs = []
    for launch in given.scans():
        done = slot.run(launch)
        assert isinstance(launch.work, ScanWork)
        assert isinstance(done, ScanDone)
        place = SpoolPlace(launch.id, "here", "127.0.0.1", 1)
        inputs.append(SpoolInput(launch.work.table, launch.work.part.index, place, done.rows))
    return given.launch("join", 0, JoinWork((0, 1, 2, 3), frozenset(), False, tuple(inputs)))


def test_a_process_whose_fragment_ended_well_has_the_next_one_too(
    tmp_path: Path, slot: Slot
) -> None:
    given = job(tmp_path)

    done = slot.run(join_of(slot, given))

    assert not isinstance(done, FragmentFailed)
    assert len(slot.pids) == 5
    assert len(set(slot.pids)) == 1
    assert not has_ended(slot.pids[0])


def test_a_process_that_died_between_two_fragments_fails_neither(
    tmp_path: Path, slot: Slot
) -> None:
    given = job(tmp_path)
    slot.run(proof(given))

    # It is not waited for: its next holder may or may not see that it has gone.
    os.kill(slot.pids[0], signal.SIGKILL)
    outcome = slot.run(proof(given, 1))

    assert outcome == ProveDone(None)
    assert ends_soon(slot.pids[0])
    assert slot.pids[-1] != slot.pids[0]


def test_a_process_that_dies_as_it_is_given_a_fragment_is_replaced(
    tmp_path: Path, slot: Slot
) -> None:
    given = job(tmp_path)
    slot.run(proof(given))
    os.kill(slot.pids[0], signal.SIGSTOP)  # it looks alive, and will not have begun
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(slot.run, proof(given, 1))
        slot.has_had(2)

        os.kill(slot.pids[0], signal.SIGKILL)

        outcome = waiting.result(PATIENCE.total_seconds())
    assert outcome == ProveDone(None)
    assert slot.pids[1] == slot.pids[0]
    assert slot.pids[2] != slot.pids[0]


def test_a_process_that_has_grown_is_retired_and_the_next_fragment_does_not_notice(
    tmp_path: Path, slot: Slot
) -> None:
    given = job(tmp_path)

    outcomes = [slot.run(proof(given, number), rest_bytes=1) for number in range(2)]

    assert outcomes == [ProveDone(None)] * 2
    assert ends_soon(slot.pids[0])
    assert slot.pids[-1] != slot.pids[0]


def test_a_process_that_is_not_to_be_kept_ends_with_its_fragment(
    tmp_path: Path, slot: Slot
) -> None:
    slot.run(proof(job(tmp_path)), rest_bytes=None)

    assert ends_soon(slot.pids[0])


def test_a_process_that_was_stopped_is_killed(tmp_path: Path, slot: Slot) -> None:
    launch = join_of(slot, job(tmp_path, SLOW))
    stop = threading.Event()
    timer = threading.Timer(0.2, stop.set)
    timer.start()

    with pytest.raises(Cancelled):
        slot.run(launch, stop=stop)

    timer.join()
    assert len(set(slot.pids)) == 1
    assert ends_soon(slot.pids[0])


def test_a_process_whose_fragment_failed_is_killed(tmp_path: Path, slot: Slot) -> None:
    launch = join_of(
        slot, job(tmp_path, "SELECT l.id FROM l JOIN r ON l.k = r.k AND l.id / (r.k - 300) > 0")
    )

    outcome = slot.run(launch)

    assert isinstance(outcome, FragmentFailed)
    assert ends_soon(slot.pids[0])


def test_a_new_process_that_dies_is_told_as_a_crash(tmp_path: Path, slot: Slot) -> None:
    given = job(tmp_path)
    slot.run(proof(given), rest_bytes=None)
    launch = given.launch("prove", 1, ProveWork("", ""))
    slot.killing = True

    with pytest.raises(Crashed, match="SIGKILL"):
        slot.run(launch)


def test_only_a_process_that_has_read_from_a_database_does_not_stay_as_it_was(
    tmp_path: Path,
) -> None:
    given = job(tmp_path)
    spec = replace(given.context.left.spec, uri="postgres://user@host/db?table=t")
    left = replace(given.context.left, spec=spec)
    from_database = replace(given, context=replace(given.context, left=left))

    kept = [leaves_nothing(launch) for launch in (*from_database.scans(), proof(from_database))]

    assert all(leaves_nothing(launch) for launch in given.scans())
    assert kept == [False, False, True, True, True]
