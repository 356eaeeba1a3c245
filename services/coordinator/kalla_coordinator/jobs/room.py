"""Whether there is room on the disk below the staging path, for many who ask often.

A write to the job store does not tell: it may find room in a file that is there already.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

from kalla_coordinator.jobs.probe import Probe
from kalla_core.evidence.disk import is_full
from kalla_core.units import format_bytes

ROOM_BYTES = 1 << 20
"""As much as the largest request over HTTP takes in the store."""

_PIECE = bytes(1 << 16)


class Room:
    """Tries to have room. Asyncio, one event loop."""

    def __init__(self, folder: Path) -> None:
        self._probe = Probe(lambda: asyncio.to_thread(_try, folder))

    async def missing(self) -> str | None:
        """Return why nothing can be written below the staging path; None if it can."""
        try:
            await self._probe.check()
        except OSError as error:
            if is_full(error):
                return f"disk_full: the staging path has no room for {format_bytes(ROOM_BYTES)}"
            return f"staging_unavailable: the staging path cannot be written: {error.strerror}"
        return None


def _try(folder: Path) -> None:
    """Take the room, and give it back."""
    with tempfile.TemporaryFile(dir=folder, prefix=".room-", buffering=0) as file:
        if hasattr(os, "posix_fallocate"):  # not on macOS
            os.posix_fallocate(file.fileno(), 0, ROOM_BYTES)
            return
        written = 0
        while written < ROOM_BYTES:
            written += file.write(_PIECE)
