"""What several processes of an app have counted only grows, whoever ends and whoever is asked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalla_app.metrics import AppMetrics
from kalla_app.workers import Place

PROCESSES = 3


def asked(metrics: AppMetrics) -> tuple[float, float]:
    """Return how many requests were answered, and how many of them were timed."""
    text = metrics.shown().decode()
    found = re.search(r'kalla_app_requests_total\{status="200"\} (\S+)', text)
    timed = re.search(r"kalla_app_request_seconds_count (\S+)", text)
    return float(found[1]) if found else 0.0, float(timed[1]) if timed else 0.0


def answer(metrics: AppMetrics) -> None:
    metrics.requests.labels("200").inc()
    metrics.request_seconds.observe(0.01)


def test_what_one_that_ended_had_told_is_counted_by_the_one_in_its_place(tmp_path: Path) -> None:
    first, second = (AppMetrics(Place(number, tmp_path)) for number in (0, 1))
    for _ in range(5):
        answer(second)
    assert asked(second) == (5.0, 5.0)

    again = AppMetrics(Place(1, tmp_path))
    answer(again)
    answer(first)

    assert asked(again) == (6.0, 6.0)
    assert asked(first) == (7.0, 7.0)
    assert asked(AppMetrics(Place(1, tmp_path))) == (7.0, 7.0)


def test_gauges_are_those_of_whoever_is_asked(tmp_path: Path) -> None:
    first, second = (AppMetrics(Place(number, tmp_path)) for number in (0, 1))
    first.runs.labels("running").set(3)
    second.runs.labels("running").set(4)
    second.shown()

    assert b'kalla_app_runs{status="running"} 3.0' in first.shown()


STEPS = st.lists(
    st.tuples(st.sampled_from(["answers", "ends", "shows"]), st.integers(0, PROCESSES - 1)),
    max_size=30,
)


@settings(max_examples=30, deadline=None)
@given(steps=STEPS)
def test_counts_never_fall_and_lose_nothing_that_was_ever_shown(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("metrics")
    processes = [AppMetrics(Place(number, folder)) for number in range(PROCESSES)]
    seen = answered = 0.0

    for does, number in steps:
        if does == "answers":
            answer(processes[number])
            answered += 1
        elif does == "ends":
            processes[number] = AppMetrics(Place(number, folder))
        else:
            counted, timed = asked(processes[number])
            assert seen <= counted == timed <= answered
            seen = counted


def test_where_nothing_can_be_written_each_shows_its_own(tmp_path: Path) -> None:
    alone = AppMetrics(Place(0, tmp_path / "gone"))
    answer(alone)

    assert asked(alone) == (1.0, 1.0)
