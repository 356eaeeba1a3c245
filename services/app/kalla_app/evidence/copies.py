"""Copies of evidence below the data path; each is as old as its last use, which is on its folder.

Apps on one data path share them: what one has used another does not remove. The time is told by a
clock that nobody sets.
"""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from kalla_core.serving.clock import SteadyClock

_GOING = ".going-"


class Copies:
    """Any thread.

    Args:
        folder: of all copies; need not exist.
    """

    def __init__(self, folder: Path, clock: SteadyClock | None = None) -> None:
        self.folder = folder
        self._clock = clock or SteadyClock()

    def now(self) -> datetime:
        """Return the time that copies age by."""
        return self._clock.now()

    def of(self, run_id: str) -> Path:
        """Return where the copy of a run's evidence lies, or would."""
        return self.folder / run_id

    def use(self, place: Path) -> None:
        """Note that somebody looks into a folder, if it is a copy."""
        if place.parent == self.folder:
            at = self.now().timestamp()
            with suppress(OSError):  # on a disk that takes no more it ages, and can still be read
                os.utime(place, (at, at))

    def sweep(self, before: datetime) -> int:
        """Remove copies that nobody has looked at since a moment, and return how many.

        So goes what a fetch left that was killed. Whoever looks at one at this moment finds all of
        it or nothing, and fetches it again.
        """
        count = 0
        for place in self._places():
            with suppress(OSError):
                used = datetime.fromtimestamp(place.stat().st_mtime, UTC)
                if used >= before:
                    continue
                going = self.folder / f"{_GOING}{secrets.token_hex(8)}"
                place.rename(going)
                shutil.rmtree(going, ignore_errors=True)
                count += 1
        return count

    def _places(self) -> list[Path]:
        try:
            return [place for place in self.folder.iterdir() if place.is_dir()]
        except FileNotFoundError:
            return []
