"""What each executor has done for a run, from its fragments and what they tell."""

from dataclasses import replace

from kalla_coordinator.cluster import events as e
from kalla_coordinator.cluster.attempts import Try
from kalla_coordinator.cluster.layout import Shape
from kalla_coordinator.cluster.progress import Reports, shares, summed_up
from kalla_coordinator.jobs.model import ExecutorShare
from kalla_core.engine.progress import Stage
from kalla_core.fragments.attempt import AttemptId
from kalla_core.fragments.outcome import FragmentProgress, JoinDone
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.strategy import Strategy
from tests.support.dispatch_cost import PLAN
from tests.unit.coordinator.cluster.test_stages import (
    FIRST_JOIN,
    LEFT_SCAN,
    NONE,
    RIGHT_SCAN,
    SECOND_JOIN,
    Run,
    setup,
)

JOINED = {Side.LEFT: 6, Side.RIGHT: 4}


def told(which: Try, rows: int, fetched_bytes: int = 0, rule: str = "") -> Reports:
    """Return a single report of an attempt that is under way."""
    id = AttemptId("run", 1, which.fragment.stage, which.fragment.number, which.attempt)
    report = FragmentProgress(id, rows=rows, fetched_bytes=fetched_bytes, rule=rule)
    return Reports().told(which, report)


def test_fragments_that_are_done_count_with_their_rows_and_what_they_fetched() -> None:
    run = Run(setup()).read()
    run.granted(FIRST_JOIN, "a").ended(FIRST_JOIN, JoinDone((), JOINED, NONE, NONE, {}, 700))

    found = shares(run.state, Reports(), ("a", "b"))

    assert found == (ExecutorShare("a", 2, 0, 20, 700), ExecutorShare("b", 1, 0, 10, 0))


def test_one_that_runs_counts_with_its_last_report() -> None:
    run = Run(setup()).read().granted(FIRST_JOIN, "b").granted(SECOND_JOIN, "b")

    found = shares(run.state, told(Try(FIRST_JOIN, 1), 3, 55), ("a", "b"))

    assert found == (ExecutorShare("a", 1, 0, 10, 0), ExecutorShare("b", 1, 2, 13, 55))


def test_the_progress_of_matching_names_the_pass_that_is_carried_out() -> None:
    shape = Shape(Strategy.COPARTITION, spread=True, in_passes=True)
    run = Run(replace(setup(), shape=shape)).read().granted(FIRST_JOIN, "b")

    *_, matching = summed_up(run.state, told(Try(FIRST_JOIN, 1), 3, rule="by name"), PLAN)

    assert (matching.stage, matching.source) == (Stage.MATCHING, "by name")
    assert (matching.rows_done, matching.fragments_total) == (3, 1)


def test_what_is_done_again_elsewhere_is_counted_where_it_counts() -> None:
    run = Run(setup()).granted(LEFT_SCAN, "a").granted(RIGHT_SCAN, "b")
    run.happens(e.ExecutorLost("a", "silent")).done(LEFT_SCAN, "b", attempt=2)

    found = shares(run.state, told(Try(LEFT_SCAN, 1), 9), ("a", "b"))

    assert found == (ExecutorShare("a"), ExecutorShare("b", 1, 1, 10, 0))
