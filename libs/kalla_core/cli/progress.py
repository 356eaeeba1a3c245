"""How a run shows its progress: bars on a terminal, lines of JSON elsewhere."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kalla_core.cli.console import write_line
from kalla_core.engine.progress import OnProgress, Progress, Stage
from kalla_core.ids import RunId

if TYPE_CHECKING:
    from rich.console import Console

_SECONDS_BETWEEN_LINES = 1.0

Key = tuple[Stage, str | None]
"""A stage, and the source that it is about, if it is about one."""


def fraction(progress: Progress) -> float | None:
    """Return how much of its stage a report stands for, 0 to 1; None while nobody knows."""
    pairs = (
        (progress.rows_done, progress.rows_total),
        (progress.bytes_done, progress.bytes_total),  # often an estimate
        (progress.fragments_done, progress.fragments_total or None),
    )
    for done, total in pairs:
        if total is not None:
            return 1.0 if total == 0 else min(1.0, done / total)
    return None


@contextmanager
def watching(
    console: Console, run_id: RunId, *, warned: set[str] | None = None
) -> Iterator[OnProgress]:
    """Show what is reported until the context ends; reports may come from any thread.

    A warning is shown once, as soon as a report has it.

    Args:
        warned: gets the warnings that a person has read, on a terminal.
    """
    if console.is_terminal:
        from kalla_core.cli.bars import BarsView  # it takes long to load, and a program needs none

        with BarsView(console, warned) as bars:
            yield bars.show
        console.line()
        return
    lines = LinesView(run_id, lambda line: write_line(sys.stderr, line))
    try:
        yield lines.show
    finally:
        lines.close()


class LinesView:
    """Lines of JSON: the first and last report of each stage and source, and one a second."""

    def __init__(
        self,
        run_id: RunId,
        write: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run_id = run_id
        self._write = write
        self._clock = clock
        self._written_at: dict[Key, float] = {}
        self._held: dict[Key, Progress] = {}
        self._warned: set[str] = set()
        self._lock = threading.Lock()

    def show(self, progress: Progress) -> None:
        """Write a report, or hold it back if its kind was written less than a second ago."""
        key = (progress.stage, progress.source)
        with self._lock:
            for warning in news(progress.warnings, self._warned):
                event = {"event": "warning", "run_id": self._run_id, "message": warning}
                self._write(json.dumps(event))
            now = self._clock()
            if now - self._written_at.get(key, -_SECONDS_BETWEEN_LINES) < _SECONDS_BETWEEN_LINES:
                self._held[key] = progress
                return
            self._release(lambda stage: stage is not progress.stage)
            self._held.pop(key, None)
            self._written_at[key] = now
            self._write(_line(self._run_id, progress))

    def close(self) -> None:
        """Write what is still held back."""
        with self._lock:
            self._release(lambda stage: True)

    def _release(self, wanted: Callable[[Stage], bool]) -> None:
        for key in [key for key in self._held if wanted(key[0])]:
            self._write(_line(self._run_id, self._held.pop(key)))


def news(warnings: Iterable[str], shown: set[str]) -> list[str]:
    """Return the warnings that were not shown yet, which they are now."""
    news = [warning for warning in dict.fromkeys(warnings) if warning not in shown]
    shown.update(news)
    return news


def _line(run_id: RunId, progress: Progress) -> str:
    part = fraction(progress)
    return json.dumps(
        {
            "event": "progress",
            "run_id": run_id,
            "stage": progress.stage,
            "source": progress.source,
            "progress": None if part is None else round(part, 4),
            "rows_done": progress.rows_done,
            "rows_total": progress.rows_total,
            "bytes_done": progress.bytes_done,
            "bytes_total": progress.bytes_total,
            "fragments_done": progress.fragments_done,
            "fragments_total": progress.fragments_total,
            "matched_count": progress.matched_rows,
        }
    )
