"""What each executor does for a job that is watched: a table on a terminal, lines of JSON else."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict

from rich import box
from rich.table import Table

from kalla_core.jobs.model import ExecutorShare, Job
from kalla_core.units import format_bytes

_SECONDS_BETWEEN_LINES = 1.0


class ExecutorsTable:
    """A row for each executor, with its rows a second since it began, and one for all of them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: dict[str, float] = {}
        self._rates: dict[str, tuple[int, float]] = {}

    def of(self, job: Job) -> Table | None:
        """Return the table for a job as it is now; None while no executor works on it."""
        if not job.workers:
            return None
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
        table.add_column("executor", overflow="fold")
        for name in ("fragments", "running", "rows", "rows/s", "shuffled"):
            table.add_column(name, justify="right")
        for worker in job.workers:
            table.add_row(*_cells(worker, self._rate(worker)))
        if len(job.workers) > 1:
            table.add_row(*_cells(_all(job), sum(rate for _, rate in self._rates.values())))
        return table

    def _rate(self, worker: ExecutorShare) -> float:
        """Return the rows a second up to the last news of them: a job that has ended keeps it."""
        name, now = worker.executor_id, self._clock()
        passed = now - self._began.setdefault(name, now)
        rows, rate = self._rates.get(name, (0, 0.0))
        if worker.rows != rows and passed > 0:
            rate = worker.rows / passed
            self._rates[name] = (worker.rows, rate)
        return rate


class ExecutorsLines:
    """Lines of JSON: one a second while there is news, and how it stood when the job ended."""

    def __init__(
        self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = write
        self._clock = clock
        self._written_at = -_SECONDS_BETWEEN_LINES
        self._written: tuple[ExecutorShare, ...] = ()

    def show(self, job: Job) -> None:
        """Write how a job's executors stand, if that is news and due."""
        now = self._clock()
        due = job.status.final or now - self._written_at >= _SECONDS_BETWEEN_LINES
        if not due or job.workers == self._written:
            return
        self._written_at, self._written = now, job.workers
        self._write(
            json.dumps(
                {
                    "event": "executors",
                    "run_id": job.run_id,
                    "workers": [asdict(worker) for worker in job.workers],
                    "shuffled_bytes": job.shuffled_bytes,
                }
            )
        )


def _all(job: Job) -> ExecutorShare:
    return ExecutorShare(
        "all",
        sum(worker.fragments_done for worker in job.workers),
        sum(worker.fragments_running for worker in job.workers),
        sum(worker.rows for worker in job.workers),
        job.shuffled_bytes,
    )


def _cells(share: ExecutorShare, rate: float) -> tuple[str, ...]:
    return (
        share.executor_id,
        f"{share.fragments_done:,}",
        f"{share.fragments_running:,}",
        f"{share.rows:,}",
        f"{rate:,.0f}" if rate else "",
        format_bytes(share.fetched_bytes),
    )
