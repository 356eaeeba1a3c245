"""Ends what a test process has started once that is gone, killed or not, and takes disks away.

Everything it starts inherits a variable that names it, whatever session or parent it has later. A
process apart waits for the end of a pipe whose other end only the test process has, and then ends
all that bear the name. It stands on nothing but the standard library, to start quickly.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path

NAMES = "TESTS_TETHERED_TO"
"""Names of the test process, after those of others that it was started by."""

MOUNTED = "kalla-"
"""What the devices of disks begin with that tests have mounted; their name follows."""

_GRACE_S = 5.0
_PATIENCE_S = 60.0
_LOOK_INTERVAL_S = 0.05


def tether() -> None:
    """Tie whatever this process starts from now on to its life."""
    if not Path("/proc/self/environ").exists():
        return  # nobody can be found by what they inherited
    name = uuid.uuid4().hex
    reading, held = os.pipe()  # neither is inherited; `held` is closed by the end of this process
    quiet = [(os.POSIX_SPAWN_OPEN, out, os.devnull, os.O_WRONLY, 0) for out in (1, 2)]
    os.posix_spawn(
        sys.executable,
        [sys.executable, "-IS", __file__, name],
        {key: value for key, value in os.environ.items() if key != NAMES},
        file_actions=[(os.POSIX_SPAWN_DUP2, reading, 0), *quiet],
        setsid=True,
        setsigmask=[],
    )
    os.close(reading)
    os.environ[NAMES] = f"{os.environ.get(NAMES, '')} {name}".strip()
    assert held > 0


def tethered_to(name: str) -> set[int]:
    """Return the processes that bear a name."""
    found = set()
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            if folder.name.isdigit() and _bears(folder, name.encode()):
                found.add(int(folder.name))
    return found


def _bears(process: Path, name: bytes) -> bool:
    label = NAMES.encode() + b"="
    told = (process / "environ").read_bytes().split(b"\0")
    return any(one.startswith(label) and name in one for one in told)


def end_all(name: str) -> None:
    """Ask all that bear a name to end; kill those that do not."""
    began, asked = time.monotonic(), set[int]()
    while (found := tethered_to(name)) and time.monotonic() - began < _PATIENCE_S:
        late = time.monotonic() - began > _GRACE_S
        for pid in found if late else found - asked:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
                os.kill(pid, signal.SIGCONT)  # one that is frozen hears nothing
        asked |= found
        time.sleep(_LOOK_INTERVAL_S)


def unmount(name: str) -> None:
    """Take away the disks that bear a name."""
    for line in Path("/proc/mounts").read_text().splitlines():
        device, folder, *_ = line.split()
        if device == MOUNTED + name:
            subprocess.run(["umount", "-l", folder], check=False)


if __name__ == "__main__":
    while os.read(0, 4096):
        continue
    end_all(sys.argv[1])
    unmount(sys.argv[1])
