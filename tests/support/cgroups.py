"""A box of memory around a command, made by the kernel where this machine permits."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Box:
    """A cgroup with a memory limit, version 1 or 2."""

    folder: Path

    def run(
        self, command: Sequence[str], timeout_seconds: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in it to its end."""
        enter = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
        return subprocess.run(
            ["/bin/sh", "-c", enter, str(self.folder), *command],
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
        )

    @property
    def kills(self) -> int:
        """How many processes the kernel killed because the box was full."""
        for name in ("memory.oom_control", "memory.events"):
            if (self.folder / name).exists():
                fields = dict(map(str.split, (self.folder / name).read_text().splitlines()))
                return int(fields["oom_kill"])
        raise FileNotFoundError(self.folder)


@contextmanager
def memory_box(limit_bytes: int) -> Iterator[Box]:
    """Make a box of exactly so much memory; skips the test, aloud, where none can be made."""
    folder = _parent() / f"kalla-test-{secrets.token_hex(4)}"
    try:
        folder.mkdir()
        try:
            _limit(folder, limit_bytes)
            yield Box(folder)
        finally:
            folder.rmdir()
    except PermissionError as error:
        pytest.skip(f"no cgroup can be made here: {error}")


def _limit(folder: Path, limit_bytes: int) -> None:
    if (folder / "memory.limit_in_bytes").exists():
        (folder / "memory.limit_in_bytes").write_text(str(limit_bytes))
        return
    (folder / "memory.max").write_text(str(limit_bytes))
    if (folder / "memory.swap.max").exists():
        (folder / "memory.swap.max").write_text("0")


def _parent() -> Path:
    """Return the folder of this process's own group in the hierarchy that bounds memory."""
    groups = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    for _, controllers, path in groups:
        if "memory" in controllers.split(","):
            return _ROOT / "memory" / path.lstrip("/")
    for _, controllers, path in groups:
        folder = _ROOT / path.lstrip("/")
        if not controllers and os.access(folder / "cgroup.procs", os.W_OK) and _offers(folder):
            return folder
    pytest.skip("this machine bounds no memory by cgroups that we may use")


def _offers(folder: Path) -> bool:
    controls = folder / "cgroup.subtree_control"
    return controls.exists() and "memory" in controls.read_text().split()
