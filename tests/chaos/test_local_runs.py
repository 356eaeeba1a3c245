"""Faults at exact places of a run on this machine: killed, frozen, interrupted, out of disk."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.generate.dataset import Dataset
from kalla_core.evidence.names import OF_EVERY_RUN
from tests.chaos.cluster import is_true
from tests.support.command import KALLA, clean_environment, kalla, names_below
from tests.support.disks import Disk, small_disk
from tests.support.places import COMMITTING, LOCAL_MATCHING, LOCAL_SCANNING, OF_LOCAL_RUNS
from tests.support.processes import children_of, ends_soon
from tests.support.real_cluster import until
from tests.support.stops import Stops

DISK_BYTES = 64 << 20
PATIENCE_S = 120
FLAGS = ("--buckets=8", "--partitions=4", "--slots=1", "--memory-limit=1GiB", "--overwrite")
COMMITS = "as it commits"
PLACES = {
    "as it reads": LOCAL_SCANNING,
    "as it matches": LOCAL_MATCHING,
    COMMITS: COMMITTING,
}


@dataclass(frozen=True)
class Local:
    """A run that is held somewhere, and the disk that its output is on."""

    process: subprocess.Popen[str]
    disk: Disk

    @property
    def family(self) -> list[int]:
        return [self.process.pid, *children_of(self.process.pid)]


@dataclass(frozen=True)
class Fault:
    """Something bad.

    Attributes:
        happens: while the run is held; asserts that it did.
        ends: exit code of the run.
        says: what it tells on standard error.
        commits: the same where it commits already, and there is evidence; None if that is no other.
        never: where there is nothing for it to happen to.
    """

    happens: Callable[[Local], None]
    ends: int
    says: str = ""
    commits: tuple[int, str] | None = None
    never: tuple[str, ...] = ()
    then: Callable[[Local], None] = lambda local: None


def _killed(local: Local) -> None:
    family = local.family
    local.process.kill()
    assert local.process.wait(20) == -signal.SIGKILL
    assert all(ends_soon(pid) for pid in family)


def _child_killed(local: Local) -> None:
    (child,) = local.family[1:]
    os.kill(child, signal.SIGKILL)
    assert ends_soon(child)


def _frozen(local: Local) -> None:
    for pid in local.family:
        os.kill(pid, signal.SIGSTOP)
        assert until(lambda: _state(pid) == "T", 20)  # noqa: B023 - called at once


def _thawed(local: Local) -> None:
    for pid in local.family:
        os.kill(pid, signal.SIGCONT)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _signalled(number: signal.Signals) -> Callable[[Local], None]:
    return lambda local: local.process.send_signal(number)


FAULTS: Mapping[str, Fault] = {
    "killed": Fault(_killed, -signal.SIGKILL),
    "left without its child": Fault(_child_killed, 3, "Error (crashed)", never=(COMMITS,)),
    "frozen": Fault(_frozen, 0, then=_thawed),
    "interrupted": Fault(
        _signalled(signal.SIGINT),
        130,
        "Interrupted: nothing was left behind.",
        (130, "Interrupted: its evidence is complete, in"),
    ),
    "terminated": Fault(
        _signalled(signal.SIGTERM),
        143,
        "Terminated: nothing was left behind.",
        (143, "Terminated: its evidence is complete, in"),
    ),
    "out of disk": Fault(lambda local: local.disk.fill(), 3, "Error (out_of_disk)", (0, "")),
}
SAMPLE = {("out of disk", "as it reads")}


def _every() -> list[object]:
    return [
        pytest.param(name, where, marks=() if (name, where) in SAMPLE else pytest.mark.full)
        for name, fault in FAULTS.items()
        for where in PLACES
        if where not in fault.never
    ]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "small", DISK_BYTES) as made:
        yield made


@contextmanager
def started(dataset: Dataset, disk: Disk, stops: Stops) -> Iterator[Local]:
    command = [*KALLA, "run", str(dataset.recipe_path), "--output", str(disk.used / "out")]
    with subprocess.Popen(
        [*command, *FLAGS],
        cwd=disk.used,
        env=clean_environment(stops.environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield Local(process, disk)
        finally:
            process.kill()


@pytest.mark.parametrize(("name", "where"), _every())
def test_a_local_run_that_is(
    dataset: Dataset, tmp_path: Path, disk: Disk, name: str, where: str
) -> None:
    fault, place, output = FAULTS[name], PLACES[where], disk.used / "out"
    stops = Stops(tmp_path / "stops", OF_LOCAL_RUNS)
    stops.arm(place)
    with started(dataset, disk, stops) as local:
        with stops.held(place):
            fault.happens(local)
        fault.then(local)
        _, said = local.process.communicate(timeout=PATIENCE_S)
        code = local.process.returncode

    committed = where == COMMITS and fault.commits is not None
    ends, says = fault.commits if committed and fault.commits else (fault.ends, fault.says)
    assert code == ends, said
    assert says in said
    if name != "killed":
        assert names_below(disk.used) == (_complete() if committed or not ends else set())
    if name == "out of disk":
        disk.free()
    again = kalla("run", dataset.recipe_path, "--output", output, *FLAGS, cwd=disk.used)
    assert again.exit_code == 0, again.err
    is_true(output, dataset)
    assert names_below(disk.used) == _complete()


def _complete() -> set[str]:
    return {"out", *(f"out/{name}" for name in OF_EVERY_RUN)}
