"""Disks of a test's own, so small that they can be full."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.tether import MOUNTED, NAMES


@dataclass(frozen=True)
class Disk:
    """A file system in memory."""

    folder: Path

    @property
    def used(self) -> Path:
        """A folder on it, apart from what fills it."""
        folder = self.folder / "used"
        folder.mkdir(exist_ok=True)
        return folder

    def fill(self) -> None:
        """Take all the room that is left; asserts that it did."""
        descriptor = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            for size in (1 << 16, 1 << 12):
                self._take(descriptor, size)
        finally:
            os.close(descriptor)
        assert os.statvfs(self.folder).f_bavail == 0

    def free(self) -> None:
        """Give the room back."""
        self._ballast.unlink()

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    def _take(self, descriptor: int, size: int) -> None:
        try:
            while True:
                os.write(descriptor, bytes(size))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Disk]:
    """Mount a disk on a new folder; skips the test, aloud, where nothing may be mounted."""
    folder.mkdir()
    device = MOUNTED + os.environ.get(NAMES, "").rpartition(" ")[2]
    said = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", device, str(folder)],
        capture_output=True,
        text=True,
    )
    if said.returncode:
        pytest.skip(f"no disk can be mounted here: {said.stderr.strip()}")
    try:
        yield Disk(folder)
    finally:
        # At once for all who look, even if a process that is about to end has files open there.
        subprocess.run(["umount", "-l", str(folder)], check=True)
