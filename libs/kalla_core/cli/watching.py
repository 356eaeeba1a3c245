"""How the changes of a job are shown: bars on a terminal, lines of JSON elsewhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from rich.console import Console
from rich.text import Text

from kalla_core.cli.bars import BarsView
from kalla_core.cli.console import write_line
from kalla_core.cli.executor_lines import ExecutorsLines, ExecutorsTable
from kalla_core.cli.progress import watching
from kalla_core.engine.progress import OnProgress, Progress, Stage
from kalla_core.ids import RunId
from kalla_core.jobs.model import Job, JobStatus, StageProgress

ShowJob = Callable[[Job], None]

_STAGES = {stage.value for stage in Stage}
_STYLES = {
    JobStatus.QUEUED: "dim",
    JobStatus.RUNNING: "cyan",
    JobStatus.SUCCEEDED: "green",
    JobStatus.FAILED: "red",
    JobStatus.CANCELLED: "yellow",
}


@contextmanager
def show_changes(
    console: Console, run_id: RunId, *, quiet: bool = False, warned: set[str] | None = None
) -> Iterator[ShowJob]:
    """Show a job as it changes, until the context ends; nothing of it if `quiet`.

    Args:
        warned: as of `watching`.
    """
    if quiet:
        yield lambda _: None
        return
    if console.is_terminal:
        table = ExecutorsTable()
        with BarsView(console, warned) as bars:
            yield _View(console, bars.show, lambda job: bars.put_below(table.of(job))).show
        console.line()
        return
    with watching(console, run_id) as on_progress:
        lines = ExecutorsLines(lambda line: write_line(sys.stderr, line))
        yield _View(console, on_progress, lines.show).show


class _View:
    """Passes progress on to the bars or the lines, and tells what else is new."""

    def __init__(self, console: Console, on_progress: OnProgress, on_workers: ShowJob) -> None:
        self._console = console
        self._on_progress = on_progress
        self._on_workers = on_workers
        self._said = ""
        self._shown: dict[tuple[str, str | None], Progress] = {}

    def show(self, job: Job) -> None:
        self._say(job)
        for stage in job.stages:
            if stage.stage in _STAGES:
                self._pass_on(stage, job)
        self._on_workers(job)

    def _pass_on(self, stage: StageProgress, job: Job) -> None:
        """Pass a stage's progress on if it is news: each change tells of all stages."""
        progress = progress_of(stage)
        if progress.stage is Stage.MATCHING:
            progress = replace(
                progress,
                matched_rows=job.counts.matched or 0,
                warnings=() if job.status is JobStatus.SUCCEEDED else job.warnings,
            )
        key = (stage.stage, stage.source)
        if self._shown.get(key) != progress:
            self._shown[key] = progress
            self._on_progress(progress)

    def _say(self, job: Job) -> None:
        sentence = _sentence(job)
        if sentence == self._said:
            return
        self._said = sentence
        if self._console.is_terminal:
            style = _STYLES[job.status]
            self._console.print(Text.assemble((job.status.value, style), sentence))
            return
        event = {
            "event": f"job_{job.status.value}",
            "run_id": job.run_id,
            "attempt": job.attempt,
            "engine": job.engine,
            "strategy": job.strategy,
            "executors": list(job.executors),
        }
        write_line(sys.stderr, json.dumps(event))


def progress_of(stage: StageProgress) -> Progress:
    """Return the progress of a stage as a run on this machine would report it."""
    return Progress(
        stage=Stage(stage.stage),
        source=stage.source,
        rows_done=stage.rows_done,
        rows_total=stage.rows_total,
        bytes_done=stage.bytes_done,
        bytes_total=stage.bytes_total,
        fragments_done=stage.fragments_done,
        fragments_total=stage.fragments_total,
    )


def _sentence(job: Job) -> str:
    """Return what is to be known of a job beside its progress: `, on 2 executors, copartition`."""
    words = [job.recipe_id]
    if job.attempt > 1:
        words.append(f"attempt {job.attempt}")
    if job.executors:
        many = len(job.executors)
        words.append(f"on {many} executor{'' if many == 1 else 's'}")
    elif job.engine:
        words.append(job.engine)
    if job.strategy:
        words.append(job.strategy)
    return "  " + ", ".join(words)
