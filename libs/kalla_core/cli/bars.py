"""A run's progress as bars on a terminal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from rich.console import Console, RenderableType
from rich.progress import BarColumn, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.text import Text

from kalla_core.cli.progress import Key, fraction, news
from kalla_core.engine.progress import Progress, Stage


class _Bars(Bars):
    """Bars, and something else below them."""

    below: RenderableType | None = None

    def get_renderables(self) -> Iterable[RenderableType]:
        """Yield what is drawn, from top to bottom."""
        yield from super().get_renderables()
        if self.below is not None:
            yield self.below


class BarsView:
    """One bar per stage and source: rows, rows a second, fragments done, the time left."""

    def __init__(self, console: Console, warned: set[str] | None = None) -> None:
        self._bars = _Bars(
            TextColumn("{task.description}", table_column=None),
            BarColumn(bar_width=28),
            _RowsColumn(),
            _RateColumn(),
            _FragmentsColumn(),
            TimeRemainingColumn(compact=True),
            console=console,
        )
        self._tasks: dict[Key, TaskID] = {}
        self._warned = set() if warned is None else warned
        self._lock = threading.Lock()

    def __enter__(self) -> BarsView:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._finish(lambda key: True)
        self._bars.stop()

    def show(self, progress: Progress) -> None:
        """Bring the report's bar up to date; a later stage completes the bars before it."""
        key = (progress.stage, progress.source)
        part = fraction(progress)
        with self._lock:
            for warning in news(progress.warnings, self._warned):
                self._bars.console.print(Text.assemble(("Warning: ", "yellow"), warning))
            if key not in self._tasks:
                self._finish(lambda other: other[0] is not progress.stage)
                self._tasks[key] = self._bars.add_task(_title(progress), total=None)
            self._bars.update(
                self._tasks[key],
                total=None if part is None else 1.0,
                completed=part or 0.0,
                rows=progress.rows_done,
                fragments=_fragments(progress),
            )

    def put_below(self, what: RenderableType | None) -> None:
        """Draw something below the bars, in the place of what was there."""
        with self._lock:
            self._bars.below = what

    def _finish(self, which: Callable[[Key], bool]) -> None:
        for key in filter(which, self._tasks):
            self._bars.update(self._tasks[key], total=1.0, completed=1.0)


def _title(progress: Progress) -> str:
    match progress.stage:
        case Stage.STAGING:
            return f"Reading {progress.source}" if progress.source else "Reading"
        case Stage.MATCHING:
            return f"Matching: {progress.source}" if progress.source else "Matching"
        case Stage.WRITING_RESULTS:
            return "Writing evidence"


def _fragments(progress: Progress) -> str:
    """Return `3/8`; nothing where there is one only, whose rows say it all."""
    total = progress.fragments_total
    return f"{progress.fragments_done}/{total}" if total > 1 else ""


class _FragmentsColumn(ProgressColumn):
    """`3/8` fragments."""

    def render(self, task: Task) -> Text:
        return Text(task.fields.get("fragments", ""), style="progress.data.speed")


class _RowsColumn(ProgressColumn):
    """`1,234,567 rows`."""

    def render(self, task: Task) -> Text:
        rows = task.fields.get("rows", 0)
        return Text(f"{rows:>12,} rows" if rows else "", style="progress.download")


class _RateColumn(ProgressColumn):
    """`1,234,567 rows/s` since the bar began."""

    def render(self, task: Task) -> Text:
        rows, seconds = task.fields.get("rows", 0), task.finished_time or task.elapsed
        if not rows or not seconds:
            return Text("")
        return Text(f"{rows / seconds:>12,.0f} rows/s", style="progress.data.speed")
