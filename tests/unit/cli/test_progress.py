import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from kalla_core.cli.bars import BarsView
from kalla_core.cli.progress import LinesView, fraction
from kalla_core.engine.progress import Progress, Stage
from kalla_core.ids import RunId

READING = Progress(Stage.STAGING, source="invoices", rows_total=100, rows_done=10)


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (Progress(Stage.STAGING), None),
        (Progress(Stage.STAGING, rows_done=5), None),
        (Progress(Stage.STAGING, bytes_done=1, bytes_total=4, rows_done=1, rows_total=2), 0.5),
        (Progress(Stage.STAGING, bytes_done=1, bytes_total=4), 0.25),
        (Progress(Stage.MATCHING, fragments_done=3, fragments_total=4), 0.75),
        (Progress(Stage.STAGING, rows_done=0, rows_total=0), 1.0),
        (Progress(Stage.STAGING, rows_done=120, rows_total=100), 1.0),
    ],
)
def test_progress_is_measured_by_rows_then_bytes_then_fragments(
    progress: Progress, expected: float | None
) -> None:
    measured = fraction(progress)

    assert measured == expected


def test_lines_come_once_a_second_for_each_source() -> None:
    clock, lines = Clock(), list[str]()
    view = LinesView(RunId("r1"), lines.append, clock)

    for moment in (0.0, 0.4, 0.8, 1.2, 1.4):
        clock.now = moment
        view.show(replace(READING, rows_done=int(moment * 10)))
        view.show(replace(READING, source="payments", rows_done=int(moment * 10)))

    written = [json.loads(line) for line in lines]
    assert [(line["source"], line["rows_done"]) for line in written] == [
        ("invoices", 0),
        ("payments", 0),
        ("invoices", 12),
        ("payments", 12),
    ]


def test_the_last_report_of_a_stage_is_written_before_the_next_stage() -> None:
    clock, lines = Clock(), list[str]()
    view = LinesView(RunId("r1"), lines.append, clock)

    view.show(READING)
    view.show(replace(READING, rows_done=100))
    view.show(Progress(Stage.MATCHING))

    assert [json.loads(line)["progress"] for line in lines] == [0.1, 1.0, None]
    assert json.loads(lines[-1])["stage"] == "matching"


def test_what_was_held_back_is_written_at_the_end() -> None:
    lines = list[str]()
    view = LinesView(RunId("r1"), lines.append, Clock())
    view.show(READING)
    view.show(replace(READING, rows_done=99))

    view.close()

    assert json.loads(lines[-1])["rows_done"] == 99
    assert json.loads(lines[-1])["run_id"] == "r1"


def test_a_warning_is_a_line_of_its_own_as_soon_as_a_report_has_it_and_comes_once() -> None:
    clock, lines = Clock(), list[str]()
    view = LinesView(RunId("r1"), lines.append, clock)
    matching = Progress(Stage.MATCHING)

    for report in (matching, replace(matching, warnings=("Beware.",)), matching):
        view.show(report)
    view.show(replace(matching, warnings=("Beware.",)))

    written = [json.loads(line) for line in lines]
    assert [line["event"] for line in written] == ["progress", "warning"]
    assert written[1] == {"event": "warning", "run_id": "r1", "message": "Beware."}


def test_bars_have_warnings_above_them_which_whoever_asks_may_know() -> None:
    screen, warned = io.StringIO(), set[str]()
    console = Console(file=screen, force_terminal=True, width=100)

    with BarsView(console, warned) as bars:
        for _ in range(2):
            bars.show(Progress(Stage.MATCHING, warnings=("Beware.",)))

    assert screen.getvalue().count("Beware.") == 1
    assert warned == {"Beware."}


def test_bars_show_the_rows_of_each_stage_and_end_full() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120, color_system=None)

    with BarsView(console) as view:
        view.show(replace(READING, rows_done=40))
        view.show(replace(READING, rows_done=100))
        view.show(Progress(Stage.MATCHING, rows_done=7, rows_total=100))

    shown = screen.getvalue()
    assert "Reading invoices" in shown
    assert "Matching" in shown
    assert "100 rows" in shown
