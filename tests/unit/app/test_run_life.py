from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_app.runs.life import (
    Accepted,
    AskedToCancel,
    Completed,
    Failed,
    NeverSent,
    News,
    Progressed,
    Refused,
    RunState,
    RunStatus,
    step,
)
from kalla_core.jobs.model import Counts

PROGRESS = st.builds(
    Progressed,
    st.integers(0, 50),
    st.sampled_from(["staging", "matching", "writing_results"]),
    st.floats(0, 1),
    st.builds(Counts, matched=st.none() | st.integers(0, 99)),
)
ENDS = st.sampled_from(
    [
        Completed(Counts(matched=7, total_left=9), {"matched": "/out/run/matched.parquet"}),
        Failed("out_of_memory", "It needs more memory."),
        Failed("cancelled", "The job was cancelled."),
        Refused("invalid_recipe", "It has a fault."),
    ]
)


def after(sequence: list[News], state: RunState | None = None) -> RunState:
    state = state or RunState()
    for news in sequence:
        state = step(state, news)
    return state


@given(st.data())
def test_a_run_ends_as_it_was_told_to_however_late_and_often_all_else_arrives(
    data: st.DataObject,
) -> None:
    told: list[News] = data.draw(st.lists(PROGRESS, max_size=8))
    end = data.draw(ENDS)
    doubled = [*told, *told, Accepted(), Accepted(), AskedToCancel(), end, end]

    ended = after(data.draw(st.permutations(doubled)))

    first = after([end])
    assert (ended.status, ended.error_code) == (first.status, first.error_code)
    assert ended.output_paths == first.output_paths
    assert ended.counts.total_left == first.counts.total_left


@given(ENDS, st.lists(PROGRESS | ENDS | st.just(Accepted()) | st.just(NeverSent())))
def test_a_run_that_has_ended_stays_as_it_is(end: News, late: list[News]) -> None:
    ended = after([end])

    assert after(late, ended) == ended


@given(st.lists(PROGRESS, min_size=1, unique_by=lambda one: one.number), st.data())
def test_progress_in_any_order_is_the_latest_progress(
    told: list[Progressed], data: st.DataObject
) -> None:
    latest = max(told, key=lambda one: one.number)

    state = after(data.draw(st.permutations([*told, *told])))

    assert (state.stage, state.progress, state.heard) == (
        latest.stage,
        latest.progress,
        latest.number,
    )


@given(st.lists(PROGRESS | st.just(AskedToCancel()) | st.just(Accepted())))
def test_nothing_but_an_end_ends_a_run(told: list[News]) -> None:
    assert not after(told).status.final


@pytest.mark.parametrize(
    ("code", "status"),
    [("cancelled", RunStatus.CANCELLED), ("deadline_exceeded", RunStatus.FAILED)],
)
def test_a_run_that_was_cancelled_has_not_failed(code: str, status: RunStatus) -> None:
    state = step(RunState(), Failed(code, "why"))

    assert (state.status, state.error_code, state.error_message) == (status, code, "why")


def test_what_was_counted_before_is_not_forgotten_when_news_say_nothing_of_it() -> None:
    counted = step(RunState(), Progressed(1, "matching", 0.5, Counts(total_left=9, matched=3)))

    done = step(counted, Completed(Counts(matched=7), {}))

    assert done.counts == replace(Counts(), total_left=9, matched=7)
