"""What executors do for a job, as it is shown to people and to programs."""

import io
import json
from dataclasses import replace
from datetime import UTC, datetime

from rich.console import Console

from kalla_core.cli.bars import BarsView
from kalla_core.cli.executor_lines import ExecutorsLines, ExecutorsTable
from kalla_core.engine.progress import Progress, Stage
from kalla_core.ids import RunId
from kalla_core.jobs.model import ExecutorShare, Job, JobStatus
from tests.unit.cli.test_progress import Clock

JOB = Job(RunId("r1"), "books", JobStatus.RUNNING, datetime(2026, 3, 1, tzinfo=UTC), "/out")


def doing(rows: int, fetched_bytes: int = 0, status: JobStatus = JobStatus.RUNNING) -> Job:
    east = ExecutorShare("east", 3, 1, rows, fetched_bytes)
    return replace(JOB, status=status, workers=(east, ExecutorShare("west", 1, 0, 50, 1 << 20)))


def cells(table: ExecutorsTable, job: Job) -> dict[str, list[str]]:
    """Return the rows of the table by executor."""
    screen = io.StringIO()
    Console(file=screen, width=100).print(table.of(job))
    rows = [line.split() for line in screen.getvalue().splitlines()[2:]]
    return {row[0]: row[1:] for row in rows}


def test_each_executor_has_a_row_with_its_rows_a_second_and_what_it_fetched() -> None:
    clock = Clock()
    table = ExecutorsTable(clock)
    table.of(doing(0))

    clock.now = 2.0
    shown = cells(table, doing(5000, fetched_bytes=3 << 20))

    assert shown["east"] == ["3", "1", "5,000", "2,500", "3", "MiB"]
    assert shown["west"] == ["1", "0", "50", "25", "1", "MiB"]
    assert shown["all"] == ["4", "1", "5,050", "2,525", "4", "MiB"]


def test_a_rate_does_not_fade_while_there_is_no_news() -> None:
    clock = Clock()
    table = ExecutorsTable(clock)
    table.of(doing(0))
    clock.now = 2.0
    table.of(doing(5000))

    clock.now = 200.0
    shown = cells(table, doing(5000))

    assert shown["east"][3] == "2,500"


def test_a_job_on_one_machine_has_no_table_and_no_lines() -> None:
    lines = list[str]()

    ExecutorsLines(lines.append, Clock()).show(replace(JOB, status=JobStatus.SUCCEEDED))

    assert ExecutorsTable().of(JOB) is None
    assert lines == []


def test_lines_come_once_a_second_and_at_the_end() -> None:
    clock, lines = Clock(), list[str]()
    view = ExecutorsLines(lines.append, clock)

    for moment, rows in ((0.0, 1), (0.5, 2), (1.5, 3)):
        clock.now = moment
        view.show(doing(rows))
    view.show(doing(4, status=JobStatus.SUCCEEDED))
    view.show(doing(4, status=JobStatus.SUCCEEDED))

    written = [json.loads(line) for line in lines]
    assert [line["workers"][0]["rows"] for line in written] == [1, 3, 4]
    assert {line["shuffled_bytes"] for line in written} == {1 << 20}


def test_executors_are_drawn_below_the_bars_with_the_fragments_of_each_stage() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120, color_system=None)

    with BarsView(console) as view:
        view.show(Progress(Stage.MATCHING, rows_done=7, fragments_done=3, fragments_total=8))
        view.put_below(ExecutorsTable().of(doing(5000)))

    shown = screen.getvalue()
    assert "3/8" in shown
    assert shown.rindex("Matching") < shown.rindex("east") < shown.rindex("west")
