"""What can happen to an executor of a job: each fault shows that it struck, and is mended."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.chaos.stages import FETCHES, JOINS, SCANS, STAGES, Scene
from tests.support.processes import ends_soon, has_ended
from tests.support.real_cluster import until

SPOOLS = ("*.spool", "*.keys", "*.marks", "*.told")
PATIENCE_S = 60
SUCCEEDED = "succeeded"


@dataclass(frozen=True)
class Fault:
    """Something bad.

    Attributes:
        happens: makes it happen while the job is held, and asserts that it did.
        struck: whether the job came across it, for faults that somebody has to run into.
        mended: makes it good again, as far as that can be.
        ends: how the job may end: that it succeeded, or the code of its error.
        stages: at which there is something for it to happen to.
    """

    happens: Callable[[Scene], None]
    struck: Callable[[Scene], bool] = lambda scene: True
    mended: Callable[[Scene], None] = lambda scene: None
    ends: tuple[str, ...] = (SUCCEEDED,)
    stages: tuple[str, ...] = tuple(STAGES)


def _killed(scene: Scene) -> None:
    os.kill(scene.victim.pid, signal.SIGKILL)
    assert scene.victim.service.process.wait(20) == -signal.SIGKILL


def _drained(scene: Scene) -> None:
    os.kill(scene.victim.pid, signal.SIGTERM)
    assert until(lambda: scene.victim.service.events("executor_draining"), PATIENCE_S)


def _gone(scene: Scene) -> bool:
    return ends_soon(scene.victim.pid) and scene.victim.service.process.wait(20) == 0


def _frozen(scene: Scene) -> None:
    os.kill(scene.victim.pid, signal.SIGSTOP)
    stat = Path(f"/proc/{scene.victim.pid}/stat")
    assert until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", 20)


def _thawed(scene: Scene) -> None:
    if not has_ended(scene.victim.pid):
        os.kill(scene.victim.pid, signal.SIGCONT)


def _silent(there: bool, back: bool) -> Callable[[Scene], None]:
    def happens(scene: Scene) -> None:
        scene.victim.upward.held_up.clear()
        scene.victim.upward.cut(there=there, back=back)

    return happens


def _upward_held(scene: Scene) -> bool:
    return scene.victim.upward.held_up.wait(PATIENCE_S)


def _upward_mended(scene: Scene) -> None:
    scene.victim.upward.mend()


def _registrations(scene: Scene) -> int:
    return len(scene.victim.service.events("registered"))


def _snapped(scene: Scene) -> None:
    scene.before["registrations"] = _registrations(scene)
    assert scene.victim.upward.snap()


def _came_back(scene: Scene) -> bool:
    return until(lambda: _registrations(scene) > scene.before["registrations"], PATIENCE_S)


def _from_peers(scene: Scene) -> None:
    scene.victim.inward.held_up.clear()
    scene.victim.inward.cut()


def _inward_held(scene: Scene) -> bool:
    return scene.victim.inward.held_up.is_set()


def _inward_mended(scene: Scene) -> None:
    scene.victim.inward.mend()


def _damaged(scene: Scene) -> None:
    files = [one for pattern in SPOOLS for one in scene.victim.spool.rglob(pattern)]
    assert sum(_damage(path) for path in files if f"{scene.run_id}" in str(path))


def _damage(path: Path) -> bool:
    with suppress(FileNotFoundError), path.open("r+b") as file:
        data = file.read()
        middle = len(data) // 2
        file.seek(middle)
        return file.write(bytes(255 - byte for byte in data[middle : middle + 64])) > 0
    return False


def _noticed(scene: Scene) -> bool:
    return any(one.service.events("fragment_failed") for one in scene.cluster.workers)


def _cancelled(scene: Scene) -> None:
    answer = httpx.post(f"{scene.cluster.url}/api/jobs/{scene.run_id}/cancel", timeout=30)
    assert answer.status_code == 202, answer.text


FAULTS: Mapping[str, Fault] = {
    "killed": Fault(_killed),
    "drained": Fault(_drained, _gone),
    "frozen": Fault(_frozen, mended=_thawed),
    "cut from the coordinator": Fault(_silent(True, True), _upward_held, _upward_mended),
    "not heard by the coordinator": Fault(_silent(True, False), _upward_held, _upward_mended),
    "not hearing the coordinator": Fault(_silent(False, True), _upward_held, _upward_mended),
    "off its stream": Fault(_snapped, _came_back),
    "cut from its peers": Fault(_from_peers, _inward_held, _inward_mended),
    "with damaged spools": Fault(_damaged, _noticed, stages=(SCANS, FETCHES, JOINS)),
    "cancelled": Fault(_cancelled, ends=("cancelled",)),
}
