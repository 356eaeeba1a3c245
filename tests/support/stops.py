"""Places in the code of other processes where a test can hold them, or do worse.

A process that comes to an armed place waits there until it is let go, and while it waits whatever
the test wants can happen, exactly there. Only processes started with `Stops.environment` know of
them; the product knows of nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.real_cluster import until

HOOKS = Path(__file__).with_name("hooks")
PATIENCE_S = 90


@dataclass(frozen=True)
class Stops:
    """Places in those processes that were told of this folder.

    Attributes:
        places: `module:function` or `module:Class.method`, all that may ever be armed.
    """

    folder: Path
    places: tuple[str, ...]

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables by which a process knows of them."""
        return {
            "PYTHONPATH": os.pathsep.join([str(HOOKS), *_paths()]),
            "STOPS": str(self.folder),
            "STOPS_AT": " ".join(self.places),
        }

    def arm(self, place: str, *, call: int = 1) -> None:
        """Hold whoever calls a place as the `call`th from now on, once."""
        self._arm(place, f"hold {call}")

    def poison(self, place: str) -> None:
        """Let everybody who comes to a place kill the executor that it works for."""
        self._arm(place, "poison 1")

    def gorge(self, place: str) -> None:
        """Let everybody who comes to a place take memory until it is ended."""
        self._arm(place, "gorge 1")

    def disarm(self, place: str) -> None:
        """Let everybody pass from now on."""
        (self.folder / place).unlink(missing_ok=True)

    def victims(self, place: str) -> int:
        """Return how many came to a place that does harm."""
        harmed = (f"{place}.poison.*", f"{place}.gorge.*")
        return sum(1 for pattern in harmed for _ in self.folder.glob(pattern))

    @contextmanager
    def held(self, place: str) -> Iterator[int]:
        """Wait until somebody is held at a place, who is let go after the block; yields who.

        Raises:
            AssertionError: nobody came.
        """
        here = self.folder / f"{place}.here"
        assert until(here.exists, PATIENCE_S), f"nobody came to {place}"
        try:
            yield int(here.read_text())
        finally:
            here.unlink(missing_ok=True)

    def _arm(self, place: str, what: str) -> None:
        assert place in self.places, place
        self.folder.mkdir(parents=True, exist_ok=True)
        fresh = self.folder / f"{place}.fresh"
        fresh.write_text(what)
        fresh.rename(self.folder / place)


def _paths() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
