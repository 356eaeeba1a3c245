"""Jobs and executors as tables for people."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from kalla_core.jobs.document import progress_of
from kalla_core.jobs.model import ExecutorInfo, ExecutorShare, Job, JobStatus
from kalla_core.observe.secrets import mask_text
from kalla_core.units import format_bytes

_ENOUGH = 10_000
_LEAST = 10
"""Columns that the second column of a table has at least."""

_STYLES = {
    JobStatus.QUEUED: "dim",
    JobStatus.RUNNING: "cyan",
    JobStatus.SUCCEEDED: "green",
    JobStatus.FAILED: "red",
    JobStatus.CANCELLED: "yellow",
}


class Listed:
    """A table whose first column is there to be copied: whole, however narrow the terminal is.

    Where the words of the others have no room beside it, these stand below it, a line each. Print
    it with `crop=False`: a first column wider than the terminal is for the terminal to break.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._ids = [Text(str(cell)) for cell in table.columns[0].cells]
        table.columns[0].no_wrap = True
        table.columns[0].min_width = max(map(len, self._ids), default=0)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give the table, or the rows one below the other."""
        if not self._ids or self._words(console, options) <= options.max_width:
            yield self._table
            return
        names = [Text(str(one.header), style="dim") for one in self._table.columns[1:]]
        rows = zip(*(one.cells for one in self._table.columns[1:]), strict=True)
        for own, cells in zip(self._ids, rows, strict=True):
            yield Text(own.plain, no_wrap=True, overflow="ignore")
            below = Table.grid(padding=(0, 2))
            for name, cell in zip(names, cells, strict=True):
                if str(cell):
                    below.add_row("", name, cell)
            yield below

    def _words(self, console: Console, options: ConsoleOptions) -> int:
        """Return how wide the table is if only the second column breaks words."""
        whole = Measurement.get(console, options.update(width=_ENOUGH), self._table).minimum
        second = max(len(str(cell)) for cell in self._table.columns[1].cells)
        return whole - max(0, second - _LEAST)


def jobs_table(jobs: Iterable[Job]) -> Listed:
    """Return jobs, a row each."""
    table = _table(
        "run", "recipe", "status", "stage", ">matched", ">unmatched", ">took", "accepted"
    )
    for job in jobs:
        table.add_row(
            job.run_id,
            job.recipe_id,
            _status(job),
            _stage(job),
            _count(job.counts.matched),
            _unmatched(job),
            _took(job),
            f"{job.accepted_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z",
        )
    return Listed(table)


def job_lines(job: Job) -> Table:
    """Return all that is to be said of one job, a line each."""
    counts = job.counts
    table = Table.grid(padding=(0, 2))
    lines: list[tuple[str, str | Text | None]] = [
        ("run", job.run_id),
        ("recipe", job.recipe_id),
        ("status", _status(job)),
        ("stage", _stage(job) or None),
        ("engine", ", ".join(filter(None, (job.engine, job.strategy))) or None),
        *(("executor", _share(worker)) for worker in job.workers),
        ("shuffled", format_bytes(job.shuffled_bytes) if job.workers else None),
        ("matched", _count(counts.matched) or None),
        ("unmatched left", _of(counts.unmatched_left, counts.total_left)),
        ("unmatched right", _of(counts.unmatched_right, counts.total_right)),
        ("took", _took(job) or None),
        ("evidence", job.output_path if job.status is JobStatus.SUCCEEDED else None),
        *(("warning", warning) for warning in job.warnings),
        ("error", None if job.error is None else _error(job)),
    ]
    for name, value in lines:
        if value is not None:
            table.add_row(
                Text(name, style="dim"), value if isinstance(value, Text) else Text(value)
            )
    return table


def executors_table(executors: Iterable[ExecutorInfo]) -> Listed:
    """Return executors, a row each."""
    table = _table("executor", "address", "state", ">slots", ">memory", ">spool", "seen", "version")
    for one in executors:
        seen = datetime.now(UTC) - one.last_seen_at
        table.add_row(
            one.executor_id,
            one.address,
            one.state,
            f"{one.slots_busy}/{one.slots}",
            format_bytes(one.memory_bytes),
            format_bytes(one.spool_bytes),
            f"{max(0.0, seen.total_seconds()):.0f} s ago",
            one.version,
        )
    return Listed(table)


def _table(*columns: str) -> Table:
    """Return a table without lines; a column that begins with `>` is aligned to the right."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
    for name in columns:
        justify = "right" if name.startswith(">") else "left"
        table.add_column(name.removeprefix(">"), justify=justify, overflow="fold")  # type: ignore[arg-type]
    return table


def _status(job: Job) -> Text:
    return Text(job.status.value, style=_STYLES[job.status])


def _stage(job: Job) -> str:
    if job.status is not JobStatus.RUNNING or job.stage is None:
        return ""
    done = progress_of(job)
    return job.stage if done is None else f"{job.stage} {done:.0%}"


def _share(worker: ExecutorShare) -> str:
    done = worker.fragments_done
    return (
        f"{worker.executor_id}: {done:,} fragment{'' if done == 1 else 's'}, {worker.rows:,} rows"
    )


def _count(rows: int | None) -> str:
    return "" if rows is None else f"{rows:,}"


def _unmatched(job: Job) -> str:
    sides = (job.counts.unmatched_left, job.counts.unmatched_right)
    return " + ".join(_count(rows) for rows in sides if rows is not None)


def _of(rows: int | None, total: int | None) -> str | None:
    if rows is None:
        return None
    return _count(rows) if total is None else f"{rows:,} of {total:,}"


def _took(job: Job) -> str:
    if job.started_at is None:
        return ""
    took: timedelta = (job.ended_at or datetime.now(UTC)) - job.started_at
    return f"{took.total_seconds():.1f} s"


def _error(job: Job) -> Text:
    error = job.error
    assert error is not None  # noqa: S101 - the caller asked
    return Text.assemble((error.code, "red"), f": {mask_text(error.message)}")
